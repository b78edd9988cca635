"""Writes a corpus of the house band's pieces: FLAC files and a manifest, the same bytes for the same seed."""

import json
import math
import multiprocessing
import os
import shutil
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from toccata.audio.io import write, write_whole
from toccata.corpus.band import EDITION, play, sheet, sheet_labels
from toccata.corpus.soundfonts import FONTS, soundfont
from toccata.corpus.tunefiles import COLLECTIONS, collection_file
from toccata.corpus.tunes import SOURCES
from toccata.errors import InputError, OutputError, ToccataError

_FOLDER_SIZE = 1000
_RECORD = "corpus.json"
_MANIFEST = "manifest.jsonl"


@dataclass(frozen=True)
class _Corpus:
    """What decides a corpus's bytes."""

    seed: int
    sample_rate: int
    stems: bool
    edition: int = EDITION
    tunes: bool = False

    @property
    def sources(self) -> tuple[str, ...]:
        return ("composer", *SOURCES) if self.tunes else ("composer",)


class _Made(NamedTuple):
    seconds: float
    line: str


def make(
    folder: str | os.PathLike[str],
    hours: float,
    seed: int = 0,
    workers: int = 1,
    sample_rate: int = 24000,
    stems: bool = False,
    progress: Callable[[float, float], None] | None = None,
    tunes: bool = False,
) -> Path:
    """Write at least ``hours`` of pieces into ``folder`` and return the path of its manifest.

    Pieces are stereo 16-bit FLAC files in sub-folders of 1,000; ``manifest.jsonl`` has a line a piece: ``path``,
    ``seconds``, ``captions``, ``labels`` (see ``band.sheet_labels``). With ``stems``, a folder beside each piece holds
    its tracks and ``room``, which add up to the mix. The same seed, rate and hours give the same bytes with any number
    of ``workers``; a run that was cut off, even by a kill, goes on where it stopped. More hours extend a corpus.
    ``progress`` is called with seconds done and seconds wanted. With ``tunes``, one piece in seven is arranged from the
    collections of ``tunes.SOURCES``; the others stay as they are.

    Raises InputError for arguments that can't be met or a folder that holds another corpus, OutputError when the folder
    can't be written or the disk is full.
    """
    _check(hours, seed, workers, sample_rate)
    folder, corpus = Path(folder), _Corpus(seed, sample_rate, stems, tunes=tunes)
    for name in FONTS:
        soundfont(name)
    for name in COLLECTIONS if tunes else ():
        collection_file(name)
    _open(folder, corpus, hours)
    made: list[_Made] = []
    wanted = hours * 3600
    done = 0.0
    with _crew(workers) as crew:
        for one in _in_order(crew, folder, corpus, window=2 * workers):
            made.append(one)
            done += one.seconds
            if progress is not None:
                progress(done, wanted)
            if done >= wanted:
                break
    _clear(folder, keep=len(made))
    write_whole(folder / _MANIFEST, "".join(one.line for one in made).encode())
    return folder / _MANIFEST


def _check(hours: float, seed: int, workers: int, sample_rate: int) -> None:
    if not (math.isfinite(hours) and hours > 0):
        raise InputError(f"A corpus of {hours} hours cannot be made; ask for more than 0.")
    if seed < 0:
        raise InputError(f"The seed {seed} is negative; choose 0 or more.")
    if workers < 1:
        raise InputError(f"{workers} workers cannot make anything; choose 1 or more.")
    if not 8000 <= sample_rate <= 48000:
        raise InputError(f"A sample rate of {sample_rate} Hz cannot be rendered; choose one from 8000 to 48000.")


