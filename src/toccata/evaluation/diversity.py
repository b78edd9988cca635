"""Is a set many pieces, or one piece many times? Shapes: N clips, D dimensions."""

from collections.abc import Iterable

import numpy as np

_ROWS_AT_ONCE = 256


def vendi_score(rows_ND: Iterable[np.ndarray]) -> float:
    """The number of different clips that a set amounts to: 1 if all are alike, N if none is like another.

    Vendi score (Friedman and Dieng 2023, arXiv 2210.02410) of the cosine: the exponential of the entropy of the
    eigenvalues of K / N. Those of the D x D matrix of the rows are the same, so memory does not grow with N. It grows
    with N all the same, so compare sets of one size. Rows may be of any length but zero.
    """
    total_DD, count = 0.0, 0
    for row_D in rows_ND:
        unit_D = row_D.astype(np.float64) / max(float(np.linalg.norm(row_D)), 1e-12)
        total_DD = total_DD + np.outer(unit_D, unit_D)
        count += 1
    if not count:
        return 0.0
    shares = np.linalg.eigvalsh(total_DD / count)
    shares = shares[shares > 1e-12]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def nearest_others(rows_ND: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each row of unit length, the most similar other row: (cosine, its place); -1 and itself where it is alone."""
    count = len(rows_ND)
    best_N, where_N = np.full(count, -1.0, np.float32), np.arange(count)
    for start in range(0, count, _ROWS_AT_ONCE):
        near = rows_ND[start : start + _ROWS_AT_ONCE] @ rows_ND.T
        own = np.arange(start, start + len(near))
        near[own - start, own] = -np.inf
        if count > 1:
            where_N[own] = near.argmax(1)
            best_N[own] = near.max(1)
    return best_N, where_N
