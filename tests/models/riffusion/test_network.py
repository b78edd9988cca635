"""Riffusion's network: its size, what it is told, what it learns from."""

import pytest
import torch

from toccata.models.riffusion.config import RiffusionConfig, mini
from toccata.models.riffusion.network import RiffusionNetwork, diffusion_loss, picture_of
from toccata.nn.picture_unet import PictureUNetSizes

CONFIG = RiffusionConfig(
    sample_rate=4000, n_fft=256, hop=64, bands=16, frames=32, fold=2,
    unet=PictureUNetSizes(inputs=4, channels=(32, 32), attentions=(0, 1), blocks=1, heads=2, tokens=16),
    text_width=12, text_tokens=5,
)  # fmt: skip


@pytest.fixture
def network():
    torch.manual_seed(0)
    return RiffusionNetwork(CONFIG)


def test_the_minis_pictures_are_five_seconds_that_it_can_halve():
    config = mini()
    assert config.unet.inputs == config.fold**2
    assert config.bands % config.stride == config.frames % config.stride == 0
    assert 5 < config.frames / config.frame_rate < 6
    with torch.device("meta"):
        assert 10e6 < sum(p.numel() for p in RiffusionNetwork(config).parameters()) < 20e6


def test_padding_says_nothing_and_no_text_is_learnt(network):
    text = torch.randn(2, 7, 12)
    mask = torch.tensor([[True] * 3 + [False] * 4, [True] * 7])
    told = network.told(text, mask, torch.tensor([True, False]))
    assert told.shape == (2, 5, 16)
    assert (told[0, 3:] == 0).all()
    assert told[0, :3].abs().min() > 0
    assert torch.equal(told[1], network.nothing_LW)


def test_every_weight_learns_and_the_generator_decides_all(network):
    picture, text, mask = torch.randn(6, 16, 32), torch.randn(6, 7, 12), torch.ones(6, 7, dtype=torch.bool)
    losses = [diffusion_loss(network, picture, text, mask, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]
    many = diffusion_loss(
        network, picture.repeat(4, 1, 1), text.repeat(4, 1, 1), mask.repeat(4, 1), torch.Generator().manual_seed(3)
    )
    many.backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())


def test_a_picture_has_a_frame_more_than_hops():
    assert picture_of(torch.zeros(1, 640), CONFIG).shape == (1, 11, 16)
