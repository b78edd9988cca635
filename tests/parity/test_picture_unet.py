"""The two-dimensional U-Net against diffusers', on the same random weights."""

import re
from typing import Any

import pytest
import torch

from toccata.nn.picture_unet import PictureUNet, PictureUNetSizes

PARTS = {
    "norm1": "norm_in", "conv1": "conv_in", "time_emb_proj": "told", "norm2": "norm_out", "conv2": "conv_out",
    "conv_shortcut": "shortcut", "proj_in": "before", "proj_out": "after", "transformer_blocks.0.norm1": "norm_self",
    "transformer_blocks.0.norm2": "norm_cross", "transformer_blocks.0.norm3": "norm_up",
    "transformer_blocks.0.attn1": "attention", "transformer_blocks.0.attn2": "cross",
    "transformer_blocks.0.ff.net.0.proj": "up", "transformer_blocks.0.ff.net.2": "down", "to_q": "query",
    "to_k": "key", "to_v": "value", "to_out.0": "out",
}  # fmt: skip
TOP = {
    "time_embedding.linear_1": "time.first", "time_embedding.linear_2": "time.last", "conv_in": "first",
    "conv_norm_out": "norm", "conv_out": "last",
}  # fmt: skip


def their_unet(sizes: PictureUNetSizes) -> Any:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    down = tuple("CrossAttnDownBlock2D" if attends else "DownBlock2D" for attends in sizes.attentions)
    up = tuple("CrossAttnUpBlock2D" if attends else "UpBlock2D" for attends in sizes.attentions[::-1])
    return UNet2DConditionModel(
        in_channels=sizes.inputs, out_channels=sizes.inputs, down_block_types=down, up_block_types=up,
        block_out_channels=sizes.channels, layers_per_block=sizes.blocks, cross_attention_dim=sizes.tokens,
        attention_head_dim=sizes.heads,
    )  # fmt: skip


def our_name(name: str, depth: int) -> str:
    """The name here of diffusers' ``name`` in a U-Net of so many levels."""
    part, _, kind = name.rpartition(".")
    if part in TOP:
        return f"{TOP[part]}.{kind}"
    level = re.match(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.+)", part)
    middle = re.match(r"mid_block\.(\w+)\.(\d+)\.(.+)", part)
    if middle:
        where = "levels" + ".inside" * depth
        block = "transformer" if middle[1] == "attentions" else ("before", "behind")[int(middle[2])]
        return f"{where}.{block}.{inner(middle[3])}.{kind}"
    assert level, name
    way, number = level[1], int(level[2])
    at = number if way == "down" else depth - 1 - number
    if level[3] == "upsamplers":  # what leads up from the level below belongs to the level that it leads to
        return "levels" + ".inside" * (at - 1) + f".up.{kind}"
    where = "levels" + ".inside" * at
    if level[3] == "downsamplers":
        return f"{where}.down.{kind}"
    block = "transformer" if level[3] == "attentions" else "residual"
    return f"{where}.{'before' if way == 'down' else 'behind'}.{level[4]}.{block}.{inner(level[5])}.{kind}"


def inner(part: str) -> str:
    for theirs in sorted(PARTS, key=len, reverse=True):
        part = re.sub(rf"(^|\.){re.escape(theirs)}(?=$|\.)", rf"\1{PARTS[theirs]}", part)
    return part


@pytest.mark.parametrize("attentions", [(1, 1, 0), (0, 1, 1)])
@torch.no_grad()
def test_the_unet_is_diffusers_one(attentions):
    torch.manual_seed(0)
    sizes = PictureUNetSizes(inputs=2, channels=(32, 32, 64), attentions=attentions, blocks=2, heads=4, tokens=12)
    theirs, ours = their_unet(sizes).eval(), PictureUNet(sizes).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    state = {}
    for name, tensor in theirs.state_dict().items():
        ours_name = our_name(name, len(sizes.channels))
        # A kernel of one pixel is a matrix.
        square = re.search(r"\.(before|after)\.weight$", ours_name) and tensor.dim() == 4
        state[ours_name] = tensor[:, :, 0, 0] if square else tensor
    ours.load_state_dict(state)
    x, steps, tokens = torch.randn(2, 2, 8, 16), torch.tensor([3.0, 870.0]), torch.randn(2, 5, 12)
    expected = theirs(x, steps, tokens).sample
    torch.testing.assert_close(ours(x, steps, tokens), expected, atol=1e-4, rtol=1e-4)


def test_the_default_size_is_stable_diffusions():
    with torch.device("meta"):
        count = sum(p.numel() for p in PictureUNet(PictureUNetSizes()).parameters())
    assert count == 859_520_964
