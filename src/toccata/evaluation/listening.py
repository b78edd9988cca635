"""What listeners' answers say: wins, Bradley-Terry scores, signed-rank tests with their correction, missing answers.

Shapes: S sets, N answers, P tests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toccata.errors import InputError

POWER = 0.8
LEVEL = 0.05
_Z95 = 1.959964


@dataclass(frozen=True)
class Strengths:
    """Bradley-Terry scores (log odds, mean 0) with 95 % intervals; i beats j with odds exp(score i - score j)."""

    scores_S: np.ndarray
    low_S: np.ndarray
    high_S: np.ndarray
    bounded: bool


def bradley_terry(wins_SS: np.ndarray) -> Strengths:
    """Scores of largest likelihood for ``wins_SS[i, j]``, how often i was preferred to j (a tie: half a win for each).

    Bradley and Terry 1952; intervals from the information matrix, as if every answer stood alone. Where some sets win
    every comparison with the others no finite score is likeliest: then each compared pair is given one tie more, and
    ``bounded`` is false. Raises ``InputError`` where the comparisons don't link all sets.
    """
    counts_SS = wins_SS + wins_SS.T
    if not linked(counts_SS):
        raise InputError("some sets were never compared with the others; collect more answers")
    bounded = linked(wins_SS) and linked(wins_SS.T)
    if not bounded:
        wins_SS = wins_SS + 0.5 * (counts_SS > 0)
        counts_SS = wins_SS + wins_SS.T
    scores_S = np.zeros(len(wins_SS))
    for _ in range(500):
        slope_S, covariance_SS = _newton(scores_S, wins_SS, counts_SS)
        step_S = np.clip(covariance_SS @ slope_S, -1, 1)
        scores_S = scores_S + step_S - step_S.mean()
        if np.abs(step_S).max() < 1e-10:
            break
    half_S = _Z95 * np.sqrt(np.diag(_newton(scores_S, wins_SS, counts_SS)[1]))
    return Strengths(scores_S, scores_S - half_S, scores_S + half_S, bounded)


def _newton(scores_S: np.ndarray, wins_SS: np.ndarray, counts_SS: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope of the log likelihood, and the inverse of its information for scores whose sum is held."""
    chance_SS = 1 / (1 + np.exp(scores_S[None] - scores_S[:, None]))
    slope_S = (wins_SS - counts_SS * chance_SS).sum(1)
    weight_SS = counts_SS * chance_SS * (1 - chance_SS)
    mean_SS = np.full_like(weight_SS, 1 / len(scores_S))  # fills the one direction that comparisons don't tell of
    return slope_S, np.linalg.inv(np.diag(weight_SS.sum(1)) - weight_SS + mean_SS) - mean_SS


def linked(links_SS: np.ndarray) -> bool:
    """Whether positive links lead, by however many steps, from the first set to every other."""
    reached, new = {0}, [0]
    while new:
        new = [j for j in np.flatnonzero(links_SS[new.pop()] > 0).tolist() if j not in reached] + new
        reached.update(new)
    return len(reached) == len(links_SS)


def signed_rank(differences_N: Sequence[float] | np.ndarray) -> float:
    """The two-sided p of Wilcoxon's signed-rank test (1945), zeros dropped; 1 where nothing differs."""
    from scipy.stats import wilcoxon

    values_N = np.asarray(differences_N, float)
    if not values_N.any():
        return 1.0
    result: Any = wilcoxon(values_N)
    return float(result.pvalue)


def holm(p_P: Sequence[float]) -> list[float]:
    """The p of several tests, raised so that the chance of any false one stays below the level (Holm 1979)."""
    order = np.argsort(p_P, kind="stable")
    raised, largest = np.empty(len(p_P)), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, p_P[place] * (len(p_P) - rank)))
        raised[place] = largest
    return raised.tolist()


def answers_needed(differences_N: Sequence[float] | np.ndarray, tests: int = 1, power: float = POWER) -> int | None:
    """How many answers in all show a difference of the size seen, at ``LEVEL`` shared among ``tests``, with ``power``.

    The signed-rank test's z grows with the root of the answers: n = N ((z of the level + z of the power) / z seen)^2.
    For small effects that is Noether's sample size (1987); large ones need a little less. None where nothing differs.
    """
    from scipy.stats import norm, wilcoxon

    values_N = np.asarray(differences_N, float)
    if not values_N.any():
        return None
    result: Any = wilcoxon(values_N, method="asymptotic")
    seen = abs(float(result.zstatistic))
    wanted = float(norm.ppf(1 - LEVEL / 2 / tests) + norm.ppf(power))
    return int(np.ceil(len(values_N) * (wanted / seen) ** 2)) if seen else None
