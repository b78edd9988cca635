"""MusicGen's transformer against transformers' on the same random weights."""

import pytest
import torch

from toccata.models.musicgen.config import MusicGenConfig
from toccata.models.musicgen.network import MusicGenNetwork

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def pair():
    torch.manual_seed(0)
    config = transformers.MusicgenDecoderConfig(
        vocab_size=64, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, ffn_dim=128, num_codebooks=4,
        dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, layerdrop=0.0, scale_embedding=False,
        pad_token_id=64, bos_token_id=64,
    )  # fmt: skip
    theirs = transformers.MusicgenForCausalLM(config).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    sizes = MusicGenConfig(width=32, layers=3, heads=4, codebooks=4, vocabulary=64, text_width=32)
    ours = MusicGenNetwork(sizes).eval()
    ours.load_state_dict(renamed(theirs.state_dict(), sizes))
    return theirs, ours


def renamed(theirs, sizes):
    state = {"text_in.weight": torch.eye(sizes.width), "text_in.bias": torch.zeros(sizes.width)}
    decoder = "model.decoder."
    for k in range(sizes.codebooks):
        state[f"embeddings.{k}.weight"] = theirs[f"{decoder}embed_tokens.{k}.weight"]
    for i in range(sizes.layers):
        old, new = f"{decoder}layers.{i}.", f"blocks.{i}."
        q, k, v = (theirs[f"{old}self_attn.{x}_proj.weight"] for x in "qkv")
        state[f"{new}attention.qkv.weight"] = torch.cat([q, k, v])
        state[f"{new}attention.out.weight"] = theirs[f"{old}self_attn.out_proj.weight"]
        q, k, v = (theirs[f"{old}encoder_attn.{x}_proj.weight"] for x in "qkv")
        state[f"{new}cross.query.weight"] = q
        state[f"{new}cross.kv.weight"] = torch.cat([k, v])
        state[f"{new}cross.out.weight"] = theirs[f"{old}encoder_attn.out_proj.weight"]
        state[f"{new}up.weight"] = theirs[f"{old}fc1.weight"]
        state[f"{new}down.weight"] = theirs[f"{old}fc2.weight"]
        for part in ("weight", "bias"):
            state[f"{new}norm_self.{part}"] = theirs[f"{old}self_attn_layer_norm.{part}"]
            state[f"{new}norm_cross.{part}"] = theirs[f"{old}encoder_attn_layer_norm.{part}"]
            state[f"{new}norm_inner.{part}"] = theirs[f"{old}final_layer_norm.{part}"]
    state |= {f"norm.{part}": theirs[f"{decoder}layer_norm.{part}"] for part in ("weight", "bias")}
    state["heads.weight"] = torch.cat([theirs[f"lm_heads.{k}.weight"] for k in range(sizes.codebooks)])
    return state


def test_logits_agree_at_every_step_with_a_masked_condition(pair):
    theirs, ours = pair
    steps_BKS = torch.randint(0, 65, (2, 4, 30))
    text_BLD = torch.randn(2, 7, 32)
    mask_BL = torch.arange(7) < torch.tensor([[7], [4]])
    with torch.no_grad():
        expected = theirs(
            steps_BKS.reshape(8, 30),
            encoder_hidden_states=text_BLD * mask_BL[..., None],
            encoder_attention_mask=mask_BL.long(),
        ).logits
        actual = ours(steps_BKS, ours.condition(text_BLD, mask_BL))
    assert torch.allclose(actual.flatten(0, 1), expected.view(8, 30, 64), atol=1e-4, rtol=1e-4)


def test_cached_logits_agree_too(pair):
    theirs, ours = pair
    steps_BKS, text_BLD = torch.randint(0, 65, (1, 4, 12)), torch.randn(1, 5, 32)
    mask_BL = torch.ones(1, 5, dtype=torch.bool)
    with torch.no_grad():
        expected = theirs(steps_BKS.reshape(4, 12), encoder_hidden_states=text_BLD).logits
        caches, condition = ours.caches(1, 12), ours.condition(text_BLD, mask_BL)
        actual = torch.cat([ours(steps_BKS[..., s : s + 1], condition, caches) for s in range(12)], dim=2)
    assert torch.allclose(actual[0], expected.view(4, 12, 64), atol=1e-4, rtol=1e-4)
