"""Pre-norm transformer blocks.

Shapes: B batch, S steps, L condition length, D width.
"""

from collections.abc import Iterator

import torch.nn.functional as F
from torch import Tensor, nn

from toccata.nn.attention import CrossAttention, KVCache, PlacedCache, SelfAttention


class Block(nn.Module):
    """Self-attention, optionally cross-attention to a condition, then a feed-forward; each after a layer norm.

    The feed-forward has a GELU in its middle; ``gated``, it gates a third projection (arXiv 2002.05202).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        inner: int,
        cross: bool,
        causal: bool = True,
        dropout: float = 0.0,
        bias: bool = False,
        gated: bool = False,
        head_width: int | None = None,
    ) -> None:
        """``bias`` is for self-attention and feed-forward, as vision transformers have it.

        ``head_width`` is that of self-attention, ``width`` / ``heads`` unless given.
        """
        super().__init__()
        self.norm_self = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, causal, bias, head_width)
        self.norm_cross = nn.LayerNorm(width) if cross else None
        self.cross = CrossAttention(width, heads) if cross else None
        self.norm_inner = nn.LayerNorm(width)
        self.up = nn.Linear(width, inner, bias=bias)
        self.gate = nn.Linear(width, inner, bias=bias) if gated else None
        self.down = nn.Linear(inner, width, bias=bias)
        self.dropout = dropout

    def condition(self, text_BLD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of a condition, for ``forward``."""
        if self.cross is None:
            raise ValueError("this block has no cross-attention")
        return self.cross.condition(text_BLD)

    def forward(
        self,
        x_BSD: Tensor,
        condition: tuple[Tensor, Tensor] | None = None,
        condition_mask_BL: Tensor | None = None,
        rotary_2SE: Tensor | None = None,
        cache: KVCache | PlacedCache | None = None,
        mask_BS: Tensor | None = None,
        bias_HSL: Tensor | None = None,
    ) -> Tensor:
        def drop(x: Tensor) -> Tensor:
            return F.dropout(x, self.dropout, self.training) if self.dropout else x

        x = x_BSD + drop(self.attention(self.norm_self(x_BSD), rotary_2SE, cache, mask_BS, bias_HSL))
        if self.cross is not None and condition is not None:
            assert self.norm_cross is not None
            assert condition_mask_BL is not None
            x = x + drop(self.cross(self.norm_cross(x), condition, condition_mask_BL))
        return x + drop(self.down(self._inner(self.norm_inner(x))))

    def _inner(self, x_BSD: Tensor) -> Tensor:
        up = self.up(x_BSD)
        return F.gelu(up) if self.gate is None else F.gelu(self.gate(x_BSD)) * up


class Blocks(nn.ModuleList):
    """A stack of blocks, typed."""

    def __iter__(self) -> Iterator[Block]:
        return super().__iter__()  # type: ignore[return-value]
