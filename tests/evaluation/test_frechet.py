import numpy as np
import pytest
from scipy.linalg import sqrtm

from toccata.errors import InputError
from toccata.evaluation.frechet import frechet_distance


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
