"""The one-dimensional diffusion U-Net, in the two forms that were published.

Moûsai's (arXiv 2301.11757, section 3.2; its authors' a-unet): levels in one another, each with its input as a skip
connection that the time scales; in every item a residual block, a modulation by the time, what is injected, attention.

The first Stable Audio's (arXiv 2402.04825, section 3.3; the same authors' earlier audio-diffusion-pytorch): FiLM inside
the residual blocks, a transformer after the last of them, every block's output handed across, and a middle.

Shapes: B batch, C channels, T frames, D channels of an injected latent, L tokens, W width of a token, F features.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.nn.unet_blocks import Attention, Inject, Modulation, Residual, TimeFeatures, Transformer, grow, shrink

SKIP_SCALE = 2**-0.5


@dataclass(frozen=True)
class UNetSizes:
    """The defaults are those of Moûsai's text-conditioned model.

    One entry a level, from the input down: ``channels``, the ``factors`` by which frames become fewer, residual
    ``blocks`` on each way, layers of self-attention (``attentions``), and whether tokens of width ``tokens`` are
    attended to (``crosses``). ``head_width`` 0 is the channels divided by ``heads``; ``features`` is the width of what
    the time becomes. ``injected`` channels of another signal come in at level ``inject_depth``, 0 being the first.

    ``stacked`` chooses Stable Audio's form; its middle has ``middle`` layers of attention. The other form has at most
    one layer of attention a block.
    """

    inputs: int = 32
    channels: tuple[int, ...] = (128, 256, 512, 512, 1024, 1024)
    factors: tuple[int, ...] = (1, 2, 2, 2, 2, 2)
    blocks: tuple[int, ...] = (2, 2, 2, 4, 8, 8)
    attentions: tuple[int, ...] = (0, 0, 1, 1, 1, 1)
    crosses: tuple[int, ...] = (1, 1, 1, 1, 1, 1)
    heads: int = 12
    head_width: int = 64
    tokens: int = 768
    groups: int = 8
    features: int = 1024
    injected: int = 0
    inject_depth: int = 0
    stacked: bool = False
    middle: int = 0

    @property
    def stride(self) -> int:
        """What the number of frames has to be a multiple of."""
        return math.prod(self.factors)

    def heads_of(self, channels: int) -> tuple[int, int]:
        return self.heads, self.head_width or channels // self.heads


def stable_audio_1() -> UNetSizes:
    """The first Stable Audio's U-Net on 64 latent channels."""
    return UNetSizes(
        inputs=64,
        channels=(1024, 1024, 1280, 1280),
        factors=(1, 2, 2, 4),
        blocks=(2, 2, 2, 2),
        attentions=(1, 3, 3, 3),
        crosses=(1, 1, 1, 1),
        heads=16,
        head_width=0,
        groups=16,
        stacked=True,
        middle=3,
    )


def read_sizes(said: Mapping[str, Any]) -> UNetSizes:
    """The sizes that were saved as ``asdict``, with tuples again where JSON has lists."""
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
    return UNetSizes(**fields)


class Told(NamedTuple):
    """What every level reads besides its input."""

    features_BF: Tensor
    tokens_BLW: Tensor | None
    latent_BDT: Tensor | None


class Item(nn.Module):
    """Moûsai's: a residual block, the time, and, where the level has them, what is injected and attention."""

    def __init__(self, sizes: UNetSizes, depth: int) -> None:
        super().__init__()
        channels = sizes.channels[depth]
        inject = sizes.injected and depth == sizes.inject_depth
        self.residual = Residual(channels, channels, sizes.groups)
        self.modulation = Modulation(channels, sizes.features)
        self.inject = Inject(channels, sizes.injected) if inject else None
        self.attention = Attention(channels, *sizes.heads_of(channels)) if sizes.attentions[depth] else None
        crosses = sizes.crosses[depth]
        self.cross = Attention(channels, *sizes.heads_of(channels), sizes.tokens) if crosses else None

    def forward(self, x_BCT: Tensor, told: Told) -> Tensor:
        x = self.modulation(self.residual(x_BCT), told.features_BF)
        if self.inject is not None and told.latent_BDT is not None:
            x = self.inject(x, told.latent_BDT)
        if self.attention is not None:
            x = self.attention(x.transpose(1, 2)).transpose(1, 2)
        if self.cross is not None:
            x = self.cross(x.transpose(1, 2), told.tokens_BLW).transpose(1, 2)
        return x


class NestedLevel(nn.Module):
    """Moûsai's level with all that lie below it; what it makes is added to its input, as much as the time says."""

    def __init__(self, sizes: UNetSizes, depth: int = 0) -> None:
        super().__init__()
        outside, channels, factor = (sizes.inputs, *sizes.channels)[depth], sizes.channels[depth], sizes.factors[depth]
        deeper = depth + 1 < len(sizes.channels)
        self.down, self.up = shrink(outside, channels, factor, wide=False), grow(channels, outside, factor, wide=False)
        self.before = nn.ModuleList(Item(sizes, depth) for _ in range(sizes.blocks[depth]))
        self.inside = NestedLevel(sizes, depth + 1) if deeper else None
        self.behind = nn.ModuleList(Item(sizes, depth) for _ in range(sizes.blocks[depth]))
        self.told = nn.Linear(sizes.features, outside)

    def forward(self, x_BCT: Tensor, told: Told) -> Tensor:
        x = _through(self.before, self.down(x_BCT), told)
        if self.inside is not None:
            x = self.inside(x, told)
        made_BCT = self.up(_through(self.behind, x, told))
        return x_BCT + self.told(F.silu(told.features_BF))[..., None] * made_BCT


