"""Fréchet distance between two sets of embeddings (Heusel et al. 2017, arXiv 1706.08500; for audio arXiv 1812.08466).

Shapes: N embeddings, D dimensions.
"""

import numpy as np

from toccata.errors import InputError


def frechet_distance(a_ND: np.ndarray, b_ND: np.ndarray) -> float:
    """Squared Fréchet (2-Wasserstein) distance of the Gaussians fitted to both sets; 0 for equal ones, symmetric.

    Biased upwards for small sets, so compare only figures of equal N. At least two rows each, equal D, finite numbers,
    else ``InputError``.
    """
    for rows in (a_ND, b_ND):
        if rows.ndim != 2 or len(rows) < 2 or rows.shape[1] != a_ND.shape[1] or not np.isfinite(rows).all():
            raise InputError("a Fréchet distance needs two finite tables of embeddings, equally wide, of 2 rows each")
    mean_a, covariance_a = _moments(a_ND)
    mean_b, covariance_b = _moments(b_ND)
    root_a = _root(covariance_a)
    # tr sqrt(AB) through the symmetric product: its eigenvalues are those of AB, and real.
    shared = np.linalg.eigvalsh(root_a @ covariance_b @ root_a)
    overlap = np.sqrt(np.clip(shared, 0, None)).sum()
    distance = np.square(mean_a - mean_b).sum() + np.trace(covariance_a) + np.trace(covariance_b) - 2 * overlap
    return max(float(distance), 0.0)


def _moments(rows_ND: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = rows_ND.astype(np.float64)
    mean = rows.mean(0)
    centred = rows - mean
    return mean, centred.T @ centred / (len(rows) - 1)


def _root(symmetric_DD: np.ndarray) -> np.ndarray:
    """The symmetric square root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(symmetric_DD)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
