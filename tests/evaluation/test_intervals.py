"""Intervals hold the truth about as often as they say."""

import numpy as np
import pytest

from toccata.evaluation.intervals import bootstrap, wilson


def test_95_of_100_intervals_hold_the_true_mean():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        low, high = bootstrap(rng.normal(3, 2, 40), rng, draws=400)
        held += low <= 3 <= high
    assert 0.89 <= held / 200 <= 0.98


def test_any_statistic_has_one_and_portions_change_nothing_much():
    values = np.arange(10_001.0)
    low, high = bootstrap(values, np.random.default_rng(0), np.median, draws=300)
    assert low < 5000 < high
    assert high - low < 400
    assert bootstrap(np.ones(5), np.random.default_rng(0)) == (1, 1)


def test_a_share_of_none_is_not_surely_none():
    low, high = wilson(0.0, 12)
    assert low == 0
    assert 0.2 < high < 0.3
    assert wilson(1.0, 12) == pytest.approx((1 - high, 1))
    assert wilson(0.5, 100) == pytest.approx((0.404, 0.596), abs=0.001)