def _through(items: Iterable[nn.Module], x_BCT: Tensor, told: Told) -> Tensor:
    for item in items:
        x_BCT = item(x_BCT, told)
    return x_BCT


class StackedLevel(nn.Module):
    """Stable Audio's level with all that lie below it; every output on the way down is handed across."""

    def __init__(self, sizes: UNetSizes, depth: int = 0) -> None:
        super().__init__()
        channels, factor, layers = sizes.channels[depth], sizes.factors[depth], sizes.attentions[depth]
        outside = (sizes.channels[0], *sizes.channels)[depth]
        injected = sizes.injected if depth == sizes.inject_depth else 0
        blocks, features = sizes.blocks[depth], sizes.features
        self.down, self.up = shrink(outside, channels, factor, wide=True), grow(channels, outside, factor, wide=True)
        self.inject = Inject(channels, injected) if injected else None
        self.before = nn.ModuleList(Residual(channels, channels, sizes.groups, features) for _ in range(blocks))
        tokens = sizes.tokens if sizes.crosses[depth] else 0
        self.attend_before, self.attend_behind = (
            Transformer(layers, channels, *sizes.heads_of(channels), tokens) if layers else None for _ in range(2)
        )
        deeper = depth + 1 < len(sizes.channels)
        self.inside = StackedLevel(sizes, depth + 1) if deeper else Middle(sizes)
        handed = blocks + (layers > 0)
        self.behind = nn.ModuleList(Residual(2 * channels, channels, sizes.groups, features) for _ in range(handed))

    def forward(self, x_BCT: Tensor, told: Told) -> Tensor:
        x = self.down(x_BCT)
        if self.inject is not None and told.latent_BDT is not None:
            x = self.inject(x, told.latent_BDT)
        handed = []
        for block in self.before:
            x = block(x, told.features_BF)
            handed.append(x)
        if self.attend_before is not None:
            x = self.attend_before(x, told.tokens_BLW)
            handed.append(x)
        x = self.inside(x, told)
        for block in self.behind:
            x = block(torch.cat([x, SKIP_SCALE * handed.pop()], dim=1), told.features_BF)
        if self.attend_behind is not None:
            x = self.attend_behind(x, told.tokens_BLW)
        return self.up(x)


class Middle(nn.Module):
    """Below Stable Audio's last level: two residual blocks around a transformer."""

    def __init__(self, sizes: UNetSizes) -> None:
        super().__init__()
        channels, tokens = sizes.channels[-1], sizes.tokens if any(sizes.crosses) else 0
        self.before, self.behind = (Residual(channels, channels, sizes.groups, sizes.features) for _ in range(2))
        heads = sizes.heads_of(channels)
        self.transformer = Transformer(sizes.middle, channels, *heads, tokens) if sizes.middle else None

    def forward(self, x_BCT: Tensor, told: Told) -> Tensor:
        x = self.before(x_BCT, told.features_BF)
        if self.transformer is not None:
            x = self.transformer(x, told.tokens_BLW)
        return self.behind(x, told.features_BF)


class UNet(nn.Module):
    """Noisy channels at a time -> what a diffusion model predicts of them, of the same shape."""

    def __init__(self, sizes: UNetSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.time = TimeFeatures(sizes.features)
        self.levels = StackedLevel(sizes) if sizes.stacked else NestedLevel(sizes)
        self.first = self.last = None
        if sizes.stacked:
            self.first = Residual(sizes.inputs, sizes.channels[0], 1, sizes.features)
            self.last = Residual(sizes.channels[0], sizes.inputs, 1, sizes.features)

    def forward(
        self, x_BCT: Tensor, t_B: Tensor, tokens_BLW: Tensor | None = None, latent_BDT: Tensor | None = None
    ) -> Tensor:
        """``x_BCT`` at times ``t_B`` in [0, 1], T a multiple of ``sizes.stride`` (else ``ValueError``).

        ``tokens_BLW`` are attended to, all of them; ``latent_BDT`` has the frames of the level that it is injected at.
        """
        if x_BCT.shape[-1] % self.sizes.stride:
            raise ValueError(f"the frames must be a multiple of {self.sizes.stride}, not {x_BCT.shape[-1]}")
        told = Told(self.time(t_B), tokens_BLW, latent_BDT)
        if self.first is None or self.last is None:
            return self.levels(x_BCT, told)
        x = self.first(x_BCT, told.features_BF)
        return self.last(x + self.levels(x, told), told.features_BF)
