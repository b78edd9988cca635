"""Shards of log-mels and captions, for towers that read music by the window: of band pieces or of a manifest's files.

Shapes: T frames, M mel bands, N samples.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from toccata.audio.io import Limits, read
from toccata.audio.resample import resample
from toccata.data.shards import Shard
from toccata.errors import InputError

SHORTEST_SECONDS = 0.1
LONGEST = Limits(max_seconds=3600.0, max_bytes=2**31)


@dataclass(frozen=True)
class MelPiece:
    """One piece: mel_TM (float16), and its record with ``captions``."""

    mel_TM: Tensor
    record: dict[str, Any]


def mel_shard(waves: Iterator[tuple[Tensor, dict[str, Any]]], mels: Callable[[Tensor], Tensor]) -> Shard:
    """Pieces (wave_N, record) -> ``mel`` (sum of T, M) float16 and records with ``frames``; ``mels`` maps (1, N)."""
    found, kept = [], []
    for wave_N, record in waves:
        found.append(mels(wave_N[None])[0].half())
        kept.append({**record, "frames": len(found[-1])})
    if not found:
        raise InputError("none of a shard's sound files could be read; mend the manifest, or leave them out of it")
    return {"mel": torch.cat(found)}, kept


def pieces(shard: Shard) -> list[MelPiece]:
    """The pieces of a shard."""
    tensors, records = shard
    mels = tensors["mel"].split([record["frames"] for record in records])
    return [MelPiece(mel, record) for mel, record in zip(mels, records, strict=True)]


def crop(piece: MelPiece, frames: int, generator: torch.Generator) -> Tensor:
    """(``frames``, M) from anywhere in the piece; a shorter piece is repeated."""
    mel_TM = piece.mel_TM
    if len(mel_TM) < frames:
        mel_TM = mel_TM.repeat(-(-frames // len(mel_TM)), 1)
    start = int(torch.randint(len(mel_TM) - frames + 1, (), generator=generator))
    return mel_TM[start : start + frames]


def masked(mel_TM: Tensor, generator: torch.Generator, frames: int = 40, bands: int = 16, count: int = 2) -> Tensor:
    """SpecAugment (arXiv 1904.08779) without warping: ``count`` stripes of up to so many frames, and of bands.

    They become the mean of all, as loud as the rest.
    """
    mel_TM, mean = mel_TM.clone(), float(mel_TM.float().mean())
    for dim, most in ((0, frames), (1, bands)):
        for _ in range(count):
            width = int(torch.randint(min(most, mel_TM.shape[dim]) + 1, (), generator=generator))
            start = int(torch.randint(mel_TM.shape[dim] - width + 1, (), generator=generator))
            mel_TM.narrow(dim, start, width).fill_(mean)
    return mel_TM


@dataclass(frozen=True)
class ManifestRow:
    """A sound file and what is said of it."""

    path: Path
    captions: tuple[str, ...]


def read_manifest(path: Path, captioned: bool = True) -> list[ManifestRow]:
    """The rows of a JSONL manifest: ``path`` (beside the manifest, or absolute) and ``captions``, or one ``caption``.

    Without ``captioned`` only the path is read.

    A caption is a text or an object with ``text``, as ``toccata corpus make`` writes them. Raises ``InputError``.
    """
    rows = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); give a manifest, a JSON object a line") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            said = json.loads(line)
            rows.append(ManifestRow(path.parent / said["path"], _captions(said) if captioned else ()))
        except (ValueError, KeyError, TypeError):
            example = '{"path": "a.flac", "captions": ["slow piano"]}' if captioned else '{"path": "a.flac"}'
            raise InputError(f"line {number} of {path} is no row of a manifest; write it like {example}") from None
    if not rows:
        raise InputError(f"{path} is empty; give a row for each sound file")
    return rows


def _captions(said: dict[str, Any]) -> tuple[str, ...]:
    captions = said["captions"] if "captions" in said else [said["caption"]]
    texts = tuple(c["text"] if isinstance(c, dict) else c for c in captions)
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise ValueError("no caption")
    return texts


def manifest_waves(rows: list[ManifestRow], sample_rate: int) -> Iterator[tuple[Tensor, dict[str, Any]]]:
    """(wave_N, record) of each row, mono at ``sample_rate``; what cannot be read is told and left out."""
    for row in rows:
        try:
            samples_CN, rate = read(row.path, LONGEST)
        except InputError as error:
            print(f"left out: {error}", flush=True)
            continue
        if samples_CN.shape[1] < SHORTEST_SECONDS * rate:
            print(f"left out: {row.path} is shorter than {SHORTEST_SECONDS:g} seconds", flush=True)
            continue
        mono = resample(samples_CN.mean(0, keepdims=True), rate, sample_rate)[0]
        yield torch.from_numpy(mono), {"captions": [{"text": text} for text in row.captions]}
