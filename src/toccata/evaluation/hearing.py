"""Listening to a set: each judge hears each clip once, and what it heard is kept, so that a stopped run goes on."""

import contextlib
import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from toccata.clip import Clip
from toccata.errors import InputError, OutputError, ToccataError
from toccata.evaluation.sets import Item

Found = dict[str, np.ndarray]
Tell = Callable[[float, float], Any]


class Judge(Protocol):
    """Something that hears a clip and says what it found, as arrays with names."""

    @property
    def recipe(self) -> dict[str, Any]:
        """All that decides what it finds (weights' hash, rate, windows), as a plain dictionary."""
        ...

    def hear(self, clip: Clip) -> Found:
        """Any rate, channels and length; raises ``InputError`` for what it can't judge."""
        ...


@dataclass(frozen=True)
class Hearing:
    """The clips of a set that could be heard; ``left_out`` says why the others could not.

    What was found lies on disk (``kept``); only names and hashes are held.
    """

    items: tuple[Item, ...]
    digests: tuple[str, ...]
    left_out: tuple[str, ...]
    kept: Path

    def __len__(self) -> int:
        return len(self.items)

    def found(self, judge: Judge, name: str) -> Iterator[np.ndarray]:
        """What ``judge`` called ``name``, clip by clip."""
        return (self.of(judge, clip)[name] for clip in range(len(self)))

    def of(self, judge: Judge, clip: int) -> Found:
        """All that ``judge`` found in one clip."""
        found = _read(_place(self.kept, judge, self.digests[clip]))
        if found is None:
            raise OutputError(f"what was kept in {self.kept} has gone while it was needed; run it again")
        return found


def listen(
    items: Sequence[Item], judges: Sequence[Judge], kept: Path, tell: Tell = lambda done, total: None
) -> Hearing:
    """Have every judge hear every clip that it has not heard before (by the file's content and the judge's recipe).

    A clip that one of them can't hear is left out for all. Raises ``OutputError`` where ``kept`` can't be written.
    """
    heard, digests, left_out = [], [], []
    for done, item in enumerate(items):
        try:
            digest = item.digest()
            _hear(item, digest, judges, kept)
        except InputError as error:
            left_out.append(str(error))
        else:
            heard.append(item)
            digests.append(digest)
        tell(done + 1, len(items))
    return Hearing(tuple(heard), tuple(digests), tuple(left_out), kept)


def _hear(item: Item, digest: str, judges: Sequence[Judge], kept: Path) -> None:
    missing = [judge for judge in judges if _read(_place(kept, judge, digest)) is None]
    if not missing:
        return
    clip = item.load()
    for judge in missing:
        try:
            found = judge.hear(clip)
        except ToccataError as error:
            raise InputError(f"{item.shown}: {error}") from None
        if not all(np.isfinite(array).all() for array in found.values()):
            raise InputError(f"{item.shown} gives numbers that are not finite; look at its samples")
        _write(_place(kept, judge, digest), found)


def recipe_hash(judge: Judge) -> str:
    return hashlib.sha256(json.dumps(judge.recipe, sort_keys=True).encode()).hexdigest()[:16]


def _place(kept: Path, judge: Judge, digest: str) -> Path:
    return kept / recipe_hash(judge) / digest[:2] / f"{digest[2:34]}.npz"


def _read(path: Path) -> Found | None:
    """What is kept there; None where there is nothing whole."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return dict(file)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def _write(path: Path, found: Found) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez(file, **found)  # type: ignore[arg-type]
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise OutputError(
            f"{path.parent} cannot be written ({error.strerror}); set TOCCATA_HOME to a folder that can"
        ) from None
