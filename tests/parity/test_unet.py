"""The U-Net's blocks against diffusers' on the same random weights."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from toccata.nn.unet_blocks import Attention, Modulation, Residual

diffusers = pytest.importorskip("diffusers")


@pytest.mark.parametrize("outputs", [16, 24])
@torch.no_grad()
def test_residual_blocks_are_diffusers_ones_with_scale_and_shift(outputs):
    from diffusers.models.resnet import ResnetBlock2D

    torch.manual_seed(0)
    theirs = ResnetBlock2D(
        in_channels=16, out_channels=outputs, temb_channels=20, groups=8, eps=1e-5, time_embedding_norm="scale_shift"
    )
    ours = Residual(16, outputs, 8, 20)
    names = {"norm1": "norm_in", "conv1": "conv_in", "norm2": "norm_out", "conv2": "conv_out",
             "time_emb_proj": "told", "conv_shortcut": "shortcut"}  # fmt: skip
    state = {}
    for name, tensor in theirs.state_dict().items():
        part, kind = name.split(".")
        # Of a picture one pixel high, a kernel sees its middle row alone.
        state[f"{names[part]}.{kind}"] = tensor[:, :, tensor.shape[2] // 2] if tensor.dim() == 4 else tensor
    ours.load_state_dict(state)
    x, features = torch.randn(2, 16, 9), torch.randn(2, 20)
    torch.testing.assert_close(ours(x, features), theirs(x[:, :, None], features)[:, :, 0], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_modulation_is_diffusers_adaptive_layer_norm():
    from diffusers.models.normalization import AdaLayerNormContinuous

    torch.manual_seed(0)
    theirs = AdaLayerNormContinuous(16, 20, elementwise_affine=False, eps=1e-6)
    ours = Modulation(16, 20)
    ours.told.load_state_dict(theirs.linear.state_dict())
    x, features = torch.randn(2, 16, 9), torch.randn(2, 20)
    expected = theirs(x.transpose(1, 2), features).transpose(1, 2)
    torch.testing.assert_close(ours(x, features), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("tokens", [0, 12])
@torch.no_grad()
def test_attention_is_diffusers_one(tokens):
    from diffusers.models.attention_processor import Attention as TheirAttention

    torch.manual_seed(0)
    theirs: Any = TheirAttention(query_dim=16, cross_attention_dim=tokens or None, heads=3, dim_head=8)
    ours = Attention(16, 3, 8, tokens, bias=True)
    ours.query.load_state_dict(theirs.to_q.state_dict())
    ours.kv.weight.copy_(torch.cat([theirs.to_k.weight, theirs.to_v.weight]))
    ours.out.load_state_dict(theirs.to_out[0].state_dict())
    for norm in (ours.norm, ours.norm_context):
        torch.nn.init.normal_(norm.weight)
    x, context = torch.randn(2, 9, 16), torch.randn(2, 7, tokens) if tokens else None
    read = x if context is None else context
    normal = F.layer_norm(read, read.shape[2:], ours.norm_context.weight, ours.norm_context.bias)
    if context is None:  # ours has one norm for queries and one for keys; theirs is told both
        expected = theirs(F.layer_norm(x, (16,), ours.norm.weight, ours.norm.bias), encoder_hidden_states=normal)
    else:
        expected = theirs(ours.norm(x), encoder_hidden_states=normal)
    torch.testing.assert_close(ours(x, context), x + expected, atol=1e-5, rtol=1e-5)
