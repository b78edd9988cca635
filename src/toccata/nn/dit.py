"""The diffusion transformer of Stable Audio 2 and Open (arXiv 2404.10301, section 2.2; 2407.14358, section 3.3).

It predicts the velocity of noisy latents from the time on the path, tokens to attend to (text, timing) and one vector
about the whole (timing), which goes, with the time, in front of the latents as a frame of its own, or, ``adaptive``,
into every block's norms.

Shapes: B batch, T frames, D latent width, W width of the tokens, L tokens, S steps (of ``patch`` frames, and that
frame), H heads.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.nn.attention import attend, rotary_table, rotate

FOURIER = 256
Keys = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class DiTSizes:
    """The defaults are Stable Audio Open's.

    ``tokens`` is the width of what is attended to, ``context`` what it is projected to: of its heads, as wide as the
    others, each serves several queries. ``whole`` is the width of the vector about the whole. Half of each head turns
    with its position. ``normed`` queries and keys pass through layer norms of their own. A step holds ``patch`` frames.
    """

    latent: int = 64
    width: int = 1536
    layers: int = 24
    heads: int = 24
    tokens: int = 768
    context: int = 768
    whole: int = 1536
    normed: bool = False
    adaptive: bool = False
    patch: int = 1

    @property
    def head_width(self) -> int:
        return self.width // self.heads


@dataclass(frozen=True)
class DiTCondition:
    """What no step of sampling changes: each block's keys and values of the tokens, and ``whole_BW`` projected."""

    keys: tuple[Keys, ...]
    whole_BW: Tensor

    @property
    def rows(self) -> int:
        return len(self.whole_BW)


