"""Loudness against pyloudnorm's, with the same filters."""

import numpy as np
import pytest

from toccata.audio.loudness import loudness

pyloudnorm = pytest.importorskip("pyloudnorm")


def test_loudness_is_pyloudnorms():
    rng = np.random.default_rng(0)
    for channels, seconds in ((1, 2.0), (2, 5.3)):
        wave_CN = rng.normal(size=(channels, round(seconds * 48_000))) * 0.05
        wave_CN[:, :48_000] *= 0.01
        wave_CN[0] += 0.2 * np.sin(2 * np.pi * 100 * np.arange(wave_CN.shape[1]) / 48_000)
        meter = pyloudnorm.Meter(48_000, filter_class="DeMan")
        assert loudness(wave_CN, 48_000) == pytest.approx(meter.integrated_loudness(wave_CN.T), abs=1e-3)


def test_other_rates_are_near_pyloudnorms():
    wave_CN = np.random.default_rng(1).normal(size=(2, 32_000 * 3)) * 0.1
    assert loudness(wave_CN, 32_000) == pytest.approx(pyloudnorm.Meter(32_000).integrated_loudness(wave_CN.T), abs=0.1)
