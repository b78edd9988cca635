"""Rates and channels change; the sound does not."""

import numpy as np
import pytest

from toccata.audio.loudness import peak_limit
from toccata.audio.resample import resample, resample_loop, to_channels


def sine(rate: int) -> np.ndarray:
    return np.sin(2 * np.pi * 440 * np.arange(rate) / rate)[None].astype(np.float32)


@pytest.mark.parametrize(("rate", "to_rate"), [(44_100, 24_000), (16_000, 32_000), (48_000, 44_100)])
def test_a_tone_keeps_its_pitch_level_and_length(rate: int, to_rate: int):
    out = resample(sine(rate), rate, to_rate)
    assert out.shape == (1, to_rate)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out[:, 1000:-1000], sine(to_rate)[:, 1000:-1000], atol=1e-3)


def test_what_the_new_rate_cannot_hold_is_filtered_out():
    high = np.sin(2 * np.pi * 15_000 * np.arange(48_000) / 48_000)[None].astype(np.float32)
    assert np.abs(resample(high, 48_000, 24_000)[:, 500:-500]).max() < 1e-3


def test_channels_are_mixed_by_their_mean_and_copied():
    stereo = np.array([[0.5, 1.0], [0.0, -1.0]], np.float32)
    np.testing.assert_array_equal(to_channels(stereo, 1), [[0.25, 0.0]])
    np.testing.assert_array_equal(to_channels(stereo[:1], 2), [[0.5, 1.0], [0.5, 1.0]])
    assert to_channels(stereo, 2) is stereo


def test_the_limiter_scales_what_is_too_loud_and_nothing_else():
    quiet = np.array([[0.5, -0.25]], np.float32)
    assert peak_limit(quiet) is quiet
    np.testing.assert_allclose(peak_limit(quiet * 8), [[1.0, -0.5]])


@pytest.mark.parametrize(("length", "to_length"), [(1000, 1013), (1013, 1000), (999, 1000), (1000, 1000), (1000, 999)])
def test_a_loop_is_stretched_without_a_seam(length: int, to_length: int):
    turn = 2 * np.pi * np.arange(length) / length
    loop = np.stack([np.sin(7 * turn) + 0.2 * np.cos(300 * turn), np.full(length, 0.5)]).astype(np.float32)
    turn = 2 * np.pi * np.arange(to_length) / to_length
    expected = np.stack([np.sin(7 * turn) + 0.2 * np.cos(300 * turn), np.full(to_length, 0.5)])
    np.testing.assert_allclose(resample_loop(loop, to_length), expected, atol=1e-5)
