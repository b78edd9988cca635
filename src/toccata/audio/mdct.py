"""The modified discrete cosine transform under a sine window: as many coefficients as samples, and back again.

Shapes: N samples, T frames, F coefficients a frame.
"""

import functools
import math

import torch
from torch import Tensor


def cosines(wave_N: Tensor, size: int) -> Tensor:
    """(..., N) -> (..., F, T + 1), F = ``size`` coefficients every ``size`` samples, T = N / ``size``.

    Frame t spans the samples from (t - 1) x ``size`` to (t + 1) x ``size``; beyond its ends the wave is silent. White
    noise stays white noise of the same variance.
    """
    padded = torch.nn.functional.pad(wave_N, (size, size))
    frames = padded.unfold(-1, 2 * size, size)
    return (frames @ _windowed(size).to(wave_N).T).transpose(-1, -2)


def from_cosines(coefficients_FT: Tensor) -> Tensor:
    """(..., F, T + 1) -> (..., T x F): the wave between the first frame's middle and the last one's.

    Inverse of ``cosines``. Parts that share one frame join to what the whole gives.
    """
    size = coefficients_FT.shape[-2]
    first, second = (coefficients_FT.transpose(-1, -2) @ _windowed(size).to(coefficients_FT)).chunk(2, dim=-1)
    return (first[..., 1:, :] + second[..., :-1, :]).flatten(-2)


@functools.lru_cache(maxsize=4)
def _windowed(size: int) -> Tensor:
    """The orthogonal transform's rows times the sine window: (F, 2 F)."""
    bin_F1 = torch.arange(size, dtype=torch.float64)[:, None] + 0.5
    place_N = torch.arange(2 * size, dtype=torch.float64) + 0.5
    turns_FN = math.pi / size * bin_F1 * (place_N + size / 2)
    return (math.sqrt(2 / size) * turns_FN.cos() * (math.pi / 2 * place_N / size).sin()).float()
