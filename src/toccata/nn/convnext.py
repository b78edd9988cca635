"""ConvNeXt blocks over frames (ConvNeXt: arXiv 2201.03545; as a vocoder's trunk: Vocos, arXiv 2306.00814).

They are causal unless they are told to hear ahead.

Layout (B, T, D): frames before channels, so that every product is a plain matrix product.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Depthwise(nn.Module):
    """Depthwise convolution over ``kernel`` frames: the current, ``ahead`` of those after it, and those before."""

    def __init__(self, width: int, kernel: int, ahead: int = 0) -> None:
        super().__init__()
        self.ahead = ahead
        self.weight = nn.Parameter(torch.randn(kernel, width) / kernel**0.5)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x_BTD: Tensor) -> Tensor:
        kernel, frames = self.weight.shape[0], x_BTD.shape[1]
        padded = F.pad(x_BTD, (0, 0, kernel - 1 - self.ahead, self.ahead))
        out = padded[:, :frames] * self.weight[0] + self.bias
        for tap in range(1, kernel):
            out = out + padded[:, tap : tap + frames] * self.weight[tap]
        return out


class ConvNeXtBlock(nn.Module):
    def __init__(self, width: int, kernel: int = 7, expansion: int = 3, scale: float = 0.1, ahead: int = 0) -> None:
        super().__init__()
        self.depthwise = Depthwise(width, kernel, ahead)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, width * expansion)
        self.down = nn.Linear(width * expansion, width)
        self.gamma = nn.Parameter(torch.full((width,), scale))

    def forward(self, x_BTD: Tensor) -> Tensor:
        hidden = self.norm(self.depthwise(x_BTD))
        return x_BTD + self.gamma * self.down(F.gelu(self.up(hidden), approximate="tanh"))
