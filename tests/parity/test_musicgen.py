"""MusicGen's transformer against transformers' on the same random weights: mono, stereo and melody."""

from pathlib import Path

import pytest
import torch

from toccata.models.musicgen.network import MusicGenNetwork
from toccata.models.musicgen.published import config_from_transformers, from_audiocraft, from_transformers
from toccata.nn.codebooks import restore
from toccata.sampling.tokens import decode_pattern, guided

transformers = pytest.importorskip("transformers")
HERE = Path("here")


def theirs(kind):
    """A small random model of transformers."""
    torch.manual_seed(0)
    text = transformers.T5Config(
        vocab_size=50, d_model=24, d_kv=8, d_ff=32, num_layers=1, num_heads=3, dropout_rate=0.0
    )
    codec = transformers.EncodecConfig(
        sampling_rate=32000, audio_channels=1, num_filters=4, hidden_size=16, codebook_dim=16, codebook_size=64,
        upsampling_ratios=[8, 5, 4, 4], num_lstm_layers=1, normalize=False, target_bandwidths=[2.2],
    )  # fmt: skip
    sizes = {
        "vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "ffn_dim": 128,
        "num_codebooks": 8 if kind == "stereo" else 4, "audio_channels": 2 if kind == "stereo" else 1, "dropout": 0.0,
        "attention_dropout": 0.0, "activation_dropout": 0.0, "layerdrop": 0.0, "scale_embedding": False,
        "pad_token_id": 64, "bos_token_id": 64,
    }  # fmt: skip
    if kind == "melody":
        decoder = transformers.MusicgenMelodyDecoderConfig(**sizes)
        config = transformers.MusicgenMelodyConfig(
            text_encoder=text.to_dict(), audio_encoder=codec.to_dict(), decoder=decoder.to_dict(), chroma_length=6
        )
        model = transformers.MusicgenMelodyForConditionalGeneration(config)
    else:
        decoder = transformers.MusicgenDecoderConfig(**sizes)
        config = transformers.MusicgenConfig(
            text_encoder=text.to_dict(), audio_encoder=codec.to_dict(), decoder=decoder.to_dict()
        )
        model = transformers.MusicgenForConditionalGeneration(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.fixture(scope="module", params=["mono", "stereo", "melody"])
def pair(request):
    model = theirs(request.param)
    config = config_from_transformers(model.config.to_dict(), HERE)
    ours = MusicGenNetwork(config).eval()
    ours.load_state_dict(from_transformers(model.state_dict(), config, HERE))
    return model, ours


def tell(model, tokens, mask, chroma=None):
    """What transformers' decoder gets of a text (and of a melody), as its ``generate`` prepares it."""
    told = model.enc_to_dec_proj(tokens) * mask[..., None]
    if chroma is None:
        return told
    melody = model.audio_enc_to_dec_proj(chroma).repeat(1, 6, 1)[:, :6]
    return torch.cat([melody, told], dim=1)


def one_hot(rows, frames):
    generator = torch.Generator().manual_seed(3)
    return torch.eye(12)[torch.randint(12, (rows, frames), generator=generator)]


@torch.no_grad()
def test_logits_agree_at_every_step_with_a_masked_condition(pair):
    model, ours = pair
    K = ours.config.codebooks
    steps_BKS = torch.randint(0, 65, (2, K, 30))
    text_BLW = torch.randn(2, 7, 24)
    mask_BL = torch.arange(7) < torch.tensor([[7], [4]])
    if ours.config.chroma_bins:
        chroma = one_hot(2, 4)
        told = {"encoder_hidden_states": tell(model, text_BLW, mask_BL, chroma)}
    else:
        chroma = None
        told = {"encoder_hidden_states": tell(model, text_BLW, mask_BL), "encoder_attention_mask": mask_BL.long()}
    expected = model.decoder(steps_BKS.reshape(2 * K, 30), **told).logits.view(2, K, -1, 64)[:, :, -30:]
    condition = ours.condition(text_BLW, mask_BL, chroma)
    assert torch.allclose(ours(steps_BKS, condition), expected, atol=1e-4, rtol=1e-4)
    caches = ours.caches(2, 30 + (0 if condition.prefix_BLD is None else condition.prefix_BLD.shape[1]))
    parts = [ours(steps_BKS[..., :5], condition, caches)]
    parts += [ours(steps_BKS[..., s : s + 1], condition, caches) for s in range(5, 30)]
    assert torch.allclose(torch.cat(parts, dim=2), expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_greedy_tokens_with_guidance_are_the_same(pair):
    model, ours = pair
    K, frames = ours.config.codebooks, 12
    ids = torch.tensor([[5, 9, 2, 1]])
    told = {"input_features": one_hot(1, 4)} if ours.config.chroma_bins else {}
    caught = {}
    model.audio_encoder.decode = lambda codes, *a, **k: caught.setdefault("codes", []).append(codes) or Stop.now()
    with pytest.raises(Stop):
        model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, guidance_scale=3.0,
            max_length=frames + (K // ours.config.channels), **told,
        )  # fmt: skip
    text_BLW = model.text_encoder(ids).last_hidden_state
    tokens = torch.cat([text_BLW, torch.zeros_like(text_BLW)])
    mask = torch.tensor([[True] * 4, [False] * 4])
    chroma = torch.cat([one_hot(1, 4), torch.full((1, 4, 12), torch.nan)]) if told else None
    condition = ours.condition(tokens, mask, chroma)
    caches = ours.caches(2, 100)
    codes = decode_pattern(
        lambda steps: ours(steps.expand(2, -1, -1), condition, caches)[:, :, -1],
        lambda logits: guided(logits, 3.0).argmax(-1),
        torch.zeros(K, 0, dtype=torch.int64), ours.config.places(frames), 64,
    )  # fmt: skip
    made_KT = torch.stack(list(codes), dim=1)
    expected = caught["codes"][0][0, 0]
    assert torch.equal(made_KT[:: ours.config.channels][:, : expected.shape[1]], expected)


class Stop(Exception):
    """Raised where only the codes are wanted."""

    @classmethod
    def now(cls):
        raise cls


@torch.no_grad()
@pytest.mark.parametrize("kind", ["mono", "melody"])
def test_audiocrafts_names_hold_the_same_weights(kind):
    model = theirs(kind)
    config = config_from_transformers(model.config.to_dict(), HERE)
    expected = from_transformers(model.state_dict(), config, HERE)
    named = {}
    for name, tensor in expected.items():
        room, _, rest = name.partition(".")
        match room:
            case "embeddings":
                named[f"emb.{rest}"] = tensor
            case "heads":
                named |= {f"linears.{k}.weight": part for k, part in enumerate(tensor.chunk(config.codebooks))}
            case "norm":
                named[f"out_norm.{rest}"] = tensor
            case "text_in" | "chroma_in":
                told = {"text_in": "description", "chroma_in": "self_wav"}[room]
                named[f"condition_provider.conditioners.{told}.output_proj.{rest}"] = tensor
            case "blocks":
                index, _, part = rest.partition(".")
                old = {
                    "attention.qkv.weight": "self_attn.in_proj_weight",
                    "attention.out.weight": "self_attn.out_proj.weight",
                    "up.weight": "linear1.weight", "down.weight": "linear2.weight",
                    "cross.out.weight": "cross_attention.out_proj.weight",
                }.get(part, part.replace("norm_self", "norm1").replace("norm_inner", "norm2"))  # fmt: skip
                if part == "cross.query.weight":
                    both = torch.cat([tensor, expected[f"blocks.{index}.cross.kv.weight"]])
                    named[f"transformer.layers.{index}.cross_attention.in_proj_weight"] = both
                elif part != "cross.kv.weight":
                    named[f"transformer.layers.{index}.{old}"] = tensor
    found = from_audiocraft(named, config, HERE)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_codes_of_both_channels_take_turns():
    config = config_from_transformers(theirs("stereo").config.to_dict(), HERE)
    places_KS = config.places(5)
    assert torch.equal(places_KS[::2], places_KS[1::2])
    steps = torch.where(places_KS >= 0, places_KS, 64)
    assert restore(steps[None], places_KS)[0].tolist() == [[0, 1, 2, 3, 4]] * 8
