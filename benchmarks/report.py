"""What a benchmark gives: figures, and the JSON lines that they are printed and stored as."""

import json
import math
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
CACHE = ROOT / "runs" / "bench"


@dataclass(frozen=True)
class Options:
    """How to run a benchmark: ``model`` is a name or folder (None: what ships), ``picture`` a file to draw into.

    ``against`` is a model to compare with, where a benchmark needs one that does not ship; ``best_of`` how many takes
    there are of each clip, of which mulan-mini chooses (None: one, and no choice).
    """

    quick: bool = False
    device: str = "cpu"
    model: str | None = None
    picture: Path | None = None
    against: str | None = None
    best_of: int | None = None


@dataclass(frozen=True)
class Figure:
    """One measured number.

    ``against`` is what it is measured against (a ceiling, a floor, a target), ``ratio`` value / against, ``control``
    the same measure where there is nothing to find, ``n`` on how many things. What does not apply is None.
    """

    metric: str
    value: float | None
    unit: str
    against: float | None = None
    ratio: float | None = None
    control: float | None = None
    n: int | None = None


def compared(
    metric: str, value: float, unit: str, against: float, control: float | None = None, n: int | None = None
) -> Figure:
    """A figure with its ratio to ``against`` filled in."""
    return Figure(metric, value, unit, against, value / against if against else None, control, n)


def to_json(bench: str, figure: Figure, device: str, commit: str) -> str:
    """One line with exactly the keys bench, metric, value, unit, against, ratio, control, n, device, commit."""
    fields = {key: _tidy(value) for key, value in asdict(figure).items()}
    return json.dumps({"bench": bench, **fields, "device": device, "commit": commit}, ensure_ascii=False)


def _tidy(value: object) -> object:
    """Five significant digits; null for what is no number."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.5g}") if math.isfinite(value) else None


def note(text: str) -> None:
    """A remark for who reads along, on stderr."""
    print(f"note: {text}", file=sys.stderr, flush=True)


def commit() -> str:
    """The commit of the working tree, with "-dirty" where files differ from it; "unknown" outside a repository."""
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def device_name(device: str) -> str:
    """What the figures were measured on, such as "cpu: 2 cores, Some Processor"."""
    if device.startswith("cuda"):
        import torch

        return f"{device}: {torch.cuda.get_device_name(device)}"
    return f"{device}: {len(os.sched_getaffinity(0))} cores, {_processor()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
