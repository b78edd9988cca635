"""Levels: what a loudness meter shows."""

import numpy as np
import pytest

from toccata.audio.loudness import loudness


def tone(rate, seconds=3.0, level=1.0):
    return (level * np.sin(2 * np.pi * 997 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)[None]


def test_a_full_scale_tone_has_the_standards_loudness():
    assert loudness(tone(48_000), 48_000) == pytest.approx(-3.01, abs=0.005)


@pytest.mark.parametrize("rate", [16_000, 22_050, 32_000, 44_100, 96_000])
def test_the_rate_does_not_change_how_loud_a_sound_is(rate):
    assert loudness(tone(rate, level=0.1), rate) == pytest.approx(-23.01, abs=0.1)


def test_silence_around_a_sound_does_not_count():
    sound = tone(16_000, level=0.3)
    still = np.zeros((1, 16_000 * 4), np.float32)
    assert loudness(np.concatenate([still, sound, still], 1), 16_000) == pytest.approx(loudness(sound, 16_000), abs=0.5)


def test_two_channels_are_louder_than_one():
    one = tone(16_000, level=0.3)
    assert loudness(np.repeat(one, 2, 0), 16_000) == pytest.approx(loudness(one, 16_000) + 3.01, abs=0.01)


def test_silence_has_no_loudness_and_a_few_samples_have_one():
    assert loudness(np.zeros((2, 100), np.float32), 8_000) == -np.inf
    assert loudness(np.zeros((2, 0), np.float32), 8_000) == -np.inf
    assert np.isfinite(loudness(tone(8_000, 0.05), 8_000))
