"""How sure a mean or a share is."""

from collections.abc import Callable

import numpy as np


def bootstrap(
    values_N: np.ndarray,
    rng: np.random.Generator,
    statistic: Callable[..., np.ndarray] = np.mean,
    draws: int = 2000,
) -> tuple[float, float]:
    """The 95 % interval of a statistic (a function of an array and ``axis``) over other sets of as many values.

    Percentiles of bootstrap draws; drawn in portions, so that memory stays small.
    """
    portion = max(1, min(draws, 2_000_000 // max(len(values_N), 1)))
    found = [
        statistic(values_N[rng.integers(len(values_N), size=(min(portion, draws - start), len(values_N)))], axis=1)
        for start in range(0, draws, portion)
    ]
    low, high = np.percentile(np.concatenate(found), (2.5, 97.5))
    return float(low), float(high)


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of ``count`` (Wilson 1927); that of none of twelve reaches to a quarter."""
    z = 1.96
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(float(middle - half), 0.0), min(float(middle + half), 1.0)
