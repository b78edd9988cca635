"""The two-dimensional diffusion U-Net that reads words: Stable Diffusion's (arXiv 2112.10752, section 3.3).

Residual blocks that the time shifts, after each a transformer that attends to the picture and to tokens, every output
on the way down handed across. Checked against diffusers.

Shapes: B batch, C channels, H height, W width of a picture; S its pixels in a row, L tokens, F features of the time.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.nn.attention import attend

GROUPS, SLOWEST = 32, 10_000


@dataclass(frozen=True)
class PictureUNetSizes:
    """The defaults are Stable Diffusion 1.5's, of 860M parameters.

    One entry a level, from the input down: ``channels``, multiples of 32 and of ``heads``, and whether its ``blocks``
    are followed by ``attentions``. Every level but the last halves height and width. ``tokens`` is a token's width.
    """

    inputs: int = 4
    channels: tuple[int, ...] = (320, 640, 1280, 1280)
    attentions: tuple[int, ...] = (1, 1, 1, 0)
    blocks: int = 2
    heads: int = 8
    tokens: int = 768

    @property
    def stride(self) -> int:
        """What height and width have to be multiples of."""
        return 2 ** (len(self.channels) - 1)

    @property
    def features(self) -> int:
        """Width of what the time becomes."""
        return 4 * self.channels[0]


def read_sizes(said: Mapping[str, Any]) -> PictureUNetSizes:
    """The sizes that were saved as ``asdict``, with tuples again where JSON has lists."""
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
    return PictureUNetSizes(**fields)


class Time(nn.Module):
    """Steps of the noise, 0 to 1000 -> features_BF: cosines and sines (arXiv 2006.11239), through two layers."""

    def __init__(self, width: int, features: int) -> None:
        super().__init__()
        self.width = width
        self.first, self.last = nn.Linear(width, features), nn.Linear(features, features)

    def forward(self, step_B: Tensor) -> Tensor:
        half = self.width // 2
        rates = torch.exp(torch.arange(half, device=step_B.device) * (-math.log(SLOWEST) / half))
        turns = step_B.float()[:, None] * rates  # in half the bits, neighbouring steps would be one
        waves = torch.cat([turns.cos(), turns.sin()], dim=-1).to(self.first.weight.dtype)
        return self.last(F.silu(self.first(waves)))


class Residual(nn.Module):
    """Group norm, SiLU and a convolution, twice, around a shortcut; the time is added in between."""

    def __init__(self, inputs: int, outputs: int, features: int) -> None:
        super().__init__()
        self.norm_in, self.conv_in = nn.GroupNorm(GROUPS, inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.told = nn.Linear(features, outputs)
        self.norm_out, self.conv_out = nn.GroupNorm(GROUPS, outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x_BCHW: Tensor, features_BF: Tensor) -> Tensor:
        h = self.conv_in(F.silu(self.norm_in(x_BCHW))) + self.told(F.silu(features_BF))[..., None, None]
        return self.conv_out(F.silu(self.norm_out(h))) + self.shortcut(x_BCHW)


class Attention(nn.Module):
    """Every pixel attends to every other or, with ``tokens`` of that width, to those."""

    def __init__(self, width: int, heads: int, tokens: int = 0) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key, self.value = (nn.Linear(tokens or width, width, bias=False) for _ in range(2))
        self.out = nn.Linear(width, width)

    def forward(self, x_BSC: Tensor, context_BLC: Tensor) -> Tensor:
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(x_BSC), self.key(context_BLC), self.value(context_BLC))
        )
        return self.out(attend(query, key, value, None, causal=False).transpose(1, 2).flatten(2))


class Transformer(nn.Module):
    """One layer: attention to the picture, attention to tokens, a gated feed-forward (GEGLU, arXiv 2002.05202)."""

    def __init__(self, channels: int, heads: int, tokens: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels, eps=1e-6)
        self.before, self.after = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.norm_self, self.norm_cross, self.norm_up = (nn.LayerNorm(channels) for _ in range(3))
        self.attention, self.cross = Attention(channels, heads), Attention(channels, heads, tokens)
        self.up, self.down = nn.Linear(channels, 8 * channels), nn.Linear(4 * channels, channels)

    def forward(self, x_BCHW: Tensor, tokens_BLD: Tensor) -> Tensor:
        x = self.before(self.norm(x_BCHW).flatten(2).transpose(1, 2))
        normal = self.norm_self(x)
        x = x + self.attention(normal, normal)
        x = x + self.cross(self.norm_cross(x), tokens_BLD)
        kept, gate = self.up(self.norm_up(x)).chunk(2, dim=-1)
        x = x + self.down(kept * F.gelu(gate))
        return x_BCHW + self.after(x).transpose(1, 2).unflatten(2, x_BCHW.shape[2:])


class Block(nn.Module):
    """A residual block and, where its level attends, a transformer."""

    def __init__(self, sizes: PictureUNetSizes, inputs: int, outputs: int, attends: bool) -> None:
        super().__init__()
        self.residual = Residual(inputs, outputs, sizes.features)
        self.transformer = Transformer(outputs, sizes.heads, sizes.tokens) if attends else None

    def forward(self, x_BCHW: Tensor, features_BF: Tensor, tokens_BLD: Tensor) -> Tensor:
        x = self.residual(x_BCHW, features_BF)
        return x if self.transformer is None else self.transformer(x, tokens_BLD)


class Level(nn.Module):
    """One level with all that lie below it: from the channels of the level above to its own."""

    def __init__(self, sizes: PictureUNetSizes, depth: int = 0) -> None:
        super().__init__()
        channels, attends = sizes.channels[depth], bool(sizes.attentions[depth])
        outside = (sizes.channels[0], *sizes.channels)[depth]
        deepest = depth + 1 == len(sizes.channels)
        below = sizes.channels[-1] if deepest else sizes.channels[depth + 1]
        before = [outside] + [channels] * (sizes.blocks - 1)
        # What comes across: the level's input, then its blocks' outputs; the last is taken first.
        across = [channels] * sizes.blocks + [outside]
        behind = [width + more for width, more in zip([below] + [channels] * sizes.blocks, across, strict=True)]
        self.before = nn.ModuleList(Block(sizes, width, channels, attends) for width in before)
        self.down = None if deepest else nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.inside = Middle(sizes) if deepest else Level(sizes, depth + 1)
        self.up = None if deepest else nn.Conv2d(below, below, 3, padding=1)
        self.behind = nn.ModuleList(Block(sizes, width, channels, attends) for width in behind)

    def forward(self, x_BCHW: Tensor, features_BF: Tensor, tokens_BLD: Tensor) -> Tensor:
        x, handed = x_BCHW, [x_BCHW]
        for block in self.before:
            x = block(x, features_BF, tokens_BLD)
            handed.append(x)
        if self.down is not None:
            x = self.down(x)
        x = self.inside(x, features_BF, tokens_BLD)
        if self.up is not None:
            x = self.up(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        for block in self.behind:
            x = block(torch.cat([x, handed.pop()], dim=1), features_BF, tokens_BLD)
        return x


class Middle(nn.Module):
    """Below the last level: two residual blocks around a transformer."""

    def __init__(self, sizes: PictureUNetSizes) -> None:
        super().__init__()
        channels = sizes.channels[-1]
        self.before, self.behind = (Residual(channels, channels, sizes.features) for _ in range(2))
        self.transformer = Transformer(channels, sizes.heads, sizes.tokens)

    def forward(self, x_BCHW: Tensor, features_BF: Tensor, tokens_BLD: Tensor) -> Tensor:
        return self.behind(self.transformer(self.before(x_BCHW, features_BF), tokens_BLD), features_BF)


class PictureUNet(nn.Module):
    """A noisy picture at a step of the noise -> what a diffusion model predicts of it, of the same shape."""

    def __init__(self, sizes: PictureUNetSizes) -> None:
        super().__init__()
        self.sizes, width = sizes, sizes.channels[0]
        self.time = Time(width, sizes.features)
        self.first = nn.Conv2d(sizes.inputs, width, 3, padding=1)
        self.levels = Level(sizes)
        self.norm, self.last = nn.GroupNorm(GROUPS, width), nn.Conv2d(width, sizes.inputs, 3, padding=1)

    def forward(self, x_BCHW: Tensor, step_B: Tensor, tokens_BLD: Tensor) -> Tensor:
        """``x_BCHW`` at steps 0 to 1000, H and W multiples of ``sizes.stride`` (else ``ValueError``)."""
        if any(length % self.sizes.stride for length in x_BCHW.shape[2:]):
            shape = " x ".join(map(str, x_BCHW.shape[2:]))
            raise ValueError(f"height and width must be multiples of {self.sizes.stride}, not {shape}")
        x = self.levels(self.first(x_BCHW), self.time(step_B), tokens_BLD)
        return self.last(F.silu(self.norm(x)))
