import numpy as np
import pytest

from toccata.evaluation.guards import is_noise, is_silent, is_stuck

RATE = 24000
SECONDS = 8


def tone(pitch: float, seconds: float) -> np.ndarray:
    t = np.arange(int(seconds * RATE)) / RATE
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    return (0.1 * np.sum([np.sin(2 * np.pi * hertz * k * t) / k for k in range(1, 6)], axis=0)).astype(np.float32)


def tune() -> np.ndarray:
    pitches = (60, 64, 67, 72, 71, 67, 65, 62, 60, 57, 65, 69, 67, 65, 64, 60)
    return np.concatenate([tone(p, 0.5) * np.exp(-np.linspace(0, 2, RATE // 2)) for p in pitches]).astype(np.float32)


def noise(tilt: float) -> np.ndarray:
    """Noise whose amplitude falls with frequency to the power of ``tilt``."""
    spectrum = np.fft.rfft(np.random.default_rng(0).normal(size=SECONDS * RATE))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** tilt
    wave = np.fft.irfft(spectrum)
    return (0.2 * wave / np.abs(wave).max()).astype(np.float32)


def test_a_tune_passes_every_guard():
    assert not is_silent(tune(), RATE)
    assert not is_noise(tune(), RATE)
    assert not is_stuck(tune(), RATE)


def test_silence_and_near_silence_are_caught_and_rests_are_not():
    assert is_silent(np.zeros(SECONDS * RATE, np.float32), RATE)
    assert is_silent(noise(0) * 1e-3, RATE)
    ends = tune()
    ends[: 3 * RATE] = 0
    assert not is_silent(ends, RATE)


@pytest.mark.parametrize("tilt", [0.0, 0.5, 1.0], ids=["white", "pink", "brown"])
def test_noise_of_any_colour_is_caught(tilt: float):
    assert is_noise(noise(tilt), RATE)


def test_a_tune_over_hiss_is_no_noise():
    assert not is_noise(tune() + 0.02 * noise(0), RATE)


@pytest.mark.parametrize("fade", [0.0, 0.4], ids=["held", "dying away"])
def test_one_note_all_the_time_is_caught(fade: float):
    t = np.arange(SECONDS * RATE) / RATE
    assert is_stuck(tone(60, SECONDS) * np.exp(-fade * t).astype(np.float32), RATE)


def test_a_note_struck_again_and_again_is_caught():
    struck = np.concatenate([tone(60, 0.2) * np.exp(-np.linspace(0, 3, RATE // 5)) for _ in range(5 * SECONDS)])
    assert is_stuck(struck, RATE)


def test_a_tune_that_gets_stuck_half_way_is_caught():
    assert is_stuck(np.concatenate([tune()[: 3 * RATE], tone(64, 5)]), RATE)
    assert not is_stuck(np.concatenate([tune()[: 6 * RATE], tone(64, 2)]), RATE)
