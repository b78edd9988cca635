"""SEANet, the convolutional encoder and decoder of two codecs: SoundStream (arXiv 2107.03312, sections III-A and
III-B) and EnCodec (arXiv 2210.13438, section 3.1).

Shapes: B batch, C channels, N samples, T frames, D latent width; 1 a height, so that channels can lie last in memory.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.nn.streaming import in_parts
from toccata.nn.weightnorm import weight_norm

State = tuple[Tensor, Tensor]
Layer = TypeVar("Layer", nn.Conv1d, nn.Linear)


@dataclass(frozen=True)
class SEANetSizes:
    """What the two codecs do differently; the defaults are SoundStream's. ``strides`` run from sound to latents.

    A residual unit has a convolution of ``kernel`` to a width ``narrowing`` times smaller, and one of kernel 1 back;
    with ``shortcut`` the way round it is a convolution too. ``causal`` convolutions see no later sample; others look
    as far ahead as back. ``padding`` is "constant" (zeros) or "reflect", ``norm`` "weight" or "group" (over channels
    and time of every convolution's output).
    """

    channels: int
    strides: tuple[int, ...]
    latent: int
    audio_channels: int = 1
    kernel: int = 7
    dilations: tuple[int, ...] = (1, 3, 9)
    narrowing: int = 1
    shortcut: bool = False
    lstm_layers: int = 0
    last_kernel: int = 3
    causal: bool = True
    padding: str = "constant"
    norm: str = "weight"


def padded(x_BC1N: Tensor, before: int, after: int, mode: str) -> Tensor:
    """``x_BC1N`` padded at both ends; where it is too short to be reflected, zeros are put after it first."""
    if mode == "constant":
        return F.pad(x_BC1N, (before, after))
    missing = max(before, after) + 1 - x_BC1N.shape[-1]
    if missing <= 0:
        return F.pad(x_BC1N, (before, after, 0, 0), mode=mode)
    return F.pad(F.pad(x_BC1N, (0, missing)), (before, after, 0, 0), mode=mode)[..., :-missing]


def started(layer: Layer) -> Layer:
    """Initial weights that keep a signal's size: torch's own let it die down on the way to the latents."""
    nn.init.kaiming_uniform_(layer.weight, nonlinearity="linear")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Conv(nn.Module):
    """(B, C, 1, N) -> (B, C, 1, ceil(N / stride)): an output sees ``before`` inputs before its own, ``after`` after."""

    def __init__(
        self, sizes: SEANetSizes, inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        span = (kernel - 1) * dilation + 1 - stride
        self.after = 0 if sizes.causal else span // 2
        self.before = span - self.after
        self.stride, self.dilation, self.padding = stride, dilation, sizes.padding
        self.conv = started(nn.Conv1d(inputs, outputs, kernel))
        if sizes.norm == "weight":
            weight_norm(self.conv)
        self.norm = nn.GroupNorm(1, outputs) if sizes.norm == "group" else nn.Identity()

    def forward(self, x_BC1N: Tensor) -> Tensor:
        x = padded(x_BC1N, self.before, self.after + -x_BC1N.shape[-1] % self.stride, self.padding)
        weight, stride, dilation = self.conv.weight.unsqueeze(2), (1, self.stride), (1, self.dilation)
        return self.norm(channels_last(F.conv2d(x, weight, self.conv.bias, stride, dilation=dilation)))


class Upsample(nn.Module):
    """(B, C, 1, N) -> (B, C, 1, N x stride): a transposed convolution of kernel 2 stride; what is past an end is cut.

    Such a convolution makes ``stride`` outputs at once from every two neighbours among its inputs: as one product, that
    is about twice as fast on a CPU. A row of ``pair.weight`` is an output's place and channel, its columns two inputs'.
    """

    def __init__(self, sizes: SEANetSizes, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.cut = 0 if sizes.causal else stride - stride // 2
        self.before, self.after = 1, min(self.cut, 1)
        self.pair = started(nn.Linear(2 * inputs, stride * outputs, bias=False))
        if sizes.norm == "weight":
            weight_norm(self.pair)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.norm = nn.GroupNorm(1, outputs) if sizes.norm == "group" else nn.Identity()

    def forward(self, x_BC1N: Tensor) -> Tensor:
        x_BNC = F.pad(x_BC1N[:, :, 0].transpose(1, 2), (0, 0, 1, 1))
        pairs = torch.cat([x_BNC[:, :-1], x_BNC[:, 1:]], dim=-1)
        made = F.linear(pairs, self.pair.weight, self.bias.repeat(self.stride))
        made_BC1N = made.view(len(made), 1, -1, len(self.bias)).permute(0, 3, 1, 2)
        return self.norm(made_BC1N)[..., self.cut : self.cut + x_BC1N.shape[-1] * self.stride]

    @staticmethod
    def of_transposed(weight: Tensor) -> Tensor:
        """``pair.weight`` from that of ``nn.ConvTranspose1d``, (inputs, outputs, 2 stride)."""
        this, before = weight.chunk(2, dim=-1)
        return torch.cat([before, this]).permute(2, 1, 0).flatten(0, 1)


def channels_last(x_BC1N: Tensor) -> Tensor:
    """The same, channels beside each other in memory: convolutions on CPUs are up to twice as fast so."""
    return x_BC1N.contiguous(memory_format=torch.channels_last)


class ResidualUnit(nn.Module):
    def __init__(self, sizes: SEANetSizes, width: int, dilation: int) -> None:
        super().__init__()
        inner = width // sizes.narrowing
        wide = Conv(sizes, width, inner, sizes.kernel, dilation=dilation)
        self.before, self.after = wide.before, wide.after
        self.layers = nn.Sequential(nn.ELU(), wide, nn.ELU(), Conv(sizes, inner, width, 1))
        self.shortcut = Conv(sizes, width, width, 1) if sizes.shortcut else nn.Identity()

    def forward(self, x_BC1N: Tensor) -> Tensor:
        return self.shortcut(x_BC1N) + self.layers(x_BC1N)


class ResidualLSTM(nn.Module):
    """(B, D, 1, T) -> (B, D, 1, T): the input plus what an LSTM makes of it."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, layers)

    def forward(self, x_BD1T: Tensor) -> Tensor:
        return self.carry(x_BD1T, None)[0]

    def carry(self, x_BD1T: Tensor, state: State | None) -> tuple[Tensor, State]:
        """``forward`` that goes on from the state that the part before left."""
        x_TBD = x_BD1T[:, :, 0].permute(2, 0, 1)
        out_TBD, after = self.lstm(x_TBD, state)
        return channels_last((x_TBD + out_TBD).permute(1, 2, 0).unsqueeze(2)), after

    def in_parts(self, parts_BD1T: Iterable[Tensor]) -> Iterator[Tensor]:
        state = None
        for part_BD1T in parts_BD1T:
            out_BD1T, state = self.carry(part_BD1T, state)
            yield out_BD1T


class SEANetEncoder(nn.Module):
    """wave_BCN -> latent_BTD; widths double at every stride, T = ceil(N / product of strides)."""

    def __init__(self, sizes: SEANetSizes) -> None:
        super().__init__()
        width = sizes.channels
        layers: list[nn.Module] = [Conv(sizes, sizes.audio_channels, width, 7)]
        for stride in sizes.strides:
            layers += [ResidualUnit(sizes, width, dilation) for dilation in sizes.dilations]
            layers += [nn.ELU(), Conv(sizes, width, 2 * width, 2 * stride, stride=stride)]
            width *= 2
        layers += [ResidualLSTM(width, sizes.lstm_layers)] if sizes.lstm_layers else []
        layers += [nn.ELU(), Conv(sizes, width, sizes.latent, sizes.last_kernel)]
        self.layers = nn.Sequential(*layers)

    def forward(self, wave_BCN: Tensor) -> Tensor:
        return self.layers(wave_BCN.unsqueeze(2))[:, :, 0].transpose(1, 2)


class SEANetDecoder(nn.Module):
    """latent_BTD -> wave_BCN, N = T x product of strides: the encoder mirrored."""

    def __init__(self, sizes: SEANetSizes) -> None:
        super().__init__()
        self.stride = math.prod(sizes.strides)
        width = sizes.channels * 2 ** len(sizes.strides)
        layers: list[nn.Module] = [Conv(sizes, sizes.latent, width, 7)]
        layers += [ResidualLSTM(width, sizes.lstm_layers)] if sizes.lstm_layers else []
        for stride in reversed(sizes.strides):
            layers += [nn.ELU(), Upsample(sizes, width, width // 2, stride)]
            width //= 2
            layers += [ResidualUnit(sizes, width, dilation) for dilation in sizes.dilations]
        layers += [nn.ELU(), Conv(sizes, width, sizes.audio_channels, 7)]
        self.layers = nn.Sequential(*layers)

    def forward(self, latent_BTD: Tensor) -> Tensor:
        return self.layers(latent_BTD.transpose(1, 2).unsqueeze(2))[:, :, 0]

    def stream(self, parts_BTD: Iterable[Tensor]) -> Iterator[Tensor]:
        """Latents in parts -> wave parts that join to ``forward`` of the whole, in constant memory.

        Not with group norm. The LSTM's state is carried on; convolutions read their finite context again, and what
        they see ahead is held back.
        """
        parts, layers = (part.transpose(1, 2).unsqueeze(2) for part in parts_BTD), [*self.layers]
        if isinstance(lstm := layers[1], ResidualLSTM):
            parts = lstm.in_parts(in_parts(parts, layers[0], *view(layers[:1])))
            layers = layers[2:]
        for part_BC1N in in_parts(parts, nn.Sequential(*layers), *view(layers), stride=self.stride):
            yield part_BC1N[:, :, 0]


def view(layers: Iterable[nn.Module]) -> tuple[int, int]:
    """How many frames before and after its own an output of ``layers`` depends on."""
    before, after, rate = Fraction(0), Fraction(0), 1
    for layer in layers:
        if isinstance(layer, Conv | Upsample | ResidualUnit):
            before += Fraction(layer.before, rate)
            after += Fraction(layer.after, rate)
        if isinstance(layer, Upsample):
            rate *= layer.stride
    return math.ceil(before), math.ceil(after)