class FourierTime(nn.Module):
    """Times -> cosines and sines of random frequencies (arXiv 2006.10739): (B, FOURIER)."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(FOURIER // 2), requires_grad=False)

    def forward(self, t_B: Tensor) -> Tensor:
        turns = 2 * math.pi * t_B[:, None] * self.weight
        return torch.cat([turns.cos(), turns.sin()], dim=-1)


class Attention(nn.Module):
    """Attention of every step to every other, or, with ``context``, to the keys of a condition."""

    def __init__(self, sizes: DiTSizes, context: int = 0) -> None:
        super().__init__()
        self.heads, self.each = sizes.heads, sizes.head_width
        if context:
            self.query = nn.Linear(sizes.width, sizes.width, bias=False)
            self.kv = nn.Linear(context, 2 * context, bias=False)
        else:
            self.qkv = nn.Linear(sizes.width, 3 * sizes.width, bias=False)
        self.out = nn.Linear(sizes.width, sizes.width, bias=False)
        self.norm_query, self.norm_key = (
            nn.LayerNorm(self.each, 1e-6) if sizes.normed else nn.Identity() for _ in range(2)
        )

    def keys(self, tokens_BLW: Tensor) -> Keys:
        """Keys and values of a condition, its heads repeated until each query has one."""
        keys, values = self.kv(tokens_BLW).chunk(2, dim=-1)
        keys, values = self.norm_key(self._split(keys)), self._split(values)
        times = self.heads // keys.shape[1]
        return keys.repeat_interleave(times, dim=1), values.repeat_interleave(times, dim=1)

    def cross(self, x_BSW: Tensor, keys: Keys) -> Tensor:
        return self._joined(attend(self.norm_query(self._split(self.query(x_BSW))), *keys, None, causal=False))

    def forward(self, x_BSW: Tensor, rotary_2SE: Tensor) -> Tensor:
        q, k, v = (self._split(part) for part in self.qkv(x_BSW).chunk(3, dim=-1))
        q, k = (_turned(part, rotary_2SE) for part in (self.norm_query(q), self.norm_key(k)))
        return self._joined(attend(q, k, v, None, causal=False))

    def _split(self, x_BSW: Tensor) -> Tensor:
        return x_BSW.unflatten(-1, (-1, self.each)).transpose(1, 2)

    def _joined(self, x_BHSE: Tensor) -> Tensor:
        return self.out(x_BHSE.transpose(1, 2).flatten(2))


def _turned(x_BHSE: Tensor, rotary_2SE: Tensor) -> Tensor:
    """Each head's first dimensions turned by its step's angles; the others, beyond the table, as they are."""
    turning = 2 * rotary_2SE.shape[-1]
    return torch.cat([rotate(x_BHSE[..., :turning], rotary_2SE), x_BHSE[..., turning:]], dim=-1)


class Block(nn.Module):
    """Self-attention, cross-attention and a gated feed-forward (arXiv 2002.05202), each after a norm and added."""

    def __init__(self, sizes: DiTSizes) -> None:
        super().__init__()
        width, inner = sizes.width, 4 * sizes.width
        self.norm_self, self.norm_cross, self.norm_inner = (nn.LayerNorm(width) for _ in range(3))
        self.attention, self.cross = Attention(sizes), Attention(sizes, sizes.context)
        self.up, self.down = nn.Linear(width, 2 * inner), nn.Linear(inner, width)
        self.bias_6W = nn.Parameter(torch.randn(6, width) / width**0.5) if sizes.adaptive else None
        for layer in (self.attention.out, self.cross.out, self.down):
            nn.init.zeros_(layer.weight)  # a new network begins as one that hands its input on
        nn.init.zeros_(self.down.bias)

    def forward(self, x_BSW: Tensor, keys: Keys, rotary_2SE: Tensor, told_B6W: Tensor | None = None) -> Tensor:
        """``told_B6W``, where the block is adaptive: scale, shift and gate for attention and for the feed-forward."""
        told: list[Tensor | None] = [None] * 6
        if self.bias_6W is not None and told_B6W is not None:
            told = [*(told_B6W + self.bias_6W)[:, :, None].unbind(1)]
        x = x_BSW
        x = x + _gated(self.attention(_moved(self.norm_self(x), *told[:2]), rotary_2SE), told[2])
        x = x + self.cross.cross(self.norm_cross(x), keys)
        return x + _gated(self._feed(_moved(self.norm_inner(x), *told[3:5])), told[5])

    def _feed(self, x_BSW: Tensor) -> Tensor:
        up, gate = self.up(x_BSW).chunk(2, dim=-1)
        return self.down(up * F.silu(gate))


class Blocks(nn.ModuleList):
    """A stack of blocks, typed."""

    def __iter__(self) -> Iterator[Block]:
        return super().__iter__()  # type: ignore[return-value]


def _moved(x: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    return x if scale is None or shift is None else x * (1 + scale) + shift


def _gated(x: Tensor, gate: Tensor | None) -> Tensor:
    return x if gate is None else x * torch.sigmoid(1 - gate)


def projection(inputs: int, width: int, bias: bool = False) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width, bias=bias), nn.SiLU(), nn.Linear(width, width, bias=bias))


class DiT(nn.Module):
    """``condition`` once, then the velocity of latents at any time."""

    def __init__(self, sizes: DiTSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.time, self.time_in = FourierTime(), projection(FOURIER, sizes.width, bias=True)
        self.whole_in, self.tokens_in = projection(sizes.whole, sizes.width), projection(sizes.tokens, sizes.context)
        self.before = nn.Linear(sizes.latent, sizes.latent, bias=False)
        self.latent_in = nn.Linear(sizes.latent * sizes.patch, sizes.width, bias=False)
        self.blocks = Blocks(Block(sizes) for _ in range(sizes.layers))
        self.latent_out = nn.Linear(sizes.width, sizes.latent * sizes.patch, bias=False)
        self.after = nn.Linear(sizes.latent, sizes.latent, bias=False)
        self.told = None
        if sizes.adaptive:
            width = sizes.width
            self.told = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 6 * width))
        for layer in (self.before, self.after):
            nn.init.zeros_(layer.weight)

    def condition(self, tokens_BLW: Tensor, whole_BW: Tensor) -> DiTCondition:
        """What every step reads: tokens to attend to, all of them, and a vector about the whole."""
        tokens = self.tokens_in(tokens_BLW)
        return DiTCondition(tuple(block.cross.keys(tokens) for block in self.blocks), self.whole_in(whole_BW))

    def forward(self, latent_BTD: Tensor, t_B: Tensor, condition: DiTCondition) -> Tensor:
        """Noisy latent_BTD at times ``t_B`` in [0, 1] -> the velocity, of the same shape."""
        told_BW = condition.whole_BW + self.time_in(self.time(t_B.to(latent_BTD.dtype)))
        frames, patch = latent_BTD.shape[1], self.sizes.patch
        begun_BTD = F.pad(latent_BTD + self.before(latent_BTD), (0, 0, 0, -frames % patch))
        x = self.latent_in(begun_BTD.unflatten(1, (-1, patch)).flatten(2))
        steps = x.shape[1]
        told_B6W = None
        if self.told is None:
            x = torch.cat([told_BW[:, None], x], dim=1)
        else:
            told_B6W = self.told(told_BW).unflatten(-1, (6, -1))
        rotary_2SE = rotary_table(x.shape[1], self.sizes.head_width // 2).to(x.device)
        for block, keys in zip(self.blocks, condition.keys, strict=True):
            x = block(x, keys, rotary_2SE, told_B6W)
        out = self.latent_out(x[:, -steps:]).unflatten(-1, (patch, -1)).flatten(1, 2)[:, :frames]
        return out + self.after(out)
