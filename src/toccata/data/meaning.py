"""Shards of everything that MusicLM's stages learn from, of sound alone: codes, semantic, MuLan's and melody tokens.

Shapes: K codebooks, T frames, W windows, N samples.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from toccata.data.shards import Shard
from toccata.errors import InputError

MELODY_EVERY = 1.0


@dataclass(frozen=True)
class MeaningPiece:
    """One piece as codes_KT, semantic_KT (one level) and mulan_KW, MuLan's tokens of windows all along; all int16.

    So is melody_KW, the melody's, where there is an encoder of it: of a window every ``MELODY_EVERY`` seconds, or of
    the frames of the tune that it gives back.
    """

    codes_KT: Tensor
    semantic_KT: Tensor
    mulan_KW: Tensor
    melody_KW: Tensor | None = None


@dataclass(frozen=True)
class Reader:
    """How one encoder reads a piece: ``read`` maps wave_N at ``sample_rate`` to tokens (K, frames)."""

    sample_rate: int
    read: Callable[[Tensor], Tensor]


def meaning_shard(
    waves: Iterable[Tensor],
    sample_rate: int,
    readers: dict[str, Reader],
    resample: Callable[[Tensor, int, int], Tensor],
) -> Shard:
    """Mono waves -> for each of ``readers`` the tokens of all pieces end to end, and records with their frames."""
    found: dict[str, list[Tensor]] = {name: [] for name in readers}
    for wave_N in waves:
        for name, reader in readers.items():
            found[name].append(reader.read(resample(wave_N, sample_rate, reader.sample_rate)).to(torch.int16))
    count = len(next(iter(found.values())))
    if not count:
        raise InputError("none of a shard's sound files could be read; mend the manifest, or leave them out of it")
    records = [{name: found[name][i].shape[1] for name in readers} for i in range(count)]
    return {name: torch.cat(parts, dim=1) for name, parts in found.items()}, records


def pieces(shard: Shard) -> list[MeaningPiece]:
    """The pieces of a shard."""
    tensors, records = shard
    names = [name for name in ("codes", "semantic", "mulan", "melody") if name in tensors]
    parts = [tensors[name].split([record[name] for record in records], dim=1) for name in names]
    return [MeaningPiece(*one) for one in zip(*parts, strict=True)]


@dataclass(frozen=True)
class MeaningCrop:
    """The same stretch of a piece in every kind of token; mulan_KT is of one frame."""

    codes_KT: Tensor
    semantic_KT: Tensor
    mulan_KT: Tensor
    melody_KT: Tensor | None = None


def crop(
    piece: MeaningPiece,
    frames: int,
    ratio: int,
    generator: torch.Generator,
    melody: Sequence[float] = (),
    rate: float = 25.0,
    tune_rate: float = 0.0,
) -> MeaningCrop | None:
    """``frames`` codec frames from a semantic token on, of which there is one for ``ratio`` frames; None if too short.

    MuLan's tokens are those of a window that reaches into the stretch. ``melody`` says how many seconds after its
    beginning the windows begin whose melody is told (the nearest that there are), ``rate`` is semantic tokens a second.
    Where the melody is a tune it has ``tune_rate`` frames a second, all of which are told.
    """
    tokens = -(-frames // ratio)
    slack = min(piece.semantic_KT.shape[1], piece.codes_KT.shape[1] // ratio) - tokens
    if slack < 0:
        return None
    start = int(torch.randint(slack + 1, (), generator=generator))
    middle = (start + tokens / 2) / piece.semantic_KT.shape[1]
    window = min(int(middle * piece.mulan_KW.shape[1]), piece.mulan_KW.shape[1] - 1)
    codes_KT = piece.codes_KT[:, start * ratio : start * ratio + frames]
    semantic_KT, mulan_KT = piece.semantic_KT[:, start : start + tokens], piece.mulan_KW[:, window : window + 1]
    melody_KT = None
    if piece.melody_KW is not None and melody:
        nearest = [round((start / rate + seconds) / MELODY_EVERY) for seconds in melody]
        if tune_rate:
            first = round(start / rate * tune_rate)
            nearest = list(range(first, first + math.ceil(tokens / rate * tune_rate)))
        melody_KT = piece.melody_KW[:, torch.tensor(nearest).clamp(max=piece.melody_KW.shape[1] - 1)].long()
    return MeaningCrop(codes_KT.long(), semantic_KT.long(), mulan_KT.long(), melody_KT)
