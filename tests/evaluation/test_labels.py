"""KL of label distributions: 0 for the same, growing with the difference."""

import numpy as np
import pytest

from toccata.evaluation.labels import sigmoid_kl, softmax_kl


def test_the_same_labels_are_at_no_distance_and_others_at_a_growing_one():
    logits = np.random.default_rng(0).normal(size=(5, 50)) * 3
    moved = [softmax_kl(logits, logits + step * np.arange(50)).mean() for step in (0.0, 0.05, 0.2)]
    assert moved[0] == pytest.approx(0, abs=1e-4)
    assert moved[0] < moved[1] < moved[2]


def test_a_coin_against_a_die_by_hand():
    coin, biased = np.log([[0.5, 0.5]]), np.log([[0.9, 0.1]])
    assert softmax_kl(coin, biased)[0] == pytest.approx(0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1), rel=1e-4)


def test_it_has_a_direction_and_an_end():
    sure, unsure = np.array([[50.0, 0.0]]), np.array([[0.0, 0.0]])
    assert softmax_kl(sure, unsure)[0] == pytest.approx(np.log(2), rel=1e-4)
    assert softmax_kl(sure, -sure)[0] < 14
    assert np.isfinite(sigmoid_kl(-1000 * sure, 1000 * sure)).all()
