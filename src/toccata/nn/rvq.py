"""Residual vector quantisation (SoundStream, arXiv 2107.03312, section III-C).

Shapes: B batch, T frames, D latent width, K codebooks, V vocabulary (codes a codebook).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Quantised(NamedTuple):
    """``latent_BTD`` carries a straight-through gradient; ``loss`` is the commitment loss; ``first_BTD`` is level 1."""

    latent_BTD: Tensor
    codes_BKT: Tensor
    loss: Tensor
    first_BTD: Tensor


class VectorQuantiser(nn.Module):
    """One codebook: k-means start, exponential moving averages, dead codes replaced by inputs (section III-C).

    A code is dead when it is used less than ``dead_below`` times as often as the average one.
    """

    codes_VD: Tensor
    usage_V: Tensor
    sums_VD: Tensor
    started: Tensor

    def __init__(self, vocabulary: int, width: int, decay: float = 0.95, dead_below: float = 0.2) -> None:
        super().__init__()
        self.decay, self.dead_below = decay, dead_below
        self.register_buffer("codes_VD", torch.zeros(vocabulary, width))
        self.register_buffer("usage_V", torch.ones(vocabulary), persistent=False)
        self.register_buffer("sums_VD", torch.zeros(vocabulary, width), persistent=False)
        self.register_buffer("started", torch.zeros((), dtype=torch.bool), persistent=False)

    def encode(self, x_ND: Tensor) -> Tensor:
        """The index of the nearest code for each row: (N,) int64."""
        distance_NV = self.codes_VD.square().sum(1) - 2 * x_ND @ self.codes_VD.T
        return distance_NV.argmin(1)

    def decode(self, codes: Tensor) -> Tensor:
        return F.embedding(codes, self.codes_VD)

    @torch.no_grad()
    def update(self, x_ND: Tensor, codes_N: Tensor, generator: torch.Generator) -> None:
        """One moving-average step towards ``x_ND``; codes that fell out of use become random rows of it."""
        counts = torch.bincount(codes_N, minlength=len(self.usage_V)).to(x_ND.dtype)
        sums = torch.zeros_like(self.sums_VD).index_add_(0, codes_N, x_ND)
        self.usage_V.mul_(self.decay).add_(counts, alpha=1 - self.decay)
        self.sums_VD.mul_(self.decay).add_(sums, alpha=1 - self.decay)
        self.codes_VD.copy_(self.sums_VD / self.usage_V.clamp(min=1e-4)[:, None])
        self._revive(x_ND, generator)

    def _revive(self, x_ND: Tensor, generator: torch.Generator) -> None:
        dead = self.usage_V < self.dead_below * self.usage_V.mean()
        if count := int(dead.sum()):
            rows = self._rows(len(x_ND), count, generator)
            self.codes_VD[dead] = x_ND[rows]
            self.usage_V[dead] = self.usage_V.mean()
            self.sums_VD[dead] = x_ND[rows] * self.usage_V[dead][:, None]

    @torch.no_grad()
    def start(self, x_ND: Tensor, generator: torch.Generator, iterations: int = 10) -> None:
        """K-means over ``x_ND`` from random rows; a code without rows starts again from another one."""
        self.codes_VD.copy_(x_ND[self._rows(len(x_ND), len(self.usage_V), generator)])
        counts = self.usage_V
        for _ in range(iterations):
            codes = self.encode(x_ND)
            counts = torch.bincount(codes, minlength=len(self.usage_V)).to(x_ND.dtype)
            sums = torch.zeros_like(self.sums_VD).index_add_(0, codes, x_ND)
            fresh = x_ND[self._rows(len(x_ND), len(counts), generator)]
            self.codes_VD.copy_(torch.where(counts[:, None] == 0, fresh, sums / counts.clamp(min=1)[:, None]))
        self.usage_V.copy_(counts.clamp(min=1))
        self.sums_VD.copy_(self.codes_VD * self.usage_V[:, None])
        self.started.fill_(True)

    def _rows(self, rows: int, count: int, generator: torch.Generator) -> Tensor:
        drawn = torch.randint(rows, (count,), generator=generator, device=generator.device)
        return drawn.to(self.codes_VD.device)


class ResidualVectorQuantiser(nn.Module):
    """K codebooks, each on what the ones before left over; the first k of them are a code of a lower bitrate."""

    def __init__(self, levels: int, vocabulary: int, width: int, decay: float = 0.95) -> None:
        super().__init__()
        self.levels = nn.ModuleList(VectorQuantiser(vocabulary, width, decay) for _ in range(levels))

    def _level(self, index: int) -> VectorQuantiser:
        level = self.levels[index]
        assert isinstance(level, VectorQuantiser)
        return level

    @torch.no_grad()
    def fit(self, x_ND: Tensor, generator: torch.Generator, iterations: int = 25) -> None:
        """K-means of every level on what the ones before leave over of ``x_ND``: for an encoder that has settled."""
        for index in range(len(self.levels)):
            level = self._level(index)
            level.start(x_ND, generator, iterations)
            x_ND = x_ND - level.decode(level.encode(x_ND))

    @torch.no_grad()
    def encode(self, latent_BTD: Tensor, levels: int | None = None) -> Tensor:
        """Codes of the first ``levels`` levels (all by default): codes_BKT, int64."""
        B, T, D = latent_BTD.shape
        residual = latent_BTD.reshape(B * T, D).float()
        codes = []
        for index in range(levels or len(self.levels)):
            codes.append(self._level(index).encode(residual))
            residual = residual - self._level(index).decode(codes[-1])
        return torch.stack([c.view(B, T) for c in codes], dim=1)

    def decode_level(self, level: int, codes_BT: Tensor) -> Tensor:
        """What one level contributes to the latent: (B, T, D)."""
        return self._level(level).decode(codes_BT)

    def decode(self, codes_BKT: Tensor) -> Tensor:
        """The sum of the levels' codes: latent_BTD. K may be fewer than all levels."""
        total = self.decode_level(0, codes_BKT[:, 0])
        for k in range(1, codes_BKT.shape[1]):
            total = total + self.decode_level(k, codes_BKT[:, k])
        return total

    def forward(self, latent_BTD: Tensor, levels_B: Tensor, generator: torch.Generator) -> Quantised:
        """Training pass: sample b keeps its first ``levels_B[b]`` levels (quantiser dropout)."""
        B, T, D = latent_BTD.shape
        x_ND = latent_BTD.reshape(B * T, D).float()
        residual, total = x_ND.detach(), torch.zeros_like(x_ND)
        kept_N = levels_B.repeat_interleave(T)
        codes, first = [], torch.zeros_like(x_ND)
        for index in range(len(self.levels)):
            level = self._level(index)
            if not level.started:
                level.start(residual, generator)
            picked = level.encode(residual)
            level_ND = level.decode(picked)
            level.update(residual, picked, generator)
            keep = (index < kept_N)[:, None]
            total = total + torch.where(keep, level_ND, 0.0)
            residual = residual - level_ND
            first = level_ND if index == 0 else first
            codes.append(picked.view(B, T))
        commitment = F.mse_loss(x_ND, total)
        through = (x_ND + (total - x_ND).detach()).view(B, T, D)
        first = (x_ND + (first - x_ND).detach()).view(B, T, D)
        return Quantised(through, torch.stack(codes, dim=1), commitment, first)


def perplexity(codes: Tensor, vocabulary: int) -> float:
    """The share of a codebook in effective use: exp(entropy) / vocabulary, in (0, 1]."""
    p = torch.bincount(codes.flatten(), minlength=vocabulary).double()
    p = p / p.sum()
    entropy = -(p * p.clamp(min=1e-12).log()).sum()
    return float(entropy.exp() / vocabulary)
