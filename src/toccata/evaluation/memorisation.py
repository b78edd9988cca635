"""Has a model learnt its training data by heart? Continuations of training prompts, token by token and on the whole.

Shapes: T tokens, V vocabulary, N pairs, D dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toccata.errors import InputError

_BLUR, _ROUNDS, _CLOSE = 0.01, 500, 1e-4
_STRANGERS = 400


def exact_match(tokens_T: np.ndarray, trained_T: np.ndarray) -> bool:
    """Whether a continuation is the training data's own, token by token (MusicLM, arXiv 2301.11325, section 6)."""
    return tokens_T.shape == trained_T.shape and bool((tokens_T == trained_T).all())


def sinkhorn_distance(a_V: np.ndarray, b_V: np.ndarray, cost_VV: np.ndarray, blur: float = _BLUR) -> float:
    """What it costs to move one distribution onto another, with entropic regularisation (Cuturi 2013, arXiv 1306.0895).

    ``a_V`` and ``b_V`` are weights of equal sum that are not negative, ``cost_VV`` the cost of moving a unit from each
    place of the one to each of the other (their numbers may differ). The plan is that of regularisation ``blur`` times
    the largest cost; the distance is its cost without the entropy, a little above the true one. In the logarithms, so
    that a small blur doesn't underflow. Raises ``InputError`` for weights that are no distributions.
    """
    if min(a_V.min(), b_V.min()) < 0 or not a_V.sum() > 0 or not np.isclose(a_V.sum(), b_V.sum()):
        raise InputError("the weights must not be negative, and both sum to the same")
    here, there = np.flatnonzero(a_V), np.flatnonzero(b_V)
    cost = cost_VV[np.ix_(here, there)].astype(np.float64)
    log_a, log_b = np.log(a_V[here] / a_V.sum()), np.log(b_V[there] / b_V.sum())
    scale = blur * max(float(cost.max()), 1e-12)
    kernel = -cost / scale
    one, other = np.zeros(len(here)), np.zeros(len(there))
    for _ in range(_ROUNDS):
        one = log_a - _log_sum(kernel + other[None], 1)
        moved = log_b - _log_sum(kernel + one[:, None], 0)
        done, other = np.abs(moved - other).max() < _CLOSE, moved
        if done:
            break
    plan = np.exp(kernel + one[:, None] + other[None])
    return float((plan * cost).sum())


def _log_sum(values: np.ndarray, axis: int) -> np.ndarray:
    """Logarithm of the sum of exponentials along an axis."""
    highest = values.max(axis, keepdims=True)
    return (highest + np.log(np.exp(values - highest).sum(axis, keepdims=True))).squeeze(axis)


def token_distance(tokens_T: np.ndarray, trained_T: np.ndarray, centres_VD: np.ndarray) -> float:
    """Sinkhorn distance of two sequences' histograms of tokens: about 0 for the same tokens in any order.

    As MusicLM audits its semantic tokens (section 6 and its appendix): moving a token costs the Euclidean distance of
    its cluster's centre from the other's. So its size is that of the centres; see ``near_threshold``.
    """
    a_V, b_V = (np.bincount(tokens, minlength=len(centres_VD)) / len(tokens) for tokens in (tokens_T, trained_T))
    here, there = np.flatnonzero(a_V), np.flatnonzero(b_V)
    apart = np.linalg.norm(centres_VD[here, None].astype(np.float64) - centres_VD[None, there], axis=2)
    return sinkhorn_distance(a_V[here], b_V[there], apart)


def near_threshold(strangers_N: np.ndarray, false_share: float = 1e-4) -> float:
    """Below which distance two sequences are an approximate match: so few of unrelated pairs lie below it.

    MusicLM found .85 so for its own clusters; other clusters need their own, from the distances of shuffled pairs.
    """
    return float(np.quantile(strangers_N, false_share))


@dataclass(frozen=True)
class Audit:
    """Shares of continuations that are the training data's own (``exact``), or ``near`` it: below ``threshold``.

    ``agreement`` is the share of single tokens that are the same; ``distances`` has one for each continuation.
    """

    exact: float
    near: float
    agreement: float
    threshold: float
    distances: tuple[float, ...]


def audit(
    continuations: Sequence[tuple[np.ndarray, np.ndarray]],
    centres_VD: np.ndarray,
    rng: np.random.Generator,
    threshold: float | None = None,
) -> Audit:
    """Compare what a model wrote with what followed in the training data: pairs of tokens_T, at least two.

    Without a ``threshold`` it is taken from up to 400 pairs of continuations and other pieces' data. To compare with
    pieces that the model never heard, give their audit the threshold of this one.
    """
    if len(continuations) < 2:
        raise InputError("an audit needs two pieces at least, to tell what unrelated ones look like")
    if threshold is None:
        threshold = near_threshold(_strangers(continuations, centres_VD, rng))
    distances = [token_distance(made_T, trained_T, centres_VD) for made_T, trained_T in continuations]
    exact = np.array([exact_match(made_T, trained_T) for made_T, trained_T in continuations])
    return Audit(
        float(exact.mean()),
        float((exact | (np.array(distances) < threshold)).mean()),
        float(np.mean([(made_T == trained_T).mean() for made_T, trained_T in continuations])),
        threshold,
        tuple(distances),
    )


def _strangers(
    continuations: Sequence[tuple[np.ndarray, np.ndarray]], centres_VD: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Distances of continuations from other pieces than their own, of as many pairs as there are, up to 400."""
    count = len(continuations)
    pairs = [(one, other) for one in range(count) for other in range(count) if one != other]
    chosen = rng.permutation(len(pairs))[:_STRANGERS]
    return np.array([
        token_distance(continuations[pairs[k][0]][0], continuations[pairs[k][1]][1], centres_VD) for k in chosen
    ])  # fmt: skip
