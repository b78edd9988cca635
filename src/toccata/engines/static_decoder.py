"""Decoding in buffers that never move, each row at a place of its own: for batches, and for steps to be recorded.

Shapes: B rows, S steps, M steps there is room for, L condition length, D width, H heads, E = D / H, V logits.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from toccata.nn.attention import PlacedCache, Places, rotary_table
from toccata.nn.transformer import Blocks


class StaticDecoding:
    """A stack of causal blocks, a norm and heads at work on ``place_B`` rows, over and over.

    A piece begins with ``tell`` and ``start`` (or with ``step`` at place 0); what an earlier piece left in the cache
    lies past every place and does not count. Before each ``step`` the caller writes to ``place_B``, on the device,
    how many steps each row has behind it.
    """

    def __init__(
        self, blocks: Blocks, norm: nn.LayerNorm, heads: nn.Module, rotary: bool, place_B: Tensor, steps: int, told: int
    ) -> None:
        """Room for ``steps`` steps and a condition of ``told`` tokens."""
        self.blocks, self.norm, self.heads = blocks, norm, heads
        like, B = norm.weight, len(place_B)
        heads_of = {block.attention.heads for block in blocks}
        (H,), D = heads_of, len(like)
        self.places = Places(place_B, steps)
        self.caches = [PlacedCache(H, steps, D // H, like, self.places) for _ in blocks]
        self.step_M = torch.arange(steps, device=like.device)
        self.angles_2ME = rotary_table(steps, D // H).to(like.device) if rotary else None
        self.told: list[tuple[Tensor, Tensor] | None] = [
            None if block.cross is None else (like.new_zeros(B, H, told, D // H), like.new_zeros(B, H, told, D // H))
            for block in blocks
        ]
        self.mask_BL = like.new_zeros(B, told)

    def tell(self, row: int, condition: Sequence[tuple[Tensor, Tensor]], mask_BL: Tensor) -> None:
        """Give the rows from ``row`` on each block's keys and values (B, H, L, E) of their condition."""
        rows, length = slice(row, row + len(mask_BL)), mask_BL.shape[1]
        self.mask_BL[rows] = -torch.inf
        self.mask_BL[rows, :length].masked_fill_(mask_BL, 0.0)
        for kept, given in zip(self.told, condition, strict=True):
            assert kept is not None
            for buffer, tensor in zip(kept, given, strict=True):
                buffer[rows, :, :length] = tensor

    def start(self, hidden_BSD: Tensor, count_B: Tensor) -> Tensor:
        """The first steps, at least two; row b has ``count_B[b]`` -> logits_BV after the last of them."""
        angles_2SE = None if self.angles_2ME is None else self.angles_2ME[:, : hidden_BSD.shape[1]]
        hidden_BSD = self._through(hidden_BSD, None, angles_2SE)
        return self.heads(self.norm(hidden_BSD[self.places.row_B, count_B - 1]))

    def step(self, hidden_B1D: Tensor, room: int) -> Tensor:
        """One step for each row, at its place, which is below ``room`` -> logits_BV. Twice is as once."""
        self.places.room = room
        place_B = self.places.place_B
        later_BM = self.step_M[:room] > place_B[:, None]
        mask_BM = hidden_B1D.new_zeros(later_BM.shape).masked_fill(later_BM, -torch.inf)
        angles = None if self.angles_2ME is None else self.angles_2ME[:, place_B, None, None]  # (2, B, 1, 1, E / 2)
        return self.heads(self.norm(self._through(hidden_B1D, mask_BM, angles)[:, 0]))

    def _through(self, hidden_BSD: Tensor, mask_BM: Tensor | None, angles: Tensor | None) -> Tensor:
        for block, told, cache in zip(self.blocks, self.told, self.caches, strict=True):
            hidden_BSD = block(hidden_BSD, told, self.mask_BL, angles, cache, mask_BM)
        return hidden_BSD
