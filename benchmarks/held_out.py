"""Held-out band pieces: excerpts with their labels, of 12 seconds if not told, kept under runs/bench/band."""

import hashlib
import json
import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import CACHE, ROOT
from toccata.corpus.band import labels, piece
from toccata.corpus.instruments import INSTRUMENTS
from toccata.corpus.score import Score

HELD_OUT = 10_000
CALIBRATION = 20_000
RATE = 24000
SECONDS = 12.0


@dataclass(frozen=True)
class Excerpt:
    """The first seconds of a piece in mono, its labels, and which families of instruments play in them."""

    wave_N: np.ndarray
    labels: dict[str, Any]
    heard: frozenset[str]


def excerpts(seed: int, indices: Sequence[int], seconds: float = SECONDS) -> list[Excerpt]:
    """Excerpts of the pieces ``indices`` of the corpus ``seed``; what is missing is rendered on all cores.

    A piece that is shorter is followed by silence.
    """
    paths = [_path(seed, index, seconds) for index in indices]
    missing = [(seed, index, path, seconds) for index, path in zip(indices, paths, strict=True) if not path.is_file()]
    if missing:
        # Spawned, because a fork of a process that runs threads may hang.
        with multiprocessing.get_context("spawn").Pool(min(len(os.sched_getaffinity(0)), len(missing))) as pool:
            pool.starmap(_render, missing, chunksize=1)
    return [_read(path) for path in paths]


def sounding(score: Score, seconds: float) -> list[str]:
    """The families that strike a note within the first ``seconds``."""
    return sorted({
        INSTRUMENTS[track.instrument].family
        for track in score.tracks
        if any(score.seconds_at(note.start) < seconds - 0.5 for note in track.notes)
    })  # fmt: skip


def _render(seed: int, index: int, target: Path, seconds: float) -> None:
    made = piece(seed, index, sample_rate=RATE)
    wave = np.zeros(int(seconds * RATE), np.float32)
    mono = made.mix_CN.mean(0)[: len(wave)]
    wave[: len(mono)] = mono
    known = json.dumps({"labels": labels(made), "heard": sounding(made.score, seconds)})
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.stem}.{os.getpid()}.part.npz")
    np.savez(part, wave=np.round(wave * 32767).astype(np.int16), known=np.array(known))
    os.replace(part, target)


def _read(path: Path) -> Excerpt:
    with np.load(path) as stored:
        known = json.loads(str(stored["known"]))
        return Excerpt(stored["wave"].astype(np.float32) / 32767, known["labels"], frozenset(known["heard"]))


def _path(seed: int, index: int, seconds: float) -> Path:
    length = "" if seconds == SECONDS else f"-{seconds:g}s"
    return CACHE / "band" / edition() / f"{seed}-{index:05d}{length}.npz"


@lru_cache
def edition() -> str:
    """Changes with any line of the band's source, so that no old render is taken for a new one."""
    digest = hashlib.sha256()
    for file in sorted((ROOT / "src" / "toccata" / "corpus").glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
