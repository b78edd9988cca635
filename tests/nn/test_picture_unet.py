"""The two-dimensional U-Net: what it reads, what it refuses, and that its sizes survive a file."""

import json
from dataclasses import asdict

import pytest
import torch

from toccata.nn.picture_unet import PictureUNet, PictureUNetSizes, read_sizes

# Two channels a group: a norm of one alone would take away what a step adds to it.
SIZES = PictureUNetSizes(inputs=2, channels=(64, 64), attentions=(0, 1), blocks=1, heads=2, tokens=16)


@pytest.fixture(scope="module")
def unet():
    torch.manual_seed(0)
    return PictureUNet(SIZES).eval()


@pytest.mark.parametrize("changed", ["step", "words", "corner"])
@torch.no_grad()
def test_steps_words_and_far_pixels_reach_every_pixel(unet, changed):
    x, step, tokens = torch.randn(1, 2, 4, 32), torch.tensor([400.0]), torch.randn(1, 3, 16)
    before = unet(x, step, tokens)
    match changed:
        case "step":
            step = step + 50
        case "words":
            tokens = tokens + 1
        case _:
            x[..., 0, 0] += 5.0
    assert ((unet(x, step, tokens) - before).abs().sum(1) > 1e-5).all()


@torch.no_grad()
def test_any_picture_that_can_be_halved_keeps_its_shape_and_others_are_refused(unet):
    tokens = torch.randn(1, 3, 16)
    assert unet(torch.randn(1, 2, 2, 6), torch.tensor([1.0]), tokens).shape == (1, 2, 2, 6)
    with pytest.raises(ValueError, match="multiples of 2, not 3 x 4"):
        unet(torch.randn(1, 2, 3, 4), torch.tensor([1.0]), tokens)


def test_sizes_come_back_from_json():
    assert read_sizes(json.loads(json.dumps(asdict(SIZES)))) == SIZES
