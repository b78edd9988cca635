"""The audio spectrogram transformer against transformers' on the same random weights."""

import pytest
import torch

from toccata.nn.spectrogram_transformer import SpectrogramTransformer, SpectrogramTransformerConfig

transformers = pytest.importorskip("transformers")

CONFIG = SpectrogramTransformerConfig(bands=24, frames=70, patch=(8, 8), stride=(5, 6), width=32, layers=2, heads=4)
PARTS = {"attention.out": "attention.o_proj", "norm_self": "layernorm_before", "norm_inner": "layernorm_after",
         "up": "mlp.fc1", "down": "mlp.fc2"}  # fmt: skip


def ours_of(theirs):
    """transformers' weights under our names."""
    ours = {
        "summaries_1LD": torch.cat([theirs["embeddings.cls_token"], theirs["embeddings.distillation_token"]], dim=1),
        "positions_1LD": theirs["embeddings.position_embeddings"],
    }
    for kind in ("weight", "bias"):
        ours[f"patches.{kind}"] = theirs[f"embeddings.patch_embeddings.projection.{kind}"]
        ours[f"norm.{kind}"] = theirs[f"layernorm.{kind}"]
        for layer in range(CONFIG.layers):
            qkv = [theirs[f"layers.{layer}.attention.{part}_proj.{kind}"] for part in "qkv"]
            ours[f"blocks.{layer}.attention.qkv.{kind}"] = torch.cat(qkv)
            for name, there in PARTS.items():
                ours[f"blocks.{layer}.{name}.{kind}"] = theirs[f"layers.{layer}.{there}.{kind}"]
    return ours


def test_vectors_are_those_of_transformers():
    torch.manual_seed(0)
    theirs = transformers.ASTModel(
        transformers.ASTConfig(
            hidden_size=CONFIG.width, num_hidden_layers=CONFIG.layers, num_attention_heads=CONFIG.heads,
            intermediate_size=4 * CONFIG.width, patch_size=CONFIG.patch[0], frequency_stride=CONFIG.stride[0],
            time_stride=CONFIG.stride[1], max_length=CONFIG.frames, num_mel_bins=CONFIG.bands,
        )
    ).eval()  # fmt: skip
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, mean=0.05, std=0.2)
    ours = SpectrogramTransformer(CONFIG).eval()
    ours.load_state_dict(ours_of(theirs.state_dict()))
    mel_BTM = torch.randn(3, CONFIG.frames, CONFIG.bands)
    with torch.no_grad():
        torch.testing.assert_close(ours(mel_BTM), theirs(mel_BTM).pooler_output, atol=1e-4, rtol=1e-4)
