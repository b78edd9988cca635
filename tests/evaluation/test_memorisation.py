"""Sinkhorn distances: those of linear programming, 0 for the same tokens, whatever their order."""

import numpy as np
import pytest
from scipy.optimize import linprog

from toccata.errors import InputError
from toccata.evaluation.memorisation import exact_match, near_threshold, sinkhorn_distance, token_distance


def transport(a: np.ndarray, b: np.ndarray, cost: np.ndarray) -> float:
    """The exact optimum."""
    rows = np.kron(np.eye(len(a)), np.ones(len(b)))
    columns = np.kron(np.ones(len(a)), np.eye(len(b)))
    return linprog(cost.ravel(), A_eq=np.vstack([rows, columns]), b_eq=np.concatenate([a, b])).fun


@pytest.mark.parametrize("seed", [0, 1])
def test_it_nears_the_exact_optimum_from_above_as_the_blur_falls(seed: int):
    rng = np.random.default_rng(seed)
    a, b = rng.dirichlet(np.ones(8)), rng.dirichlet(np.ones(6))
    cost = rng.uniform(size=(8, 6))
    exact = transport(a, b, cost)
    found = [sinkhorn_distance(a, b, cost, blur) for blur in (0.3, 0.05, 0.01)]
    assert found[0] > found[1] > found[2] > exact - 1e-4
    assert found[2] == pytest.approx(exact, rel=0.02)


def test_the_same_tokens_in_any_order_are_near_and_others_are_as_far_as_their_centres():
    centres = np.array([[0.0, 0.0], [3.0, 4.0], [30.0, 40.0]])
    tokens = np.array([0, 1, 1, 2])
    assert token_distance(tokens, tokens[::-1], centres) == pytest.approx(0, abs=0.05)
    assert token_distance(np.array([0, 0]), np.array([1, 1]), centres) == pytest.approx(5)
    assert token_distance(np.array([0, 0]), np.array([1, 2]), centres) == pytest.approx(27.5)
    assert not exact_match(tokens, tokens[::-1])
    assert exact_match(tokens, tokens.copy())
    assert not exact_match(tokens, tokens[:3])


def test_the_threshold_lets_few_strangers_pass():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(64, 8))
    strangers = np.array([token_distance(rng.integers(0, 64, 50), rng.integers(0, 64, 50), centres) for _ in range(40)])
    threshold = near_threshold(strangers, 0.05)
    assert 0 < (strangers < threshold).mean() <= 0.1
    heart = rng.integers(0, 64, 50)
    assert token_distance(heart, np.where(np.arange(50) < 47, heart, 0), centres) < threshold


def test_what_are_no_distributions_is_refused():
    for a, b in (([1.0, -0.1], [0.5, 0.4]), ([0.0, 0.0], [0.0, 0.0]), ([1.0, 0.0], [1.0, 1.0])):
        with pytest.raises(InputError):
            sinkhorn_distance(np.array(a), np.array(b), np.ones((2, 2)))
