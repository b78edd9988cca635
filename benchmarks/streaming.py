"""``streaming``: how fast the default model plays on 2 CPU cores, against what the machine's memory allows."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

import toccata
from benchmarks.load import clocks, foreign
from benchmarks.report import Figure, Options, compared, note

PROMPT = "warm lo-fi piano over a slow boom-bap beat"
CORES = 2
_LAUNCHER = """
import os, subprocess, sys, time
started = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
_, status, usage = os.wait4(child.pid, 0)
print(time.perf_counter() - started, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status) and 1)
"""


def run(options: Options) -> Iterator[Figure]:
    """First run of the command; then, in this process, first sound, speed, its bound, and memory of a long stream."""
    if options.device == "cpu":
        take_cores(CORES)
    before = clocks()
    yield from first_run(options, repeats=1 if options.quick else 3)
    started = time.perf_counter()
    model = toccata.load(*([options.model] if options.model else []), device=options.device)
    yield Figure("load, in a process that has imported torch", time.perf_counter() - started, "s", n=1)
    repeats = 3 if options.quick else 7
    next(iter(model.stream(PROMPT, seconds=2, seed=0)))  # type: ignore[attr-defined] - warms up
    first = statistics.median(_first_sound(model, seed) for seed in range(repeats))
    yield Figure("first sound after load", first, "s", n=repeats)
    speed = statistics.median(music_per_second(model, 12.0, seed) for seed in range(repeats))
    yield compared("music per second of work, after load", speed, "s/s", 5.0, n=repeats)
    yield from _floor(model, speed, options.device)
    yield memory_grown(model, 60 if options.quick else 300)
    yield foreign(before)


def first_run(options: Options, repeats: int) -> Iterator[Figure]:
    """``toccata generate --seconds 10`` to a finished file, each in a new process with an empty home."""
    runs = [_one_run(options) for _ in range(repeats)]
    yield compared("toccata generate --seconds 10, first run", runs[0][0], "s", 8.0, n=1)
    yield compared("toccata generate --seconds 10, median", statistics.median(r[0] for r in runs), "s", 8.0, n=repeats)
    yield compared("toccata generate --seconds 10, peak memory", max(r[1] for r in runs), "GiB", 1.2, n=repeats)


def _one_run(options: Options) -> tuple[float, float]:
    """Wall seconds and peak resident GiB."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out.wav"
        command = [sys.executable, "-m", "toccata", "generate", PROMPT, "--seconds", "10", "-o", str(target)]
        command += ["--seed", "1", "--device", options.device, *(["--model", options.model] if options.model else [])]
        return measured(command, {**os.environ, "HOME": folder}, target)


def measured(command: list[str], environment: dict[str, str], target: Path) -> tuple[float, float]:
    """Run a command that is to write ``target``: wall seconds, peak resident GiB. Raises ToccataError if it fails."""
    # A small process in between: Linux counts a parent's memory as its child's until the child's program starts.
    done = subprocess.run([sys.executable, "-IS", "-c", _LAUNCHER, *command], env=environment, capture_output=True)
    if done.returncode or not target.is_file():
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise toccata.ToccataError(f"{' '.join(command[1:4])} failed: {' '.join(last)}")
    wall, peak = map(float, done.stdout.split()[-2:])
    return wall, peak * (1 if sys.platform == "darwin" else 1024) / 2**30


def _first_sound(model: Any, seed: int) -> float:
    started = time.perf_counter()
    next(iter(model.stream(PROMPT, seconds=10, seed=seed)))
    return time.perf_counter() - started


def music_per_second(model: Any, seconds: float, seed: int) -> float:
    started = time.perf_counter()
    clip = model.generate(PROMPT, seconds=seconds, seed=seed)
    return clip.seconds / (time.perf_counter() - started)


def _floor(model: Any, speed: float, device: str) -> Iterator[Figure]:
    """No step is faster than its weights can be read. Guidance's two rows share one reading."""
    weights = getattr(model.decoder, "step_bytes", None) or step_bytes(model.network)
    bandwidth = read_bandwidth(device)
    fastest = bandwidth / weights / model.network.config.frame_rate
    yield Figure("weights read per step", weights / 2**20, "MiB", n=1)
    yield Figure("memory bandwidth, reading", bandwidth / 2**30, "GiB/s", n=1)
    yield compared("music per second of work, against the bandwidth's bound", speed, "s/s", fastest, n=1)


def step_bytes(network: torch.nn.Module) -> int:
    """Bytes of the weights that every step reads: blocks and heads, neither the text's part nor embedding tables."""
    once = ("embeddings.", "text_in.", "text_blocks.")
    return sum(
        tensor.nbytes
        for name, tensor in network.named_parameters()
        if not name.startswith(once) and ".cross.kv." not in name
    )


def read_bandwidth(device: str, mebibytes: int = 1024, repeats: int = 5) -> float:
    """Bytes a second that summing a large tensor reads, the best of several; the tensor is far larger than caches."""
    big = torch.ones(mebibytes * 2**18, device=device)
    return big.nbytes / min(_timed(big.sum, device) for _ in range(repeats))


def _timed(work: Callable[[], Any], device: str) -> float:
    _finish(device)
    started = time.perf_counter()
    work()
    _finish(device)
    return time.perf_counter() - started


def _finish(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def memory_grown(model: Any, seconds: int) -> Figure:
    """Resident memory in the last third of a long stream over the middle third; the clips are let go as they come."""
    resident = [_resident() for _ in model.stream(PROMPT, seconds=seconds, seed=0)]
    third = len(resident) // 3
    grown = max(resident[-third:]) - max(resident[third : 2 * third])
    return Figure(f"memory grown in the last third of {seconds} s of stream", grown / 2**20, "MiB", n=len(resident))


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def take_cores(count: int) -> None:
    """Keep this process and its children to ``count`` cores."""
    cores = sorted(os.sched_getaffinity(0))[:count]
    if len(cores) < count:
        note(f"there are only {len(cores)} cores, not {count}")
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(len(cores))
