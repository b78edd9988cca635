"""How busy other processes kept the machine while something was timed: a figure beside every timing."""

import os
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.report import Figure


class Clocks(NamedTuple):
    """Seconds: on the wall, of all cores at work, of this process and of the children that it has waited for."""

    wall: float
    machine: float
    own: float


def clocks() -> Clocks:
    """Read all three now."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    busy = sum(fields[:8]) - fields[3] - fields[4]
    return Clocks(time.monotonic(), busy / os.sysconf("SC_CLK_TCK"), sum(os.times()[:4]))


def foreign(since: Clocks) -> Figure:
    """Cores that others kept busy from ``since`` to now; timings with more than a few hundredths are no good."""
    wall, machine, own = (now - then for then, now in zip(since, clocks(), strict=True))
    return Figure("other processes while measuring", max(machine - own, 0.0) / wall, "cores", n=1)
