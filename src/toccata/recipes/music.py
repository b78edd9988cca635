"""Music to train on as shards of what a model reads: the band's, rendered afresh, or the files of a manifest.

Shapes: N samples.
"""

import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from toccata.corpus.band import labels, piece
from toccata.corpus.stream import PIECES, corpus_name
from toccata.data.mels import ManifestRow, MelPiece, manifest_waves, pieces, read_manifest
from toccata.data.shards import Shard, ShardStore
from toccata.encoders.text import TextEncoder
from toccata.errors import InputError

HELD_OUT_SEED = 10_000


class Reading(Protocol):
    """What a recipe says of its music: where it comes from and how fast shards follow; see ``MusicRecipe``."""

    @property
    def mels(self) -> Path: ...
    @property
    def manifest(self) -> Path | None: ...
    @property
    def preset(self) -> str: ...
    @property
    def steps(self) -> int: ...
    @property
    def first_shards(self) -> int: ...
    @property
    def steps_per_shard(self) -> int: ...
    @property
    def held_out_shards(self) -> int: ...
    @property
    def seed(self) -> int: ...


@dataclass(frozen=True)
class MusicRecipe:
    """What to train and for how long. ``minutes`` ends this run early; the next goes on exactly where it stopped.

    ``manifest`` names sound files (see ``data.mels.read_manifest``), whose last ``held_out_shards`` of 32 are kept for
    judging; without one, band pieces are rendered afresh. Pieces are drawn from the newest ``shards_in_memory`` shards;
    there are ``first_shards`` at the start, and one more every ``steps_per_shard`` steps.
    """

    out: Path = Path("runs/music")
    mels: Path = Path("runs/mels")
    manifest: Path | None = None
    preset: str = "mini"
    steps: int = 3000
    batch: int = 16
    muon_rate: float = 3e-3
    adam_rate: float = 2e-3
    ema: float = 0.99
    decay: float = 0.2
    first_shards: int = 20
    steps_per_shard: int = 8
    shards_in_memory: int = 100
    held_out_shards: int = 8
    seed: int = 1
    workers: int = 1
    threads: int = 1
    minutes: float = float("inf")
    device: str = "cpu"


@dataclass(frozen=True)
class Front:
    """How sound becomes what a model reads: ``shard`` maps pieces (wave_N at ``sample_rate``, record) to a shard.

    ``name`` tells shards of one front from those of another.
    """

    name: str
    sample_rate: int
    shard: Callable[[Iterator[tuple[Tensor, dict[str, Any]]]], Shard]


@dataclass(frozen=True)
class Source:
    """Where pieces come from: shards to train on, how many there are, and held-out ones."""

    train: ShardStore
    count: int
    held_out: ShardStore
    held_out_shards: tuple[int, ...]

    def held_out_pieces(self) -> list[MelPiece]:
        """Where shards hold log-mels."""
        return [p for index in self.held_out_shards for p in pieces(self.held_out.read(index))]


def shards_of(recipe: Reading, front: Front, captioned: bool, words: TextEncoder | None = None) -> Source:
    """Stores of shards, apart for each front: the band's, or the manifest's.

    ``captioned`` asks a caption of each row of a manifest; else none is read. Raises ``InputError`` for captions of
    which ``words``, where they are all that the text tower reads, cover nothing.
    """
    if recipe.manifest is None:

        def store(seed: int) -> ShardStore:
            make = functools.partial(band_shard, seed=seed, front=front)
            return ShardStore(recipe.mels / f"{corpus_name(seed)}-{front.name}", make)

        count = last_shard(recipe) + 1
        return Source(store(recipe.seed), count, store(HELD_OUT_SEED), tuple(range(recipe.held_out_shards)))
    rows = read_manifest(recipe.manifest, captioned)
    for text in (text for row in rows for text in row.captions):
        if words is not None and not words.covers(text):
            raise InputError(f"{recipe.manifest} has a caption without any word that {recipe.preset} knows: {text!r}; "
                             "leave it out, or take a preset that reads with BERT or RoBERTa")  # fmt: skip
    shards = -(-len(rows) // PIECES)
    kept = min(recipe.held_out_shards, shards // 5)
    if not kept:
        raise InputError(f"{recipe.manifest} names {len(rows)} files; give at least {5 * PIECES} to train on")
    name = hashlib.sha256("\n".join(map(_version, rows)).encode()).hexdigest()[:12]
    make = functools.partial(manifest_shard, rows=rows, front=front)
    store_ = ShardStore(recipe.mels / f"manifest-{name}-{front.name}", make)
    return Source(store_, shards - kept, store_, tuple(range(shards - kept, shards)))


def _version(row: ManifestRow) -> str:
    """A row and the state of its file: where either changes, shards are made again."""
    with contextlib.suppress(OSError):
        status = row.path.stat()
        return repr((str(row.path.resolve()), status.st_size, status.st_mtime_ns, row.captions))
    return repr((str(row.path), row.captions))


def band_shard(index: int, seed: int, front: Front) -> Shard:
    """Shard ``index`` of the endless corpus ``seed``."""
    return front.shard(_band(index, seed, front.sample_rate))


def _band(index: int, seed: int, sample_rate: int) -> Iterator[tuple[Tensor, dict[str, Any]]]:
    for number in range(index * PIECES, (index + 1) * PIECES):
        made = piece(seed, number, sample_rate=sample_rate)
        yield torch.from_numpy(made.mix_CN.mean(0)).float(), labels(made)


def manifest_shard(index: int, rows: list[ManifestRow], front: Front) -> Shard:
    """The ``index``-th 32 files."""
    return front.shard(manifest_waves(rows[index * PIECES : (index + 1) * PIECES], front.sample_rate))


def last_shard(recipe: Reading) -> int:
    """Of the endless corpus, the last one that a step draws from."""
    return recipe.first_shards + (recipe.steps - 1) // recipe.steps_per_shard


def newest_shard(recipe: Reading, source: Source, step: int) -> int:
    return min(recipe.first_shards + step // recipe.steps_per_shard, source.count - 1)
