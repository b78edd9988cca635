import numpy as np
import pytest

from benchmarks.halves import grid, own_and_others, same_tempo, tempo_and_key
from benchmarks.held_out import RATE


def clicks(bpm: float, seconds: float = 8.0) -> np.ndarray:
    wave = np.zeros(int(seconds * RATE), np.float32)
    for beat in np.arange(0.1, seconds - 0.1, 60 / bpm):
        at = int(beat * RATE)
        wave[at : at + 800] += np.random.default_rng(0).normal(size=800) * np.exp(-np.arange(800) / 150)
    return 0.3 * wave


def chord(*semitones: int, seconds: float = 4.0) -> np.ndarray:
    t = np.arange(int(seconds * RATE)) / RATE
    tones = np.stack([0.1 * np.sin(2 * np.pi * 220 * 2 ** (s / 12) * t) for s in semitones])
    return tones.sum(0).astype(np.float32)


def test_own_pieces_are_apart_from_all_others():
    assert own_and_others(grid([1, 2, 3], [1, 2, 4], lambda a, b: a == b)) == (pytest.approx(2 / 3), 0.0)
    assert own_and_others(np.ones((3, 3))) == (1.0, 1.0)


def test_tempo_and_key_are_heard_and_not_read():
    a = np.concatenate([clicks(90), clicks(130)]).reshape(2, -1)
    tempo, _ = tempo_and_key(list(a), [clicks(90), clicks(130)])
    assert np.array_equal(tempo, np.eye(2))
    _, key = tempo_and_key([chord(0, 4, 7), chord(1, 5, 8)], [chord(0, 4, 7), chord(1, 5, 8)])
    assert np.array_equal(key, np.eye(2))


def test_without_a_beat_no_tempo_is_kept():
    assert not same_tempo(0.0, 0.0)
    assert same_tempo(80.0, 160.0)
