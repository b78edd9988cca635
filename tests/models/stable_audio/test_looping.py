"""A circle of latents: every frame is heard, none is always at an edge, and turned, it is the same circle."""

import pytest
import torch

from toccata.codecs.autoencoder import Autoencoder, AutoencoderConfig
from toccata.codecs.frames import FrameSizes
from toccata.models.stable_audio.looping import around, decode_around

WINDOW = 12


def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("frames", [3, 11, 12, 13, 24, 50])
def test_what_every_window_agrees_on_comes_out(frames):
    x_BTD, seen = torch.randn(1, frames, 2, generator=generator()), []

    def predict(part_BTD, t):
        seen.append(part_BTD.shape[1])
        return 2 * part_BTD + t

    made = around(predict, WINDOW, generator())(x_BTD, 0.5)
    assert torch.allclose(made, 2 * x_BTD + 0.5, atol=1e-5)
    assert set(seen) == {WINDOW}
    assert len(seen) == (1 if frames <= WINDOW else -(-frames // 9))


@pytest.mark.parametrize("frames", [5, 12, 40])
def test_an_edge_that_a_window_has_is_somewhere_else_every_time(frames):
    marks = torch.zeros(1, frames, 1)
    edge = torch.zeros(1, WINDOW, 1)
    edge[:, 0] = 1
    denoise = around(lambda x, t: edge, WINDOW, generator())
    for _ in range(200):
        marks += denoise(torch.zeros(1, frames, 1), 0.5)
    assert marks.min() > 0
    assert marks.max() < 3 * marks.mean()


def test_longer_circles_hear_across_their_join():
    """A window that lies over the join sees the circle's end and its start side by side."""
    x_BTD, joined = torch.arange(40.0)[None, :, None], []

    def predict(part_BTD, t):
        joined.append(bool((part_BTD[0].diff(dim=0) < 0).any()))
        return part_BTD

    around(predict, WINDOW, generator())(x_BTD, 0.5)
    assert any(joined)


@torch.no_grad()
def test_oscillators_go_round_a_circle_without_a_step():
    """Their phases at the end are not those at the start, so a bare cut would be a step as large as the sound."""
    frames = FrameSizes(
        sample_rate=8000, stride=160, hop=40, latent=3, mel_bands=8, mel_fft=160, mel_high=2000.0, low_bins=4,
        low_fft=160, n_fft=160, encoder_width=8, encoder_depth=1, decoder_width=8, decoder_depth=1, synthesis_width=8,
        synthesis_depth=1, octaves=2, per_octave=2,
    )  # fmt: skip
    torch.manual_seed(0)
    codec = Autoencoder(AutoencoderConfig(sample_rate=8000, latent=3, frames=frames)).eval()
    codec.decoder.get_parameter("bank.project.bias")[:4] = -2.0
    codec.decoder.get_parameter("head.project.bias")[:81] = -9.0
    wave_BCN = decode_around(codec, torch.zeros(1, 11, 3))
    assert wave_BCN.shape == (1, 2, 11 * 160)
    steps = wave_BCN.diff(dim=-1).abs().amax()
    assert wave_BCN.abs().amax() > 0.1
    assert (wave_BCN[..., 0] - wave_BCN[..., -1]).abs().amax() <= steps
    bare = codec.decode(torch.zeros(1, 11, 3))
    assert (bare[..., 0] - bare[..., -1]).abs().amax() > 1.5 * steps
