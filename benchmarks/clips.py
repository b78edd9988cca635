"""Generated clips, kept under runs/bench/clips so that an interrupted run goes on where it stopped."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.held_out import RATE
from benchmarks.report import CACHE, note
from toccata.audio.resample import resample
from toccata.clip import Clip, Generator
from toccata.hub import load_embedder
from toccata.search.ranking import best_of


def generated(
    model: Generator,
    prompts: Sequence[str],
    seconds: float,
    first_seed: int,
    takes: int | None = None,
    steps: int | None = None,
) -> Iterator[np.ndarray]:
    """A mono wave at 24 kHz for each prompt, prompt i with seed ``first_seed + i``.

    With ``takes`` the best of so many, as mulan-mini hears them; in so many ``steps``, where a model takes that.
    """
    judge = load_embedder(device="cpu") if takes else None
    folder = CACHE / "clips" / fingerprint(model)
    folder.mkdir(parents=True, exist_ok=True)
    note(f"{len(prompts)} clips of {seconds:g} s; those made are kept in {folder.relative_to(CACHE.parent)}")
    for seed, prompt in enumerate(prompts, start=first_seed):
        choice = (f"|{takes}" if takes else "") + (f"|{steps} steps" if steps else "")
        wanted = hashlib.sha256(f"{prompt}|{seconds}|{seed}{choice}".encode()).hexdigest()[:16]
        path = folder / f"{wanted}.npy"
        if not path.is_file():
            if takes and judge:
                _write(path, _wave(best_of(model, prompt, takes, judge, seconds, seed)))
            else:
                taken: dict[str, Any] = {"steps": steps} if steps else {}
                _write(path, _wave(model.generate(prompt, seconds=seconds, seed=seed, **taken)))
        yield np.load(path).astype(np.float32) / 32767


def fingerprint(model: Generator) -> str:
    """The weights' hash and what a second of sound comes to, so that no change anywhere leaves old clips in use."""
    clip = model.generate("a short test of the piano", seconds=1, seed=0)
    return f"{model.weights_sha256[:12]}-{hashlib.sha256(clip.samples.tobytes()).hexdigest()[:12]}"


def _wave(clip: Clip) -> np.ndarray:
    return resample(clip.samples.mean(0, keepdims=True), clip.sample_rate, RATE)[0]


def _write(path: Path, wave_N: np.ndarray) -> None:
    part = path.with_suffix(f".{os.getpid()}.part.npy")
    np.save(part, np.round(wave_N.clip(-1, 1) * 32767).astype(np.int16))  # resampling may overshoot
    os.replace(part, path)
