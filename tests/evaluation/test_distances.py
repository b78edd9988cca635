import numpy as np
import pytest

from toccata.evaluation.distances import chroma_correlation, log_mel_distance, si_sdr

NOISE = np.random.default_rng(0).normal(size=24000).astype(np.float32) * 0.1
OTHER = np.random.default_rng(1).normal(size=24000).astype(np.float32) * 0.1


def test_half_as_loud_is_ln_2_away_in_every_mel_band():
    assert log_mel_distance(NOISE, NOISE, 24000) == 0
    assert log_mel_distance(NOISE, NOISE / 2, 24000) == pytest.approx(np.log(2), rel=1e-3)


def test_si_sdr_is_the_ratio_of_signal_to_what_was_added_whatever_the_scale():
    assert si_sdr(NOISE, NOISE + 0.1 * OTHER) == pytest.approx(20, abs=0.2)
    assert si_sdr(NOISE, 7 * (NOISE + 0.1 * OTHER)) == pytest.approx(20, abs=0.2)
    assert si_sdr(NOISE, OTHER) < -20
    assert si_sdr(NOISE, NOISE * 2) > 100


def chord(*notes):
    seconds = np.arange(72000) / 24000
    waves = [np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * seconds) for note in notes]
    return (0.1 * np.sum(waves, axis=0)).astype(np.float32)


def test_the_same_pitch_classes_correlate_in_any_octave_and_timbre_and_others_do_not():
    c_major = chord(60, 64, 67)
    assert chroma_correlation(c_major, c_major, 24000) == pytest.approx(1)
    assert chroma_correlation(c_major, chord(72, 64, 55) + NOISE.repeat(3) * 0.1, 24000) > 0.8
    assert chroma_correlation(c_major, chord(61, 65, 68), 24000) < 0
    assert chroma_correlation(np.zeros_like(c_major), c_major, 24000) == 0
