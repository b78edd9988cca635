"""Codebook interleaving patterns (MusicGen, arXiv 2306.05284, section 2.2): pure functions that undo each other.

Shapes: B batch, K codebooks, T frames, S pattern steps.
"""

import torch
from torch import Tensor


def delay(codes_BKT: Tensor, filler: int) -> Tensor:
    """Shift codebook k right by k steps; empty places hold ``filler``: steps_BKS with S = T + K - 1.

    For K = 3 and T = 4::

        k=0   0 1 2 3 . .
        k=1   . 0 1 2 3 .
        k=2   . . 0 1 2 3
    """
    B, K, T = codes_BKT.shape
    steps_BKS = codes_BKT.new_full((B, K, T + K - 1), filler)
    for k in range(K):
        steps_BKS[:, k, k : k + T] = codes_BKT[:, k]
    return steps_BKS


def undelay(steps_BKS: Tensor) -> Tensor:
    """The codes that ``delay`` spread out: codes_BKT with T = S - K + 1."""
    K, T = steps_BKS.shape[1], steps_BKS.shape[2] - steps_BKS.shape[1] + 1
    return torch.stack([steps_BKS[:, k, k : k + T] for k in range(K)], dim=1)


def delay_mask(codebooks: int, frames: int) -> Tensor:
    """Where a delayed sequence of ``frames`` frames holds codes and no filler: bool (K, S)."""
    s = torch.arange(frames + codebooks - 1)[None] - torch.arange(codebooks)[:, None]
    return (s >= 0) & (s < frames)
