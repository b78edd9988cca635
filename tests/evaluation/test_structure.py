"""What clips do over time: loops come back, noise doesn't, silence at the end is no sound, copies look alike."""

import numpy as np
import pytest

from toccata.evaluation.guards import clipped_share
from toccata.evaluation.structure import change, fingerprint, frames_of, returns, sounding_seconds

RATE = 24000


def tune(seed: int, seconds: float = 10) -> np.ndarray:
    """Half-second notes of a random pitch each."""
    t = np.arange(RATE // 2) / RATE
    pitches = np.random.default_rng(seed).integers(40, 90, round(2 * seconds))
    notes = [np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * t) * np.exp(-4 * t) for pitch in pitches]
    return (0.4 * np.concatenate(notes)).astype(np.float32)


def noise(seconds: float = 10, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.2, 0.2, round(seconds * RATE)).astype(np.float32)


def frames(wave: np.ndarray) -> np.ndarray:
    return frames_of(wave, RATE)


def test_a_loop_comes_back_and_noise_and_wandering_do_not():
    loop = np.tile(tune(1, 3), 4)
    assert returns(frames(loop)) > 0.95
    assert returns(frames(noise())) < 0.2
    assert returns(frames(tune(2, 12))) < 0.6
    assert returns(frames(np.zeros(10 * RATE, np.float32))) == 0
    assert returns(frames(tune(1, 2))) == 0


def test_what_moves_on_is_farther_from_its_beginning():
    still, moving = np.tile(tune(1, 3), 4), np.concatenate([tune(1, 6), noise(6)])
    assert change(frames(still)) < 0.3 * change(frames(moving))


def test_it_sounds_until_it_falls_silent():
    wave = np.concatenate([tune(1, 4), np.zeros(3 * RATE, np.float32)])
    assert sounding_seconds(wave, RATE) == pytest.approx(4, abs=0.06)
    assert sounding_seconds(tune(1, 4), RATE) == pytest.approx(4, abs=0.06)
    assert sounding_seconds(np.zeros(RATE, np.float32), RATE) == 0


def test_copies_look_alike_however_loud_and_noisy_and_others_do_not():
    whole = fingerprint(frames(tune(1)))
    assert np.linalg.norm(whole) == pytest.approx(1, rel=1e-5)
    assert whole @ fingerprint(frames(tune(1) * 0.3)) > 0.95
    assert whole @ fingerprint(frames(tune(1) + 0.001 * noise())) > 0.8
    others = [whole @ fingerprint(frames(tune(seed))) for seed in range(2, 12)]
    assert max(others) < 0.7
    assert not fingerprint(frames(np.zeros(RATE, np.float32))).any()


def test_cut_off_peaks_are_seen_and_loud_music_is_not():
    wave = tune(1)[None]
    assert clipped_share(np.clip(wave * 8, -1, 1)) > 0.05
    assert clipped_share(wave / np.abs(wave).max()) < 1e-3
    assert clipped_share(np.clip(wave * 8, -1, 1) * 0.5) == 0
    assert clipped_share(np.zeros((1, 2), np.float32)) == 0
