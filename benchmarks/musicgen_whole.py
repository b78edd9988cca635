"""Whole published MusicGens with random weights, from text to sound: speed, peak memory, time to the first sound.

``python -m benchmarks.musicgen_whole FOLDER PRECISION SECONDS REPEATS TARGET`` hears one in a process of its own.
"""

import contextlib
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.random_public import random_public
from benchmarks.report import Figure, compared, note
from benchmarks.streaming import CORES, PROMPT, measured, music_per_second, take_cores
from toccata.errors import ToccataError
from toccata.models.musicgen.config import MusicGenConfig, large, medium, small
from toccata.models.musicgen.decoders import pick_precision
from toccata.models.musicgen.network import MusicGenNetwork
from toccata.models.musicgen.public import load_public
from toccata.weights.published import count_values

WEIGHT_BYTES = {"fp32": 4.0, "bf16": 2.0, "int8": 1 + 4 / 128, "int4": 0.5 + 4 / 128}
SIZES = {"small": small(), "medium": medium(), "large": large()}
HALF = {"large"}  # 14 GB in float32


@dataclass(frozen=True)
class Heard:
    """Seconds from load to the first sound, seconds of music per second of work after that, peak resident GiB."""

    first: float
    speed: float
    peak: float


def whole_models(quick: bool) -> Iterator[Figure]:
    """Speed of the small one at each precision; without ``quick`` also what every size takes to load and run."""
    for name in ("small",) if quick else SIZES:
        try:
            with random_public(SIZES[name], half=name in HALF) as folder:
                if name == "small":
                    yield from speeds(name, folder, *((3.0, 1) if quick else (10.0, 3)))
                if not quick:
                    yield from needs(name, folder, SIZES[name])
        except ToccataError as error:
            note(f"no figures for {name}: {error}")


def speeds(name: str, folder: Path, seconds: float, repeats: int) -> Iterator[Figure]:
    """Against real time."""
    for precision in WEIGHT_BYTES:
        if heard := hear(name, folder, precision, seconds, repeats):
            metric = f"music per second of work, {name} with its text encoder and EnCodec, {precision}"
            yield compared(metric, heard.speed, "s/s", 1.0, n=repeats)


def needs(name: str, folder: Path, config: MusicGenConfig) -> Iterator[Figure]:
    """Peak memory to load and to make a second of music, against the weights alone; time to the first sound."""
    for precision in dict.fromkeys([pick_precision("auto", torch.device("cpu"), config.width), "bf16"]):
        if heard := hear(name, folder, precision, 1.0, 1):
            alone = weight_bytes(folder, config, precision) / 2**30
            yield compared(f"peak memory, {name}, {precision}", heard.peak, "GiB", alone, n=1)
            yield Figure(f"first sound, load included, {name}, {precision}", heard.first, "s", n=1)


def weight_bytes(folder: Path, config: MusicGenConfig, precision: str) -> float:
    """Bytes of all weights with MusicGen's own at ``precision``, its text encoder's and its codec's at float32."""
    with torch.device("meta"):
        own = sum(tensor.numel() for tensor in MusicGenNetwork(config).parameters())
    return own * WEIGHT_BYTES[precision] + (count_values(folder) - own) * WEIGHT_BYTES["fp32"]


def hear(name: str, folder: Path, precision: str, seconds: float, repeats: int) -> Heard | None:
    """None, with a note, where it cannot be loaded or run here."""
    target = folder / "heard.json"
    target.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.musicgen_whole", str(folder), precision, str(seconds), str(repeats)]
    try:
        _, peak = measured([*command, str(target)], dict(os.environ), target)
    except ToccataError as error:
        note(f"no figures for {name}, {precision}: {error}")
        return None
    return Heard(**json.loads(target.read_text()), peak=peak)


def main(folder: Path, precision: str, seconds: float, repeats: int, target: Path) -> None:
    with contextlib.suppress(OSError):  # should memory run out all the same, no other process is to end for it
        Path("/proc/self/oom_score_adj").write_text("1000")
    take_cores(CORES)
    started = time.perf_counter()
    model = load_public(folder, folder.name, device="cpu", precision=precision)
    next(model.stream(PROMPT, 1.0, seed=0))
    first = time.perf_counter() - started
    speed = statistics.median(music_per_second(model, seconds, seed) for seed in range(repeats))
    target.write_text(json.dumps({"first": first, "speed": speed}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
