"""Token shards: the codes of a codec for audio that training reads again and again.

Shapes: K codebooks, T frames.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from toccata.data.shards import Shard


@dataclass(frozen=True)
class TokenPiece:
    """One piece: codes_KT (int16) and its record (captions, labels)."""

    codes_KT: Tensor
    record: dict[str, Any]


def encode_shard(audio: Shard, encode: Callable[[Tensor], Tensor]) -> Shard:
    """Audio pieces (``wave`` end to end, int16) -> ``codes`` (K, sum of T) int16 and records with ``frames``."""
    tensors, records = audio
    codes, kept = [], []
    waves = tensors["wave"].split([record["samples"] for record in records])
    for wave, record in zip(waves, records, strict=True):
        codes.append(encode(wave.float()[None, None] / 32767)[0].to(torch.int16))
        kept.append({**record, "frames": codes[-1].shape[1]})
    return {"codes": torch.cat(codes, dim=1)}, kept


def pieces(shard: Shard) -> list[TokenPiece]:
    """The pieces of a token shard."""
    tensors, records = shard
    codes = tensors["codes"].split([record["frames"] for record in records], dim=1)
    return [TokenPiece(c, r) for c, r in zip(codes, records, strict=True)]


def crop(piece: TokenPiece, frames: int, filler: int, generator: torch.Generator, from_start: float = 0.5) -> Tensor:
    """A stretch of ``frames`` frames (K, T), from the start with that probability; short pieces are filled up."""
    total = piece.codes_KT.shape[1]
    slack = max(total - frames, 0)
    start = int(torch.randint(slack + 1, (), generator=generator))
    if float(torch.rand((), generator=generator)) < from_start:
        start = 0
    codes = piece.codes_KT[:, start : start + frames].long()
    return torch.nn.functional.pad(codes, (0, frames - codes.shape[1]), value=filler)
