"""What one-dimensional diffusion U-Nets are made of (Moûsai, arXiv 2301.11757, 3.2; Stable Audio, 2402.04825, 3.3).

Shapes: B batch, C channels, T frames, L tokens, W width of a token, F features of the time.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.nn.attention import attend

FREQUENCIES = 128


class TimeFeatures(nn.Module):
    """Times on the path -> features_BF: the time and its turns at learnt frequencies, through three layers."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(torch.randn(FREQUENCIES))
        inputs = (2 * FREQUENCIES + 1, features, features)
        self.layers = nn.ModuleList(nn.Linear(width, features) for width in inputs)

    def forward(self, t_B: Tensor) -> Tensor:
        time_B1 = t_B[:, None].float()  # in half the bits, neighbouring times would be one
        turns = 2 * math.pi * time_B1 * self.frequencies.float()
        x = torch.cat([time_B1, turns.sin(), turns.cos()], dim=-1).to(self.frequencies.dtype)
        for layer in self.layers:
            x = F.gelu(layer(x))
        return x


class Residual(nn.Module):
    """Group norm, SiLU and a convolution, twice, around a shortcut.

    With ``features`` the time scales and shifts the second norm's output (FiLM, arXiv 1709.07871).
    """

    def __init__(self, inputs: int, outputs: int, groups: int, features: int = 0) -> None:
        super().__init__()
        self.norm_in, self.conv_in = nn.GroupNorm(groups, inputs), nn.Conv1d(inputs, outputs, 3, padding=1)
        self.norm_out, self.conv_out = nn.GroupNorm(groups, outputs), nn.Conv1d(outputs, outputs, 3, padding=1)
        self.told = nn.Linear(features, 2 * outputs) if features else None
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv1d(inputs, outputs, 1)

    def forward(self, x_BCT: Tensor, features_BF: Tensor | None = None) -> Tensor:
        h = self.norm_out(self.conv_in(F.silu(self.norm_in(x_BCT))))
        if self.told is not None and features_BF is not None:
            scale, shift = self.told(F.silu(features_BF))[..., None].chunk(2, dim=1)
            h = h * (1 + scale) + shift
        return self.conv_out(F.silu(h)) + self.shortcut(x_BCT)


class Modulation(nn.Module):
    """Each frame normalised over its channels, then scaled and shifted by the time."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.told = nn.Linear(features, 2 * channels)

    def forward(self, x_BCT: Tensor, features_BF: Tensor) -> Tensor:
        scale, shift = self.told(F.silu(features_BF))[..., None].chunk(2, dim=1)
        normal_BTC = F.layer_norm(x_BCT.transpose(1, 2), x_BCT.shape[1:2], eps=1e-6)
        return normal_BTC.transpose(1, 2) * (1 + scale) + shift


class Inject(nn.Module):
    """Another signal's channels at the same frames, mixed in."""

    def __init__(self, channels: int, injected: int) -> None:
        super().__init__()
        self.mix = nn.Conv1d(channels + injected, channels, 1)

    def forward(self, x_BCT: Tensor, latent_BDT: Tensor) -> Tensor:
        return x_BCT + self.mix(torch.cat([x_BCT, latent_BDT], dim=1))


class Attention(nn.Module):
    """Every frame attends to every other or, with ``tokens`` of that width, to those; added to its input.

    Positions are not told: the convolutions around it know them.
    """

    def __init__(self, width: int, heads: int, head_width: int, tokens: int = 0, bias: bool = False) -> None:
        super().__init__()
        self.heads, inner = heads, heads * head_width
        self.norm, self.norm_context = nn.LayerNorm(width), nn.LayerNorm(tokens or width)
        self.query = nn.Linear(width, inner, bias=False)
        self.kv = nn.Linear(tokens or width, 2 * inner, bias=False)
        self.out = nn.Linear(inner, width, bias=bias)

    def forward(self, x_BTC: Tensor, tokens_BLW: Tensor | None = None) -> Tensor:
        context = self.norm_context(x_BTC if tokens_BLW is None else tokens_BLW)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(self.norm(x_BTC)), *self.kv(context).chunk(2, dim=-1))
        )
        mixed_BHTE = attend(query, key, value, None, causal=False)
        return x_BTC + self.out(mixed_BHTE.transpose(1, 2).flatten(2))


class TransformerLayer(nn.Module):
    """Attention to the other frames, to tokens, and a feed-forward."""

    def __init__(self, width: int, heads: int, head_width: int, tokens: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads, head_width, bias=True)
        self.cross = Attention(width, heads, head_width, tokens, bias=True) if tokens else None
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x_BTC: Tensor, tokens_BLW: Tensor | None) -> Tensor:
        x = self.attention(x_BTC)
        if self.cross is not None:
            x = self.cross(x, tokens_BLW)
        return x + self.down(F.gelu(self.up(x)))


class Transformer(nn.Module):
    """Layers of a transformer between a group norm and two projections."""

    def __init__(self, layers: int, channels: int, heads: int, head_width: int, tokens: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(math.gcd(32, channels), channels, eps=1e-6)
        self.before, self.after = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.layers = nn.ModuleList(TransformerLayer(channels, heads, head_width, tokens) for _ in range(layers))

    def forward(self, x_BCT: Tensor, tokens_BLW: Tensor | None) -> Tensor:
        x = self.before(self.norm(x_BCT).transpose(1, 2))
        for layer in self.layers:
            x = layer(x, tokens_BLW)
        return self.after(x).transpose(1, 2)


def shrink(inputs: int, outputs: int, factor: int, wide: bool) -> nn.Conv1d:
    """A convolution that keeps one frame of ``factor``; ``wide``, it looks at both neighbours' frames too."""
    kernel, padding = (2 * factor + 1, factor) if wide else (factor, 0)
    return nn.Conv1d(inputs, outputs, kernel, factor, padding)


def grow(inputs: int, outputs: int, factor: int, wide: bool) -> nn.Module:
    """What makes ``factor`` frames of one: repeated and smoothed, or, ``wide``, a transposed convolution."""
    smooth = nn.Conv1d(inputs, outputs, 3, padding=1)
    if factor == 1:
        return smooth
    if not wide:
        return nn.Sequential(nn.Upsample(scale_factor=factor, mode="nearest"), smooth)
    odd = factor % 2
    return nn.ConvTranspose1d(inputs, outputs, 2 * factor, factor, padding=factor // 2 + odd, output_padding=odd)
