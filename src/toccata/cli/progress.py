"""Progress on stderr: a bar with the time left on a terminal, a few plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LINE_EVERY = 10.0


def note(text: str) -> None:
    """One line for the person, on stderr."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def progress(label: str) -> Iterator[Callable[[float, float], None]]:
    """Yields what is to be called with (done, total), in any unit, as often as one likes."""
    if not sys.stderr.isatty():
        yield _lines(label)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(label: str) -> Callable[[float, float], None]:
    start = last = time.monotonic()

    def update(done: float, total: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _LINE_EVERY or not 0 < done < total:
            return
        last = now
        left = (now - start) * (total - done) / done
        note(f"{label}: {done / total:.0%}, about {left:.0f} s left")

    return update
