"""Token shards: the codes of a codec for audio that training reads again and again.

Shapes: K codebooks, T frames.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from toccata.data.shards import Shard


@dataclass(frozen=True)
class TokenPiece:
    """One piece: codes_KT (int16), its score roll at the same frames, and its record (captions, labels)."""

    codes_KT: Tensor
    roll_TR: Tensor
    record: dict[str, Any]

    @property
    def body_frames(self) -> int:
        """Frames before the ending, if the record tells of one: all frames otherwise."""
        return int(self.codes_KT.shape[1] * body(self.record))


def body(record: dict[str, Any]) -> float:
    """The share of a piece that comes before its ending, if the record tells of one."""
    endings = [section["start"] for section in record.get("sections", ()) if section["name"] == "ending"]
    return endings[0] / record["seconds"] if endings else 1.0


def encode_shard(audio: Shard, encode: Callable[[Tensor], Tensor]) -> Shard:
    """Audio pieces -> ``codes`` (K, sum of T) int16, ``roll`` (sum of T, R) uint8 and records with ``frames``.

    ``audio`` holds ``wave`` (int16) and ``roll`` of all pieces end to end; the roll is read at the codec's frame rate.
    """
    tensors, records = audio
    codes, rolls, kept = [], [], []
    waves = tensors["wave"].split([record["samples"] for record in records])
    for wave, roll, record in zip(waves, tensors["roll"].split([r["frames"] for r in records]), records, strict=True):
        codes.append(encode(wave.float()[None, None] / 32767)[0].to(torch.int16))
        frames = codes[-1].shape[1]
        rolls.append(roll[torch.arange(frames) * len(roll) // frames])
        kept.append({**record, "frames": frames})
    return {"codes": torch.cat(codes, dim=1), "roll": torch.cat(rolls)}, kept


def pieces(shard: Shard) -> list[TokenPiece]:
    """The pieces of a token shard."""
    tensors, records = shard
    frames = [record["frames"] for record in records]
    codes, rolls = tensors["codes"].split(frames, dim=1), tensors["roll"].split(frames)
    return [TokenPiece(c, roll, r) for c, roll, r in zip(codes, rolls, records, strict=True)]


class Crop(NamedTuple):
    """A stretch of a piece from frame ``start`` on."""

    codes_KT: Tensor
    roll_TR: Tensor
    start: int


def crop(piece: TokenPiece, frames: int, filler: int, generator: torch.Generator, from_start: float = 0.5) -> Crop:
    """A stretch of ``frames`` frames, from the start with that probability; short pieces are filled up.

    It stops before the piece's ending: a model that has heard pieces end would end before the time it is asked for.
    """
    total = piece.body_frames
    slack = max(total - frames, 0)
    start = int(torch.randint(slack + 1, (), generator=generator))
    if float(torch.rand((), generator=generator)) < from_start:
        start = 0
    stop = min(start + frames, total)
    codes, roll = piece.codes_KT[:, start:stop].long(), piece.roll_TR[start:stop]
    missing = frames - codes.shape[1]
    pad = torch.nn.functional.pad
    return Crop(pad(codes, (0, missing), value=filler), pad(roll, (0, 0, 0, missing)), start)
