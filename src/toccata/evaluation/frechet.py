"""Fréchet distances between sets of embeddings (Heusel et al. 2017, arXiv 1706.08500; for audio arXiv 1812.08466).

Shapes: N embeddings, D dimensions.
"""

from dataclasses import dataclass

import numpy as np

from toccata.errors import InputError
from toccata.evaluation.moments import Moments, moments
from toccata.evaluation.table import Table

LEAST_CLIPS = 8
_SIZES, _DRAWS = 10, 4


def frechet_distance(a_ND: np.ndarray, b_ND: np.ndarray) -> float:
    """Squared Fréchet (2-Wasserstein) distance of the Gaussians fitted to both sets; 0 for equal ones, symmetric.

    Biased upwards for small sets, so compare only figures of equal N. At least two rows each, equal D, finite numbers,
    else ``InputError``.
    """
    for rows in (a_ND, b_ND):
        if rows.ndim != 2 or len(rows) < 2 or rows.shape[1] != a_ND.shape[1] or not np.isfinite(rows).all():
            raise InputError("a Fréchet distance needs two finite tables of embeddings, equally wide, of 2 rows each")
    return distance(moments(a_ND), moments(b_ND))


def distance(a: Moments, b: Moments) -> float:
    """``frechet_distance`` of sets of which only the moments are left.

    tr sqrt(AB) is the sum of the singular values of sqrt(A) sqrt(B). Taken so, no square root is drawn of rounding
    errors, as one is from the eigenvalues of AB where that is nearly singular: there the published tools add 1e-6 to
    the diagonal, or drop an imaginary part.
    """
    overlap = np.linalg.svd(a.root_DD @ b.root_DD, compute_uv=False).sum()
    spreads = np.trace(a.covariance_DD) + np.trace(b.covariance_DD)
    return max(float(np.square(a.mean_D - b.mean_D).sum() + spreads - 2 * overlap), 0.0)


@dataclass(frozen=True)
class Limit:
    """Where the distance goes as the set grows without end: ``value``, the line's ``slope`` over 1/clips, how well it
    fits (``r2``, 1 at best), and its ``points`` (clips, distance)."""

    value: float
    slope: float
    r2: float
    points: tuple[tuple[int, float], ...]


def frechet_infinity(
    table: Table, reference: Moments, rng: np.random.Generator, among: np.ndarray | None = None
) -> Limit:
    """FAD-infinity (Gui et al. 2023, arXiv 2311.01616, after arXiv 1911.07023): the bias of N clips falls as 1/N.

    Distances of random subsets of whole clips, drawn without putting back, at ten sizes evenly spaced in 1/N from a
    quarter of the set to all of it, each the mean of four draws; the straight line through them at 1/N = 0. The
    reference keeps its own size. Below a few times as many rows as dimensions the law holds only roughly: look at
    ``r2``. Only the clips ``among`` are used, where they are given. Raises ``InputError`` for fewer than 8 clips.
    """
    clips = np.arange(table.clips) if among is None else among
    if len(clips) < LEAST_CLIPS:
        raise InputError(f"FAD-infinity cannot be told from {len(clips)} clips; give at least {LEAST_CLIPS}")
    sizes = sorted({round(1 / share) for share in np.linspace(1 / len(clips), 1 / max(len(clips) // 4, 2), _SIZES)})
    points = []
    for size in sizes:
        draws = 1 if size == len(clips) else _DRAWS
        found = [distance(table.moments(rng.choice(clips, size, replace=False)), reference) for _ in range(draws)]
        points.append((size, float(np.mean(found))))
    inverse, values = np.array([1 / size for size, _ in points]), np.array([value for _, value in points])
    slope, value = np.polyfit(inverse, values, 1)
    unexplained = np.square(values - (slope * inverse + value)).sum()
    r2 = 1 - unexplained / max(np.square(values - values.mean()).sum(), 1e-30)
    return Limit(float(value), float(slope), float(r2), tuple(points))


def frechet_per_clip(table: Table, reference: Moments) -> np.ndarray:
    """Each clip's own rows as a set (arXiv 2311.01616, section 5); NaN for a clip of one row only: (clips,)."""
    return np.array([_from_few(table.rows(clip), reference) for clip in range(table.clips)])


def _from_few(rows_ND: np.ndarray, reference: Moments) -> float:
    """``distance`` by the rows themselves, which are fewer than dimensions: their covariance is never built."""
    if len(rows_ND) < 2:
        return float("nan")
    mean_D = rows_ND.mean(0, dtype=np.float64)
    away_ND = (rows_ND - mean_D) / np.sqrt(len(rows_ND) - 1)
    overlap = np.linalg.svd(away_ND @ reference.root_DD, compute_uv=False).sum()
    spreads = np.square(away_ND).sum() + np.trace(reference.covariance_DD)
    return max(float(np.square(mean_D - reference.mean_D).sum() + spreads - 2 * overlap), 0.0)


def frechet_spread(table: Table, reference: Moments, rng: np.random.Generator, draws: int = 100) -> float:
    """How much another set of as many clips would move the distance: the standard deviation over bootstrap draws.

    Their mean is no use: clips that are drawn twice make every draw look like a smaller set, which lies farther away.
    """
    found = [distance(table.moments(rng.integers(table.clips, size=table.clips)), reference) for _ in range(draws)]
    return float(np.std(found, ddof=1))
