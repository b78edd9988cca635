"""Depthwise convolutions over frames: torch's own, and what they hear of the frames to come."""

import pytest
import torch
import torch.nn.functional as F

from toccata.nn.convnext import ConvNeXtBlock, Depthwise


@pytest.mark.parametrize("ahead", [0, 2, 4])
def test_it_is_torchs_convolution_of_every_channel_by_itself(ahead):
    made, x = Depthwise(6, 5, ahead), torch.randn(2, 11, 6)
    padded = F.pad(x.transpose(1, 2), (4 - ahead, ahead))
    expected = F.conv1d(padded, made.weight.T[:, None], made.bias, groups=6).transpose(1, 2)
    assert torch.allclose(made(x), expected, atol=1e-5)


@pytest.mark.parametrize("ahead", [0, 3])
def test_a_block_hears_as_far_ahead_as_it_is_told(ahead):
    block, x = ConvNeXtBlock(8, ahead=ahead), torch.randn(1, 20, 8)
    changed = x.clone()
    changed[:, 12] += 1
    differs = (block(x) - block(changed)).abs().amax((0, 2)) > 1e-7
    assert differs.nonzero().flatten().tolist() == list(range(12 - ahead, 19 - ahead))
