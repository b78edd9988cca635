"""Weights of linear layers as 4 or 8 bit integers: each group of values in a row shares one scale.

Shapes: N rows (outputs), D columns (inputs), G groups a row, Q values a group.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

GROUP = 128
LEAST_GROUP = 16


class Quantised(NamedTuple):
    """``values_NGQ`` are unsigned (uint8); a weight is ``(value - 2 ** (bits - 1)) * scale``."""

    values_NGQ: Tensor
    scales_NG: Tensor
    bits: int
    columns: int


def quantise(weight_ND: Tensor, bits: int) -> Quantised:
    """The nearest integers, with the longest of each group's values met exactly.

    Every value is within half its group's scale, but one that is as long as the longest, of the other sign, is within
    a whole scale: integers reach one further below zero than above. A scale is at most the longest value / 2^(bits-1).
    """
    rows, columns = weight_ND.shape
    group = group_size(columns)
    groups_NGQ = F.pad(weight_ND.detach().float(), (0, -columns % group)).view(rows, -1, group)
    longest_NG1 = groups_NGQ.gather(-1, groups_NGQ.abs().argmax(-1, keepdim=True))
    half = 2 ** (bits - 1)
    scales_NG1 = longest_NG1 / -half
    scales_NG1 = torch.where(scales_NG1 == 0, 1.0, scales_NG1)
    values_NGQ = (groups_NGQ / scales_NG1).round_().add_(half).clamp_(0, 2 * half - 1).to(torch.uint8)
    return Quantised(values_NGQ, scales_NG1[..., 0].contiguous(), bits, columns)


def restore(quantised: Quantised) -> Tensor:
    """The weights that the integers stand for: (N, D) float32."""
    values_NGQ, scales_NG, bits, columns = quantised
    return ((values_NGQ.float() - 2 ** (bits - 1)) * scales_NG[..., None]).flatten(1)[:, :columns].contiguous()


def group_size(columns: int) -> int:
    """128, or less where a row is shorter: a power of two that engines take."""
    size = GROUP
    while size > max(columns, LEAST_GROUP):
        size //= 2
    return size


def pack(quantised: Quantised) -> Tensor:
    """Bytes as engines read them: with 4 bits, two neighbours in a byte, the first in its lower half."""
    if quantised.bits == 8:
        return quantised.values_NGQ
    low, high = quantised.values_NGQ[..., 0::2], quantised.values_NGQ[..., 1::2]
    return low | (high << 4)
