"""How a process trains on a CPU."""

import ctypes
import sys

import torch

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # glibc's malloc.h


def settle(threads: int) -> None:
    """Compute on so many threads, take numbers too small for their format as 0, and keep the memory that steps free.

    The gradients of a sharp softmax are such numbers, and a CPU multiplies them many times slower than others.
    """
    torch.set_flush_denormal(True)  # before there are threads: they begin with what their parent has
    torch.set_num_threads(threads)
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Let the C library keep what training frees: each step's activations would else be fetched from the kernel anew.

    Does nothing where the C library is not glibc.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_MMAP_MAX, 0)
            mallopt(_TRIM_THRESHOLD, 2**31 - 1)
