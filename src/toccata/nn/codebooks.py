"""Codebook interleaving patterns (MusicGen, arXiv 2306.05284, section 2.2 and figure 1): functions undone exactly.

A pattern is a table ``places_KS``: which frame codebook k takes up at step s, -1 for none. Every frame of every
codebook has exactly one place. ``interleave`` lays codes out by such a table, ``restore`` reads them back. In the
drawings, each column is a step, each row a codebook, numbers are frames.

Shapes: B batch, K codebooks, T frames, S pattern steps.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Pattern = Callable[[int, int], Tensor]


def interleave(codes_BKT: Tensor, places_KS: Tensor, filler: int) -> Tensor:
    """Codes at their places: steps_BKS, with ``filler`` where there is none."""
    places_BKS = places_KS.to(codes_BKT.device).expand(len(codes_BKT), -1, -1)
    return torch.where(places_BKS >= 0, codes_BKT.gather(2, places_BKS.clamp(min=0)), filler)


def restore(steps_BKS: Tensor, places_KS: Tensor) -> Tensor:
    """The codes that ``interleave`` laid out: codes_BKT."""
    at_KT = steps_of(places_KS).to(steps_BKS.device)
    return steps_BKS.gather(2, at_KT.expand(len(steps_BKS), -1, -1))


def steps_of(places_KS: Tensor) -> Tensor:
    """The step at which each codebook takes up each frame: (K, T)."""
    return places_KS.masked_fill(places_KS < 0, places_KS.shape[1]).argsort(dim=1, stable=True)[
        :, : int(places_KS.max()) + 1
    ]


def parallel(codebooks: int, frames: int) -> Tensor:
    """All codebooks of a frame at once; S = T::

    0 1 2 3
    0 1 2 3
    0 1 2 3
    """
    return shifted(torch.zeros(codebooks, dtype=torch.int64), frames)


def delay(codebooks: int, frames: int) -> Tensor:
    """Codebook k comes k steps late, so that it may depend on those before it; S = T + K - 1::

    0 1 2 3 . .
    . 0 1 2 3 .
    . . 0 1 2 3
    """
    return shifted(torch.arange(codebooks), frames)


def stereo_delay(codebooks: int, frames: int) -> Tensor:
    """``delay`` of left and right together (codebooks: left 1, right 1, left 2, ...); S = T + K / 2 - 1::

    0 1 2 3 .
    0 1 2 3 .
    . 0 1 2 3
    . 0 1 2 3
    """
    return shifted(torch.arange(codebooks) // 2, frames)


def partial_delay(codebooks: int, frames: int) -> Tensor:
    """The first codebook, then all others together one step late; S = T + 1::

    0 1 2 3 .
    . 0 1 2 3
    . 0 1 2 3
    """
    return shifted(torch.arange(codebooks).clamp(max=1), frames)


def shifted(delays_K: Tensor, frames: int) -> Tensor:
    """Codebook k comes ``delays_K[k]`` steps late."""
    frame_KS = torch.arange(frames + int(delays_K.max()))[None] - delays_K[:, None]
    return torch.where((frame_KS >= 0) & (frame_KS < frames), frame_KS, -1)


def flattening(codebooks: int, frames: int) -> Tensor:
    """One code a step; S = T * K: exact, and K times as long::

    0 . . 1 . . 2 . .
    . 0 . . 1 . . 2 .
    . . 0 . . 1 . . 2
    """
    return split(list(range(codebooks)), frames)


def partial_flattening(codebooks: int, frames: int) -> Tensor:
    """The first codebook in a step of its own, then all others together; S = 2 T::

    0 . 1 . 2 .
    . 0 . 1 . 2
    . 0 . 1 . 2
    """
    return split([0] + [1] * (codebooks - 1), frames)


def coarse_first(codebooks: int, frames: int) -> Tensor:
    """The first codebook of all frames, then all others of all frames, as VALL-E does; S = 2 T::

    0 1 2 3 . . . .
    . . . . 0 1 2 3
    . . . . 0 1 2 3
    """
    late_K = torch.arange(codebooks).clamp(max=1) * frames
    return shifted(late_K, frames)


def coarse_fine(codebooks: int, frames: int, coarse: int | None = None) -> Tensor:
    """MusicLM's: the ``coarse`` first codebooks (by default a third) flattened, then the others flattened; S = T * K.

    For 4 codebooks, 2 of them coarse, and 2 frames::

        0 . 1 . . . . .
        . 0 . 1 . . . .
        . . . . 0 . 1 .
        . . . . . 0 . 1
    """
    coarse = max(codebooks // 3, 1) if coarse is None else coarse
    first, second = flattening(coarse, frames), flattening(codebooks - coarse, frames)
    places_KS = torch.full((codebooks, first.shape[1] + second.shape[1]), -1)
    places_KS[:coarse, : first.shape[1]] = first
    places_KS[coarse:, first.shape[1] :] = second
    return places_KS


def split(turns_K: list[int], frames: int) -> Tensor:
    """Each frame takes as many steps as there are turns; codebook k has the turn ``turns_K[k]``."""
    turns = max(turns_K, default=-1) + 1
    places_KS = torch.full((len(turns_K), turns * frames), -1)
    for k, turn in enumerate(turns_K):
        places_KS[k, turn::turns] = torch.arange(frames)
    return places_KS


PATTERNS: dict[str, Pattern] = {
    "parallel": parallel,
    "delay": delay,
    "stereo-delay": stereo_delay,
    "partial-delay": partial_delay,
    "flattening": flattening,
    "partial-flattening": partial_flattening,
    "coarse-first": coarse_first,
    "coarse-fine": coarse_fine,
}
