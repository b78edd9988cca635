"""Several pieces decoded together: two rows each, for guidance, in buffers that never move; recorded on a GPU.

Shapes: P pieces, B rows (2 P), K codebooks, S steps, M steps there is room for, L text tokens, D width, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from toccata.engines.recorded import Recorder
from toccata.engines.static_decoder import StaticDecoding
from toccata.models.musicgen.network import Condition, MusicGenNetwork

EVEN = 64
ROOM = 256


class Size(NamedTuple):
    """What a stage has room for; ``added`` whether conditions bring something to add to every step."""

    pieces: int
    tokens: int
    steps: int
    added: bool


class Stage:
    """Buffers for ``size``, used by one batch after another: ``begin``, then call it step by step."""

    def __init__(self, network: MusicGenNetwork, size: Size) -> None:
        self.network, self.size = network, size
        config, like = network.config, network.norm.weight
        B, K = 2 * size.pieces, config.codebooks
        # Codes and, in the last row, places: all that a step is told, so that one copy brings it to the device.
        self.told_KB = torch.zeros(K + 1, B, dtype=torch.int64, device=like.device)
        rotary = config.positions == "rotary"
        self.decoding = StaticDecoding(
            network.blocks, network.norm, network.heads, rotary, self.told_KB[K], size.steps, size.tokens
        )
        self.positions_MD = network.positions(0, size.steps, like)
        self.added_BMD = like.new_zeros(B, size.steps, config.width) if size.added else None
        self.logits_BV = like.new_zeros(B, K * config.vocabulary)
        self.recorder = Recorder(like.device) if like.device.type == "cuda" else None
        self.conditions: Sequence[Condition] = ()
        self.lengths: list[int] = []

    @torch.no_grad()
    def begin(self, conditions: Sequence[Condition]) -> None:
        """A new batch: ``conditions`` of two rows each, as ``MusicGenNetwork.condition`` gives them."""
        self.conditions, self.lengths = conditions, [0] * len(conditions)
        for piece, condition in enumerate(conditions):
            if condition.layers:
                self.decoding.tell(2 * piece, condition.layers, condition.mask_BL)
            if self.added_BMD is not None:
                added_2MD = self.added_BMD[2 * piece : 2 * piece + 2].zero_()
                if condition.steps_BSD is not None:
                    added_2SD = condition.steps_BSD[:, : self.size.steps]
                    steps = added_2SD.shape[1]
                    added_2MD[:, : steps if steps > 1 else None] = added_2SD

    @torch.no_grad()
    def __call__(self, unread: Sequence[Tensor]) -> Tensor:
        """The steps_KS of each piece that it has not read: many only at the start, then one, or none where it is done.

        logits_P2KV after the last of them, overwritten by the next call.
        """
        before = [condition.before for condition in self.conditions]
        if not any(self.lengths) and max(b + u.shape[1] for b, u in zip(before, unread, strict=True)) > 1:
            self.logits_BV.copy_(self._start(unread))
            self.lengths = [b + u.shape[1] for b, u in zip(before, unread, strict=True)]
        else:
            self._advance(unread)
        config = self.network.config
        return self.logits_BV.view(-1, 2, config.codebooks, config.vocabulary)

    def _start(self, unread: Sequence[Tensor]) -> Tensor:
        """All rows from their beginnings, padded at their ends, which no earlier step hears."""
        device = self.told_KB.device
        hidden = [
            self.network.inputs(steps_KS.to(device).expand(2, -1, -1), condition)
            for steps_KS, condition in zip(unread, self.conditions, strict=True)
        ]
        counts = torch.tensor([one.shape[1] for one in hidden]).repeat_interleave(2).to(device)
        longest = max(one.shape[1] for one in hidden)
        padded = [F.pad(one, (0, 0, 0, longest - one.shape[1])) for one in hidden]
        return self.decoding.start(torch.cat(padded), counts)

    def _advance(self, unread: Sequence[Tensor]) -> None:
        going = [steps_KS.shape[1] for steps_KS in unread]  # 1, or 0: such a row reads fillers, and nobody reads it
        places = [length * goes for length, goes in zip(self.lengths, going, strict=True)]
        need = max(places) + 1
        if need > self.size.steps:
            raise ValueError(f"there is room for {self.size.steps} steps, not for {need}")
        filler_K1 = torch.full((self.network.config.codebooks, 1), self.network.config.filler)
        codes_KP = torch.cat([steps_KS if steps_KS.shape[1] else filler_K1 for steps_KS in unread], dim=1)
        told_KP = torch.cat([codes_KP, torch.tensor([places])])
        self.told_KB.copy_(told_KP.repeat_interleave(2, dim=1), non_blocking=True)
        if self.recorder is None:
            self._step(need)
        else:  # a recording for every length would be too many
            self.recorder(self._step, min(-(-need // ROOM) * ROOM, self.size.steps))
        self.lengths = [length + goes for length, goes in zip(self.lengths, going, strict=True)]

    def _step(self, room: int) -> None:
        """What is recorded: from ``told_KB`` to ``logits_BV``, on the device from end to end."""
        place_B = self.told_KB[-1]
        hidden_B1D = self.network.embed(self.told_KB[:-1].T[..., None])
        if self.added_BMD is not None:
            hidden_B1D = hidden_B1D + self.added_BMD[self.decoding.places.row_B, place_B][:, None]
        if self.positions_MD is not None:
            hidden_B1D = hidden_B1D + self.positions_MD[place_B][:, None]
        self.logits_BV.copy_(self.decoding.step(hidden_B1D, room))


class Stages:
    """Stages of one network: the last one used is kept for the next batch of its size."""

    def __init__(self, network: MusicGenNetwork) -> None:
        self.network = network
        self.free: dict[Size, Stage] = {}

    @contextmanager
    def stage(self, conditions: Sequence[Condition], steps: int) -> Iterator[Stage]:
        """One for up to ``steps`` steps after what conditions put before them; nobody else has it within the scope."""
        size = size_for(conditions, steps)
        stage = self.free.pop(size, None)
        self.free.clear()  # before another one takes memory
        stage = stage or Stage(self.network, size)
        stage.begin(conditions)
        try:
            yield stage
        finally:
            self.free = {size: stage}


def size_for(conditions: Sequence[Condition], steps: int) -> Size:
    """Rounded up, so that the next batch finds a stage of its size though its texts differ, and kernels even rows."""
    tokens = _up(max((c.mask_BL.shape[1] for c in conditions if c.layers), default=0))
    before = _up(max(condition.before for condition in conditions))
    return Size(len(conditions), tokens, _up(before + steps), any(c.steps_BSD is not None for c in conditions))


def _up(length: int) -> int:
    return -(-length // EVEN) * EVEN
