"""Two parts of each of N pieces: does the second keep what the first has? Beside the second parts of all others."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from benchmarks.held_out import RATE
from toccata.evaluation.judges import judge_key, judge_tempo, tempo_fits

T = TypeVar("T")


def grid(first: Sequence[T], second: Sequence[T], keeps: Callable[[T, T], float]) -> np.ndarray:
    """How far each second part keeps what each first part has: (N, N), own pieces on the diagonal."""
    return np.array([[float(keeps(one, other)) for other in second] for one in first])


def own_and_others(kept_NN: np.ndarray) -> tuple[float, float]:
    """The mean of the diagonal, and that of the rest."""
    n = len(kept_NN)
    return float(np.diag(kept_NN).mean()), float((kept_NN.sum() - np.trace(kept_NN)) / max(n * n - n, 1))


def tempo_and_key(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Grids of whether librosa hears the same tempo (within 8 %, octaves allowed) and key (relative or fifth too)."""
    tempi, later_tempi = ([judge_tempo(wave, RATE) for wave in part] for part in (first, second))
    keys, later_keys = ([judge_key(wave, RATE) for wave in part] for part in (first, second))
    return grid(tempi, later_tempi, same_tempo), grid(keys, later_keys, lambda one, other: one.related(other))


def same_tempo(one: float, other: float) -> bool:
    """False where there is no beat."""
    return one > 0 and tempo_fits(other, one)
