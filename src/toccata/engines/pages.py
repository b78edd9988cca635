"""Huge pages for large buffers: a decoder reads all its weights every step, and looking up 4 KiB pages costs a quarter.

Linux alone knows them, and most distributions only where a program asks. Elsewhere nothing happens.
"""

import ctypes
import sys
from pathlib import Path

from torch import Tensor

HUGE = 2**21
_ADVISE, _COLLAPSE = 14, 25  # MADV_HUGEPAGE, MADV_COLLAPSE
_MAPS = Path("/proc/self/maps")


def ask_for(buffer: Tensor) -> Tensor:
    """``buffer``, fresh and not yet written to, on huge pages from its first write on."""
    _advise(buffer.data_ptr(), buffer.data_ptr() + buffer.nbytes, _ADVISE)
    return buffer


def gather(least: int = 2 * HUGE) -> None:
    """Move this process's large private buffers to huge pages: for weights that a library packed out of our reach."""
    if not sys.platform.startswith("linux"):
        return
    for line in _MAPS.read_text().splitlines():
        span, rights, _, _, inode, *name = line.split()
        start, end = (int(place, 16) for place in span.split("-"))
        if rights == "rw-p" and inode == "0" and name in ([], ["[heap]"]) and end - start >= least:
            _advise(start, end, _ADVISE)
            _advise(start, end, _COLLAPSE)


def _advise(start: int, end: int, advice: int) -> None:
    """Advise on the whole huge pages between two addresses. A kernel that refuses changes nothing."""
    if not sys.platform.startswith("linux"):
        return
    start, end = -(-start // HUGE) * HUGE, end // HUGE * HUGE
    if end > start:
        libc = ctypes.CDLL(None)
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), ctypes.c_int(advice))
