"""The modified cosine transform: its inverse, its definition, and parts that join."""

import numpy as np
import pytest
import torch
from scipy.fft import dct

from toccata.audio.mdct import cosines, from_cosines


def noise(samples, rows=2):
    return torch.randn(rows, samples, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [1, 4, 64])
def test_a_wave_comes_back(size):
    wave = noise(10 * size)
    found = cosines(wave, size)
    assert found.shape == (2, size, 11)
    assert torch.allclose(from_cosines(found), wave, atol=1e-5)


def test_a_frame_is_the_type_four_cosine_transform_of_its_folded_samples():
    wave, size = noise(64, 1)[0], 8
    found = cosines(wave, size)
    window = np.sin(np.pi / 16 * (np.arange(16) + 0.5))
    for frame in (1, 4, 7):
        a, b, c, d = np.split(wave[(frame - 1) * 8 : (frame + 1) * 8].numpy() * window, 4)
        folded = np.concatenate([-c[::-1] - d, a - b[::-1]])
        assert np.allclose(found[:, frame], np.asarray(dct(folded, type=4, norm="ortho")), atol=1e-5)


def test_power_is_kept():
    wave = noise(64000)
    assert cosines(wave, 64).square().sum().item() == pytest.approx(wave.square().sum().item(), rel=1e-4)


def test_parts_that_share_a_frame_join():
    found = cosines(noise(160), 16)
    parts = from_cosines(found[..., :5]), from_cosines(found[..., 4:])
    assert torch.equal(torch.cat(parts, dim=-1), from_cosines(found))
