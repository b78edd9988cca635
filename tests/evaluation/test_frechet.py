import numpy as np
import pytest
from scipy.linalg import sqrtm

from toccata.errors import InputError
from toccata.evaluation.frechet import (
    distance,
    frechet_distance,
    frechet_infinity,
    frechet_per_clip,
    frechet_spread,
)
from toccata.evaluation.moments import moments
from toccata.evaluation.table import Table


def table(seed: int, rows: int = 300, width: int = 20) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, width)) @ rng.normal(size=(width, width)) + rng.normal(size=width)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_agrees_with_the_matrix_square_root_of_scipy(seed: int):
    a, b = table(seed), table(seed + 10)
    covariance_a, covariance_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    overlap = np.trace(sqrtm(covariance_a @ covariance_b)).real
    wanted = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(covariance_a) + np.trace(covariance_b) - 2 * overlap
    assert frechet_distance(a, b) == pytest.approx(wanted, rel=1e-6)


def test_a_set_is_at_no_distance_from_itself_and_distance_has_no_direction():
    a, b = table(1), table(2)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-8)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-9)


def test_a_shift_costs_its_square():
    a = table(1)
    assert frechet_distance(a, a + 3) == pytest.approx(9 * a.shape[1], rel=1e-9)


def test_fewer_rows_than_dimensions_are_measured_too():
    a, b = table(1, rows=5), table(2, rows=6)
    assert np.isfinite(frechet_distance(a, b))
    assert frechet_distance(a, b) > 0


@pytest.mark.parametrize("bad", [np.zeros((1, 20)), np.zeros((9, 3)), np.zeros(20), np.full((9, 20), np.nan)])
def test_tables_that_do_not_fit_are_refused(bad: np.ndarray):
    with pytest.raises(InputError):
        frechet_distance(table(1), bad)


def test_nearly_singular_covariances_cost_no_accuracy():
    """Six rows of 60 dimensions: the truth is the sum of singular values of the rows' own product."""
    a, b = table(1, rows=6, width=60), table(2, rows=7, width=60)
    away_a, away_b = (x - x.mean(0) for x in (a, b))
    overlap = np.linalg.svd(away_a @ away_b.T / np.sqrt(5 * 6), compute_uv=False).sum()
    spreads = np.square(away_a).sum() / 5 + np.square(away_b).sum() / 6
    wanted = np.square(a.mean(0) - b.mean(0)).sum() + spreads - 2 * overlap
    assert frechet_distance(a, b) == pytest.approx(wanted, rel=1e-9)


def clips(seed: int, count: int, width: int = 10, rows: int = 4) -> list[np.ndarray]:
    return [np.random.default_rng([seed, k]).normal(size=(rows, width)) for k in range(count)]


def test_infinity_undoes_the_bias_of_few_clips():
    """Both sets are of one distribution: the truth is 0, and a few clips seem far from it."""
    reference = moments(np.concatenate(clips(0, 4000)))
    few, more = Table(clips(1, 40)), Table(clips(1, 160))
    biased = [distance(each.moments(), reference) for each in (few, more)]
    limits = [frechet_infinity(each, reference, np.random.default_rng(0)) for each in (few, more)]
    assert biased[0] > 2.5 * biased[1] > 0
    assert abs(limits[0].value) < biased[0] / 5
    assert abs(limits[1].value) < biased[1] / 5
    assert limits[0].r2 > 0.95
    assert limits[0].slope > 0
    assert limits[0].points[0][0] == 10
    assert limits[0].points[-1] == (40, pytest.approx(biased[0]))


def test_a_clips_own_distance_is_that_of_its_rows():
    reference = moments(np.concatenate(clips(0, 100)))
    ours = clips(1, 3) + [np.ones((1, 10))] + [x + 9 for x in clips(2, 1)]
    found = frechet_per_clip(Table(ours), reference)
    assert found[0] == pytest.approx(distance(moments(ours[0].astype(np.float32)), reference), rel=1e-6)
    assert np.isnan(found[3])
    assert found[4] > 10 * found[0]


def test_the_spread_is_what_other_sets_of_the_size_show():
    reference = moments(np.concatenate(clips(0, 2000)) * 3)
    sets = [Table(clips(seed, 60)) for seed in range(1, 25)]
    seen = np.std([distance(each.moments(), reference) for each in sets])
    guessed = [frechet_spread(each, reference, np.random.default_rng(0), 60) for each in sets[:4]]
    assert np.mean(guessed) == pytest.approx(seen, rel=0.5)


def test_too_few_clips_have_no_limit():
    with pytest.raises(InputError, match="7 clips"):
        frechet_infinity(Table(clips(0, 7)), moments(table(1, width=10)), np.random.default_rng(0))
