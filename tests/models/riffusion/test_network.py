"""Riffusion's network: its size and its pictures."""

import torch

from toccata.models.riffusion.config import RiffusionConfig, mini
from toccata.models.riffusion.network import RiffusionNetwork, picture_of
from toccata.nn.picture_unet import PictureUNetSizes

CONFIG = RiffusionConfig(
    sample_rate=4000, n_fft=256, hop=64, bands=16, frames=32, fold=2,
    unet=PictureUNetSizes(inputs=4, channels=(32, 32), attentions=(0, 1), blocks=1, heads=2, tokens=16),
    text_width=12, text_tokens=5,
)  # fmt: skip


def test_the_minis_pictures_are_five_seconds_that_it_can_halve():
    config = mini()
    assert config.unet.inputs == config.fold**2
    assert config.bands % config.stride == config.frames % config.stride == 0
    assert 5 < config.frames / config.frame_rate < 6
    with torch.device("meta"):
        assert 9e6 < sum(p.numel() for p in RiffusionNetwork(config).parameters()) < 10e6


def test_a_picture_has_a_frame_more_than_hops():
    assert picture_of(torch.zeros(1, 640), CONFIG).shape == (1, 11, 16)
