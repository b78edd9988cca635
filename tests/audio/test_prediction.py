"""How a recording goes on by itself: tones ring on, silence stays, and what is found is SciPy's."""

import numpy as np
from scipy.linalg import solve_toeplitz

from toccata.audio import prediction
from toccata.audio.prediction import foretold

RATE = 8000


def tones(seconds, *hertz):
    time_N = np.arange(round(seconds * RATE)) / RATE
    return np.stack([sum(0.2 * np.sin(2 * np.pi * f * time_N + f) for f in some) for some in hertz]).astype(np.float32)


def test_tones_go_on_as_they_would_have():
    whole = tones(1.5, (220.0, 331.0), (1000.0, 1100.5))
    made = foretold(whole[:, :8000], 800)
    error = np.square(made - whole[:, 8000:8800]).mean(1)
    assert (error < 0.01 * np.square(whole).mean(1)).all()


def test_noise_dies_away():
    noise = np.random.default_rng(0).normal(0, 0.1, (1, 16_000)).astype(np.float32)
    made = foretold(noise, 8000)
    assert np.abs(made).max() <= np.abs(noise).max()
    assert np.square(made[:, 4000:]).mean() < 0.1 * np.square(noise).mean()


def test_silence_and_the_shortest_sounds_go_on_too():
    assert not foretold(np.zeros((2, 5000), np.float32), 100).any()
    for length in (0, 1, 2, 3):
        made = foretold(np.full((1, length), 0.5, np.float32), 10)
        assert made.shape == (1, 10)
        assert np.abs(made).max() <= 0.5


def test_the_weights_are_scipys():
    wave = np.random.default_rng(1).normal(size=500)
    alike = np.correlate(wave, wave, "full")[499:]
    alike[0] *= 1 + 1e-9
    assert np.allclose(prediction._weights(wave, 20), solve_toeplitz(alike[:20], alike[1:21]), atol=1e-8)
