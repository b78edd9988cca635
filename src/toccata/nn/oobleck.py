"""Oobleck, the convolutional encoder and decoder of Stable Audio's autoencoder (arXiv 2402.04825, section 3.1).

SEANet's residual units without causality, with Snake activations and widths that are chosen stride by stride.

Shapes: B batch, C channels, N samples, T frames, D latent width; 1 a height, so that channels can lie last in memory.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from toccata.nn.seanet import Conv, SEANetSizes, Upsample
from toccata.nn.streaming import in_parts

DILATIONS = (1, 3, 9)


@dataclass(frozen=True)
class OobleckSizes:
    """``strides`` run from sound to latents; a stride goes on to its entry of ``widths`` times ``channels``."""

    channels: int
    widths: tuple[int, ...]
    strides: tuple[int, ...]
    audio_channels: int = 2

    @property
    def layout(self) -> SEANetSizes:
        """What the convolutions are like: weight norm, zeros at both ends, no sample before another."""
        return SEANetSizes(self.channels, self.strides, 0, self.audio_channels, causal=False)

    @property
    def steps(self) -> list[tuple[int, int, int]]:
        """(channels before, channels after, stride) of each stride, from sound to latents."""
        wide = [self.channels * width for width in (1, *self.widths)]
        return list(zip(wide[:-1], wide[1:], self.strides, strict=True))


class Snake(nn.Module):
    """x + sin(alpha x)^2 / beta, both learnt for each channel on a logarithmic scale (arXiv 2006.08195)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha_C, self.beta_C = (nn.Parameter(torch.zeros(channels)) for _ in range(2))

    def forward(self, x_BC1N: Tensor) -> Tensor:
        alpha, beta = self.alpha_C.exp()[:, None, None], self.beta_C.exp()[:, None, None]
        return torch.addcdiv(x_BC1N, (alpha * x_BC1N).sin().square(), beta + 1e-9)


class ResidualUnit(nn.Module):
    def __init__(self, layout: SEANetSizes, width: int, dilation: int) -> None:
        super().__init__()
        wide, last = Conv(layout, width, width, 7, dilation=dilation), Conv(layout, width, width, 1)
        last.conv.weight = 0.3 * last.conv.weight.detach()  # else fifteen units in a row double the signal's power each
        self.before, self.after = wide.before, wide.after
        self.layers = nn.Sequential(Snake(width), wide, Snake(width), last)

    def forward(self, x_BC1N: Tensor) -> Tensor:
        return x_BC1N + self.layers(x_BC1N)


class OobleckEncoder(nn.Module):
    """wave_BCN, N a multiple of the stride -> (B, T, outputs)."""

    def __init__(self, sizes: OobleckSizes, outputs: int) -> None:
        super().__init__()
        layout, width = sizes.layout, sizes.channels
        self.stride = math.prod(sizes.strides)
        layers: list[nn.Module] = [Conv(layout, sizes.audio_channels, width, 7)]
        for here, width, stride in sizes.steps:
            layers += [ResidualUnit(layout, here, dilation) for dilation in DILATIONS]
            layers += [Snake(here), Conv(layout, here, width, 2 * stride, stride=stride)]
        layers += [Snake(width), Conv(layout, width, outputs, 3)]
        self.layers = nn.Sequential(*layers)

    def forward(self, wave_BCN: Tensor) -> Tensor:
        return self.layers(wave_BCN.unsqueeze(2))[:, :, 0].transpose(1, 2)

    @property
    def view(self) -> tuple[int, int]:
        """How many frames before and after its own an output depends on."""
        before = after = 0
        rate = 1  # samples from one input of a layer to the next
        for layer in self.layers:
            if isinstance(layer, Conv | ResidualUnit):
                before, after = before + layer.before * rate, after + layer.after * rate
            rate *= layer.stride if isinstance(layer, Conv) else 1
        return -(-before // self.stride), -(-after // self.stride)

    def stream(self, parts_BCN: Iterable[Tensor]) -> Iterator[Tensor]:
        """Waves in parts of whole frames -> (B, T, outputs) in parts that join to ``forward`` of the whole."""
        frames = (part.unflatten(-1, (-1, self.stride)).transpose(2, 3) for part in parts_BCN)
        encode = lambda part_BCNT: self(part_BCNT.transpose(2, 3).flatten(2)).transpose(1, 2)  # noqa: E731
        for part_BDT in in_parts(frames, encode, *self.view):
            yield part_BDT.transpose(1, 2)


class OobleckDecoder(nn.Module):
    """latent_BTD -> wave_BCN, N = T x stride: the encoder mirrored."""

    def __init__(self, sizes: OobleckSizes, latent: int) -> None:
        super().__init__()
        layout = sizes.layout
        self.stride = math.prod(sizes.strides)
        layers: list[nn.Module] = [Conv(layout, latent, sizes.channels * sizes.widths[-1], 7)]
        for width, here, stride in reversed(sizes.steps):
            layers += [Snake(here), Upsample(layout, here, width, stride)]
            layers += [ResidualUnit(layout, width, dilation) for dilation in DILATIONS]
        last = Conv(layout, sizes.channels, sizes.audio_channels, 7)
        last.conv.register_parameter("bias", None)  # sound has no constant part
        self.layers = nn.Sequential(*layers, Snake(sizes.channels), last)

    def forward(self, latent_BTD: Tensor) -> Tensor:
        return self.layers(latent_BTD.transpose(1, 2).unsqueeze(2))[:, :, 0]

    @property
    def view(self) -> tuple[int, int]:
        """How many frames before and after its own an output depends on."""
        before = after = 0
        step = self.stride  # samples from one input of a layer to the next
        for layer in self.layers:
            if isinstance(layer, Conv | ResidualUnit | Upsample):
                before, after = before + layer.before * step, after + layer.after * step
            step //= layer.stride if isinstance(layer, Upsample) else 1
        return -(-before // self.stride), -(-after // self.stride)

    def stream(self, parts_BTD: Iterable[Tensor]) -> Iterator[Tensor]:
        """Latents in parts -> wave parts that join to ``forward`` of the whole, in constant memory."""
        parts = (part.transpose(1, 2) for part in parts_BTD)
        yield from in_parts(parts, lambda part_BDT: self(part_BDT.transpose(1, 2)), *self.view, stride=self.stride)
