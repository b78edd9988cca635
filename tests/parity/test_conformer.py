"""Conformer blocks, the Gumbel codebook and w2v-BERT's contrast against transformers' on the same random weights."""

from typing import Any

import pytest
import torch

from toccata.encoders.w2vbert import contrast_logits
from toccata.nn.conformer import ConformerBlock, distances
from toccata.nn.gumbel import GumbelQuantiser, diversity_loss

transformers = pytest.importorskip("transformers")
peer = pytest.importorskip("transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer")

CONFIG = transformers.Wav2Vec2ConformerConfig(
    hidden_size=24, num_attention_heads=4, intermediate_size=40, conv_depthwise_kernel_size=5,
    position_embeddings_type="relative", hidden_act="swish", num_codevector_groups=1, num_codevectors_per_group=7,
    codevector_dim=6, conv_dim=(24,), conv_kernel=(1,), conv_stride=(1,), num_feat_extract_layers=1,
)  # fmt: skip
NORMS = ("ffn1_layer_norm", "self_attn_layer_norm", "conv_module.layer_norm", "ffn2_layer_norm", "final_layer_norm")
PARTS = {
    "before.up": "ffn1.intermediate_dense", "before.down": "ffn1.output_dense", "after.up": "ffn2.intermediate_dense",
    "after.down": "ffn2.output_dense", "attention.out": "self_attn.linear_out",
    "convolution.norm": "conv_module.batch_norm",
}  # fmt: skip


def randomised(module: Any) -> Any:
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, mean=0.05, std=0.2)
    return module.eval()


def ours_of(theirs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """transformers' weights under our names."""
    ours = {
        f"norms.{i}.{kind}": theirs[f"{norm}.{kind}"] for i, norm in enumerate(NORMS) for kind in ("weight", "bias")
    }
    for name, there in PARTS.items():
        ours |= {
            key.replace(there, name): value for key, value in theirs.items() if key.startswith(f"{there}.")
        }  # a batch norm's statistics too
    for kind in ("weight", "bias"):
        ours[f"attention.qkv.{kind}"] = torch.cat([theirs[f"self_attn.linear_{part}.{kind}"] for part in "qkv"])
    ours["attention.far.weight"] = theirs["self_attn.linear_pos.weight"]
    ours["attention.content_HE"] = theirs["self_attn.pos_bias_u"]
    ours["attention.place_HE"] = theirs["self_attn.pos_bias_v"]
    ours["convolution.gate.weight"] = theirs["conv_module.pointwise_conv1.weight"][..., 0]
    ours["convolution.out.weight"] = theirs["conv_module.pointwise_conv2.weight"][..., 0]
    ours["convolution.depthwise.weight"] = theirs["conv_module.depthwise_conv.weight"]
    return ours


def test_distances_are_those_of_transformers():
    theirs = peer.Wav2Vec2ConformerRelPositionalEmbedding(CONFIG)
    for frames in (1, 9):
        torch.testing.assert_close(distances(frames, 24), theirs(torch.zeros(1, frames, 24))[0])


def test_a_block_is_that_of_transformers():
    torch.manual_seed(0)
    theirs = randomised(peer.Wav2Vec2ConformerEncoderLayer(CONFIG))
    ours = ConformerBlock(24, 4, 40, 5).eval()
    ours.load_state_dict(ours_of(theirs.state_dict()))
    x_BTD, far_PD = torch.randn(3, 11, 24), distances(11, 24)
    with torch.no_grad():
        torch.testing.assert_close(ours(x_BTD, far_PD), theirs(x_BTD, None, far_PD[None]), atol=1e-5, rtol=1e-4)


def test_codes_and_idle_codes_are_those_of_transformers():
    torch.manual_seed(0)
    theirs = randomised(peer.Wav2Vec2ConformerGumbelVectorQuantizer(CONFIG))
    ours = GumbelQuantiser(24, 7, 6).eval()
    ours.load_state_dict({
        "choose.weight": theirs.weight_proj.weight, "choose.bias": theirs.weight_proj.bias,
        "codes_VW": theirs.codevectors[0],
    })  # fmt: skip
    x_BTD = torch.randn(2, 9, 24)
    with torch.no_grad():
        vectors, perplexity = theirs(x_BTD)
        chosen = ours(x_BTD)
    torch.testing.assert_close(chosen.vectors_BTW, vectors)
    hard_NV = torch.nn.functional.one_hot(chosen.codes_BT, 7).flatten(0, 1).float()
    assert diversity_loss(hard_NV) == pytest.approx(1 - float(perplexity) / 7, abs=1e-5)


def test_the_contrast_is_that_of_transformers():
    torch.manual_seed(0)
    told_ND, vectors_ND = torch.randn(5, 6), torch.randn(5, 6)
    drawn_KN = (torch.arange(5) + torch.randint(1, 5, (3, 5))) % 5
    theirs = peer.Wav2Vec2ConformerForPreTraining.compute_contrastive_logits(
        vectors_ND[None], vectors_ND[drawn_KN], told_ND, 0.1
    )
    torch.testing.assert_close(contrast_logits(told_ND, vectors_ND, drawn_KN, 0.1), theirs.T)