def _open(folder: Path, corpus: _Corpus, hours: float) -> None:
    """Make or take up ``folder``, refusing what holds something else."""
    record = folder / _RECORD
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strangers = not record.exists() and any(not _is_part(path) for path in folder.iterdir())
        found = json.loads(record.read_text()) if record.exists() else {}
    except OSError as error:
        raise OutputError(f"{folder} cannot be used: {error.strerror}; choose another folder.") from None
    except ValueError:
        raise InputError(f"{record} is damaged; delete the folder or choose another.") from None
    if strangers:
        raise InputError(f"{folder} holds other files; choose an empty or a new folder.")
    for name, value in asdict(corpus).items():
        there = found.get(name, getattr(_Corpus, name, None))
        if found and there != value:
            raise InputError(
                f"{folder} holds a corpus of {name.replace('_', ' ')} {there}, not {value};"
                " choose another folder, or ask for the same to go on with it."
            )
    if found and found["hours"] > hours:
        raise InputError(f"{folder} holds {found['hours']:g} hours already; ask for as many, or choose another folder.")
    write_whole(record, (json.dumps({**asdict(corpus), "hours": hours}, indent=1) + "\n").encode())


@contextmanager
def _crew(workers: int) -> Iterator[Executor | None]:
    """Processes that make pieces; None stands for this process alone."""
    if workers == 1:
        yield None
        return
    context = multiprocessing.get_context("spawn")
    crew = ProcessPoolExecutor(workers, context, initializer=_settle)
    try:
        yield crew
    except BrokenProcessPool:
        raise ToccataError("A worker was killed, perhaps for memory; run it again with fewer workers.") from None
    finally:
        crew.shutdown(cancel_futures=True)


def _settle() -> None:
    """A worker leaves Ctrl-C to its parent, and doesn't outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _in_order(crew: Executor | None, folder: Path, corpus: _Corpus, window: int) -> Iterator[_Made]:
    """Pieces 0, 1, 2, ... as they are whole; the crew works at most ``window`` pieces ahead."""
    if crew is None:
        for index in count():
            yield _make_piece(folder, corpus, index)
    else:
        ahead: deque[Future[_Made]] = deque()
        for index in count():
            ahead.append(crew.submit(_make_piece, folder, corpus, index))
            if len(ahead) >= window:
                yield ahead.popleft().result()


def _make_piece(folder: Path, corpus: _Corpus, index: int) -> _Made:
    """Write piece ``index`` unless it is there, its stems first, so that a piece that is there is whole."""
    path = _path(folder, index)
    made = sheet(corpus.seed, index, sources=corpus.sources)
    seconds = _seconds_of(path)
    if seconds is None:
        piece = play(made, corpus.sample_rate)
        seconds = piece.mix_CN.shape[1] / corpus.sample_rate
        _make_folder(path.parent)
        if corpus.stems:
            _write_stems(path.with_suffix(""), {**piece.stems, "room": piece.room_CN}, corpus.sample_rate)
        write(path, piece.mix_CN, corpus.sample_rate, {"title": made.captions[0].text, "software": "toccata"})
    known = sheet_labels(made, seconds)
    captions = known.pop("captions")
    relative = path.relative_to(folder).as_posix()
    row = {"path": relative, "seconds": known.pop("seconds"), "captions": captions, "labels": known}
    return _Made(seconds, json.dumps(row, separators=(",", ":")) + "\n")


def _path(folder: Path, index: int) -> Path:
    return folder / f"{index // _FOLDER_SIZE:04d}" / f"{index:07d}.flac"


def _seconds_of(path: Path) -> float | None:
    """Length of a whole piece, None where there is none."""
    try:
        return soundfile.info(str(path)).duration
    except soundfile.LibsndfileError:
        return None


def _write_stems(folder: Path, stems: dict[str, np.ndarray], sample_rate: int) -> None:
    _make_folder(folder)
    for name, stem_CN in stems.items():
        write(folder / f"{name.replace(' ', '-')}.flac", stem_CN, sample_rate, {"software": "toccata"})


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror}.") from None


def _is_part(path: Path) -> bool:
    return path.name.startswith(".toccata-") and path.suffix == ".part"


def _clear(folder: Path, keep: int) -> None:
    """Remove what workers made beyond the last piece, and parts of files that a killed run left behind."""
    for path in folder.rglob(".toccata-*.part"):
        path.unlink(missing_ok=True)
    for batch in folder.glob("[0-9][0-9][0-9][0-9]"):
        for path in batch.iterdir():
            if path.stem.isdigit() and int(path.stem) >= keep:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        if not any(batch.iterdir()):
            batch.rmdir()
