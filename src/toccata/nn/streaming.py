"""Networks with a finite view, on sequences that come in parts: outputs join to those of the whole sequence.

Shapes: T frames last, B batch, C channels, N samples.
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor


def in_parts(
    parts: Iterable[Tensor], network: Callable[[Tensor], Tensor], before: int, after: int, stride: int = 1
) -> Iterator[Tensor]:
    """Parts (..., T) -> parts that join to ``network`` of the whole, in constant memory.

    ``network`` turns T frames into T x ``stride``; what it makes of a frame depends on ``before`` frames before it
    and ``after`` after it, on its own padding at the very ends of the sequence and on nothing else.
    """
    recent: Tensor | None = None
    first = seen = given = 0  # the frame that ``recent`` starts with; how many came in; how many went out
    for part in parts:
        recent = part if recent is None else torch.cat([recent, part], dim=-1)
        seen += part.shape[-1]
        # At its start, a sequence padded by reflection looks as far ahead as it would look back.
        if seen <= before + after or seen <= given + after:
            continue
        made = network(recent)
        yield made[..., (given - first) * stride : (seen - after - first) * stride]
        given = seen - after
        start = max(first, given - before)
        recent, first = recent[..., start - first :], start
    if recent is not None and given < seen:
        yield network(recent)[..., (given - first) * stride :]


def overlap_add(chunks_BCN: Iterable[Tensor], length: int, hop: int) -> Iterator[Tensor]:
    """Chunks that start ``hop`` samples apart -> parts of their mean, each weighted by a triangle over ``length``.

    So neighbours fade into each other in a straight line. All chunks but the last are ``length`` long, at most 2 hop.
    """
    ramp = torch.arange(1, length + 1) / (length + 1)
    weight_N = torch.minimum(ramp, 1 - ramp)
    held: tuple[Tensor, Tensor] | None = None
    for chunk_BCN in chunks_BCN:
        weights = weight_N[: chunk_BCN.shape[-1]].to(chunk_BCN)
        total = chunk_BCN * weights
        if held is not None:
            overlap = held[0].shape[-1]
            total = torch.cat([total[..., :overlap] + held[0], total[..., overlap:]], dim=-1)
            weights = torch.cat([weights[:overlap] + held[1], weights[overlap:]])
        yield total[..., :hop] / weights[:hop]
        held = total[..., hop:], weights[hop:]
    if held is not None and held[1].numel():
        yield held[0] / held[1]


def in_chunks(parts: Iterable[Tensor], length: int) -> Iterator[Tensor]:
    """The same sequence along the last dimension, cut anew: every part but the last is ``length`` long."""
    rest: Tensor | None = None
    for part in parts:
        rest = part if rest is None else torch.cat([rest, part], dim=-1)
        while rest.shape[-1] >= length:
            yield rest[..., :length]
            rest = rest[..., length:]
    if rest is not None and rest.shape[-1]:
        yield rest
