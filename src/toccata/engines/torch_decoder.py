"""Decoding with torch alone, on any device; on a CPU from weights laid out as its matrix units read them.

Shapes: B rows, S steps, L condition length, D width, V logits.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from toccata.nn.attention import KVCache, RelativeBias, rotary_table
from toccata.nn.transformer import Blocks


class TorchDecoder:
    """A stack of causal blocks, a norm and heads, as they are; ``distances`` where attention is biased by them."""

    def __init__(
        self, blocks: Blocks, norm: nn.LayerNorm, heads: nn.Module, rotary: bool, distances: RelativeBias | None = None
    ) -> None:
        self.blocks, self.norm, self.heads = blocks, norm, heads
        self.rotary, self.distances = rotary, distances

    def begin(
        self, rows: int, steps: int, condition: Sequence[tuple[Tensor, Tensor]] = (), mask_BL: Tensor | None = None
    ) -> "TorchDecoding":
        """A new piece of up to ``steps`` steps, with each block's keys and values (B, H, L, E) of its condition."""
        return TorchDecoding(self, rows, steps, condition, mask_BL)


class TorchDecoding:
    """One piece as it is decoded: the cache, the condition, and how many steps there are."""

    def __init__(
        self,
        decoder: TorchDecoder,
        rows: int,
        steps: int,
        condition: Sequence[tuple[Tensor, Tensor]],
        mask_BL: Tensor | None,
    ) -> None:
        self.decoder, self.condition = decoder, condition
        like = decoder.norm.weight
        # In numbers, as attention adds it: otherwise every layer would turn it into them at every step.
        self.mask_BL = None if mask_BL is None else like.new_zeros(mask_BL.shape).masked_fill(~mask_BL, -torch.inf)
        heads = next(iter(decoder.blocks)).attention.heads
        width = len(like) // heads
        self.caches = [KVCache(rows, heads, steps, width, like) for _ in decoder.blocks]
        self.angles_2ME = rotary_table(steps, width).to(like.device) if decoder.rotary else None

    @property
    def length(self) -> int:
        return self.caches[0].length

    @torch.no_grad()
    def __call__(self, hidden_BSD: Tensor) -> Tensor:
        """The next steps (many only at the start, then one at a time) -> logits_BV after the last of them."""
        start, end = self.length, self.length + hidden_BSD.shape[1]
        angles_2SE = None if self.angles_2ME is None else self.angles_2ME[:, start:end]
        bias_HSL = None if self.decoder.distances is None else self.decoder.distances(start, end)
        for index, block in enumerate(self.decoder.blocks):
            told = self.condition[index] if self.condition else None
            hidden_BSD = block(hidden_BSD, told, self.mask_BL, angles_2SE, self.caches[index], bias_HSL=bias_HSL)
        return self.decoder.heads(self.decoder.norm(hidden_BSD[:, -1]))


class PackedLinear(nn.Module):
    """A linear layer without bias, its weight in oneDNN's own layout: two rows then go as fast as memory does."""

    def __init__(self, linear: nn.Linear, rows: int = 2) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), rows)

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, None, "none", [], "")


def lay_out(module: nn.Module) -> None:
    """Let the weights of ``module``'s layers that widen lie column by column, for a small model on a CPU.

    The numbers are the same; a product with two rows, as guidance has them, then reads them in their order.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear) and layer.out_features > layer.in_features:
            layer.weight.data = layer.weight.data.T.contiguous().T


def pack(module: nn.Module) -> None:
    """Put packed layers in the place of ``module``'s linear ones, for a CPU and without gradients."""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear) and child.bias is None:
            setattr(module, name, PackedLinear(child))
        else:
            pack(child)
