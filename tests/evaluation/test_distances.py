import numpy as np
import pytest

from toccata.evaluation.distances import log_mel_distance, si_sdr

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
