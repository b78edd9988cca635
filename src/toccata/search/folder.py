"""A folder of music by what it sounds like: an embedding of every file, kept between runs and brought up to date.

Shapes: N files, D width.
"""

import contextlib
import hashlib
import os
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toccata.data.sounds import cache_folder, sounds_below
from toccata.errors import ToccataError

_SAVE_EVERY = 30.0

Progress = Callable[[float, float], None]


@dataclass(frozen=True)
class Library:
    """``rows_ND`` of unit length, one for each of ``paths``; ``problems`` say why other files have none."""

    paths: tuple[Path, ...]
    rows_ND: Tensor
    problems: tuple[str, ...]

    def nearest(self, row_D: Tensor, count: int) -> list[tuple[Path, float]]:
        """The ``count`` files most like an embedding, with their cosine, best first; ties by name."""
        near_N = self.rows_ND @ row_D
        best = torch.sort(near_N, descending=True, stable=True).indices[:count].tolist()
        return [(self.paths[i], float(near_N[i])) for i in best]


@dataclass(frozen=True)
class _Known:
    """What is kept of a file: its size and time when it was heard, and its embedding."""

    size: int
    time: int
    row_D: np.ndarray


def kept_at(folder: Path, model: str) -> Path:
    """Where the embeddings of ``folder`` by a model, named by its hash, are kept on this machine."""
    name = hashlib.sha256(f"{model} ".encode() + os.fsencode(folder.resolve())).hexdigest()[:24]
    return cache_folder() / "embeddings" / f"{name}.npz"


def library(
    folder: Path, embed: Callable[[Path], Tensor], kept: Path, progress: Progress = lambda done, total: None
) -> Library:
    """Embeddings of all sound files below ``folder``; only what is new or changed is heard.

    What ``kept`` holds is written every half minute, and where the run is interrupted. Files and folders that cannot be
    read are listed and tried again next time. Raises ``InputError`` where there is no sound file at all.
    """
    problems: list[str] = []
    closed: list[Path] = []
    paths = sounds_below(folder, closed)
    known, fresh = _read(kept), dict[str, _Known]()
    dirty, saved = False, time.monotonic()
    try:
        for done, path in enumerate(paths):
            name = path.relative_to(folder).as_posix()
            try:
                status = path.stat()
                old = known.get(name)
                if old is None or (old.size, old.time) != (status.st_size, status.st_mtime_ns):
                    old = _Known(status.st_size, status.st_mtime_ns, embed(path).cpu().numpy())
                    dirty = True
                    progress(done + 1, len(paths))
                fresh[name] = old
            except (ToccataError, OSError) as error:
                problems.append(str(error))
            if dirty and time.monotonic() - saved > _SAVE_EVERY:
                _write(kept, known | fresh)
                saved = time.monotonic()
        for name in known.keys() - fresh.keys():
            if not any(place in (folder / name).parents for place in closed):
                del known[name]
                dirty = True
    finally:
        unwritten = _write(kept, known | fresh) if dirty else None
    problems += [f"{place} cannot be opened; its files are not searched" for place in closed]
    problems += [unwritten] if unwritten else []
    rows = [torch.from_numpy(file.row_D) for file in fresh.values()]
    return Library(
        tuple(folder / name for name in fresh), torch.stack(rows) if rows else torch.zeros(0, 1), tuple(problems)
    )


def _read(kept: Path) -> dict[str, _Known]:
    """What an earlier run kept; nothing where that cannot be read."""
    try:
        with kept.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            names, sizes, times, rows = (file[key] for key in ("names", "sizes", "times", "rows"))
        told = zip(names.tolist(), sizes.tolist(), times.tolist(), rows, strict=True)
        return {str(name): _Known(size, moment, row) for name, size, moment, row in told}
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return {}


def _write(kept: Path, files: dict[str, _Known]) -> str | None:
    """Replace what is kept; where that fails, say why: what was heard is still of use."""
    part = kept.with_suffix(f".{os.getpid()}.part")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez(
                file, names=np.array(list(files), dtype=np.str_), sizes=np.array([f.size for f in files.values()]),
                times=np.array([f.time for f in files.values()]),
                rows=np.array([f.row_D for f in files.values()], np.float32),
            )  # fmt: skip
        os.replace(part, kept)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        return (
            f"{kept} cannot be written ({error.strerror}), so all is heard again next time; "
            "set TOCCATA_HOME to a folder that can"
        )
    return None
