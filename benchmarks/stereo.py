"""Held-out band pieces in stereo at 44.1 kHz, and how far a copy's stereo image is from its original's."""

import json
import multiprocessing
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import librosa
import numpy as np

from benchmarks.held_out import HELD_OUT, SECONDS, edition
from benchmarks.report import CACHE
from toccata.corpus.band import labels, piece

RATE = 44_100
QUIET = 40.0  # dB below the loudest, where nobody hears an image


class Excerpt(NamedTuple):
    """The first 12 seconds of a piece, or all of a shorter one: wave_CN, and what its first caption says."""

    wave_CN: np.ndarray
    text: str


def excerpts(indices: Sequence[int]) -> list[Excerpt]:
    """Excerpts of held-out pieces; what is missing is rendered on all cores."""
    missing = [(index, path) for index in indices if not (path := _path(index)).is_file()]
    if missing:
        # Spawned, because a fork of a process that runs threads may hang.
        with multiprocessing.get_context("spawn").Pool(min(len(os.sched_getaffinity(0)), len(missing))) as pool:
            pool.starmap(_render, missing, chunksize=1)
    return [_read(_path(index)) for index in indices]


def _render(index: int, target: Path) -> None:
    made = piece(HELD_OUT, index, sample_rate=RATE)
    wave_CN = np.round(made.mix_CN[:, : int(SECONDS * RATE)] * 32767).astype(np.int16)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.stem}.{os.getpid()}.part.npz")
    np.savez(part, wave=wave_CN, known=np.array(json.dumps(labels(made))))
    os.replace(part, target)


def _read(path: Path) -> Excerpt:
    with np.load(path) as stored:
        known = json.loads(str(stored["known"]))
        return Excerpt(stored["wave"].astype(np.float32) / 32767, known["captions"][0]["text"])


def _path(index: int) -> Path:
    return CACHE / "stereo" / edition() / f"{index:05d}.npz"


def middle(wave_CN: np.ndarray) -> np.ndarray:
    """Half the sum of both ears."""
    return wave_CN.mean(0)


def side(wave_CN: np.ndarray) -> np.ndarray:
    """Half their difference."""
    return (wave_CN[0] - wave_CN[-1]) / 2


def image_error(original_CN: np.ndarray, copy_CN: np.ndarray, rate: int) -> float:
    """Mean absolute error, in dB, of how much louder the middle is than the side, in each band and tenth of a second.

    Of the two, what is 40 dB below their sum counts as if it were no quieter. Places where the original is 40 dB below
    its loudest one don't count.
    """
    theirs, ours = _powers(original_CN, rate), _powers(copy_CN, rate)
    loud = 10 * np.log10(theirs.sum(0) + 1e-20)
    heard = loud > loud.max() - QUIET
    return float(np.abs(_width(theirs) - _width(ours))[heard].mean()) if heard.any() else 0.0


def _powers(wave_CN: np.ndarray, rate: int) -> np.ndarray:
    """(middle and side, bands, moments)."""
    told: dict[str, Any] = {"sr": rate, "n_fft": 4096, "hop_length": rate // 10, "n_mels": 32}
    return np.stack([librosa.feature.melspectrogram(y=part(wave_CN), **told) for part in (middle, side)])


def _width(powers: np.ndarray) -> np.ndarray:
    floor = powers.sum(0) * 10 ** (-QUIET / 10) + 1e-20
    return 10 * np.log10((powers[0] + floor) / (powers[1] + floor))
