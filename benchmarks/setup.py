"""``setup``: how long a fresh copy takes to be ready, and again; what the shipped weights weigh."""

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.load import clocks, foreign
from benchmarks.report import ROOT, Figure, Options, compared
from toccata.errors import ToccataError

BUNDLED = ROOT / "src" / "toccata" / "bundled"


def run(options: Options) -> Iterator[Figure]:
    """Set up a copy of this tree with an empty home, twice; with ``quick`` only what making music needs."""
    before = clocks()
    with tempfile.TemporaryDirectory() as folder:
        copy, home = Path(folder) / "toccata", Path(folder) / "home"
        copy_tree(ROOT, copy)
        home.mkdir()
        for mode in ("run",) if options.quick else ("run", "dev"):
            what = "set-up" if mode == "run" else "set-up for tests, after that"
            yield compared(f"{what}, from nothing" if mode == "run" else what, _set_up(copy, home, mode), "s", 180, n=1)
            yield compared(f"{what}, again", _set_up(copy, home, mode), "s", 5, n=1)
        helps = [_timed([str(copy / ".venv" / "bin" / "toccata"), "--help"], copy, home) for _ in range(5)]
        yield Figure("toccata --help, first time", helps[0], "s", n=1)
        yield Figure("toccata --help, median of the next", statistics.median(helps[1:]), "s", n=len(helps) - 1)
        yield foreign(before)
    yield from weights(BUNDLED)


def copy_tree(source: Path, target: Path) -> None:
    """Copy what git tracks or would track, as the working tree holds it now."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=source, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, listed):
        if (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, target / name)


def weights(bundled: Path) -> Iterator[Figure]:
    """Size on disk of every shipped model, and of all together."""
    sizes = {
        folder.name: sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20
        for folder in sorted(bundled.iterdir())
        if (folder / "config.json").is_file()
    }
    for name, size in sizes.items():
        yield Figure(f"weights, {name}", size, "MiB", n=1)
    yield Figure("weights, all that ship", sum(sizes.values()), "MiB", n=len(sizes))


def _set_up(copy: Path, home: Path, mode: str) -> float:
    return _timed([str(copy / "scripts" / "setup"), mode], copy, home)


def _timed(command: list[str], copy: Path, home: Path) -> float:
    """Wall seconds; the home is empty, caches and an active environment of the caller's are not seen."""
    hidden = ("XDG_CACHE_HOME", "PIP_CACHE_DIR", "UV_CACHE_DIR", "VIRTUAL_ENV", "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if name not in hidden} | {"HOME": str(home)}
    started = time.perf_counter()
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise ToccataError(f"{Path(command[0]).name} failed: {(done.stderr.strip().splitlines() or ['no reason'])[-1]}")
    return time.perf_counter() - started
