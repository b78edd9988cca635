"""Where a model runs, and whether it fits there."""

import os
from pathlib import Path

import torch

from toccata.errors import InputError


def pick_device(device: str) -> torch.device:
    """``device`` by its name, "auto" being a GPU where there is one; raises ``InputError`` for one that isn't here."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("cpu")
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError):
        raise InputError(f"the device {device!r} is not available here; use --device auto or cpu") from None
    return place


def pick_float(name: str, precision: str, device: str) -> torch.dtype:
    """What a diffusion model computes in: "auto" is bfloat16 on a GPU and float32 on a CPU."""
    if precision not in ("auto", "fp32", "bf16"):
        raise InputError(f"{name} does not run in {precision!r}; choose auto, fp32 or bf16")
    small = precision == "bf16" or (precision == "auto" and pick_device(device).type == "cuda")
    return torch.bfloat16 if small else torch.float32


def check_memory(name: str, needed: int, dtype: torch.dtype, device: torch.device) -> None:
    """Raise ``InputError`` where a model that needs that many bytes cannot fit into what memory is free."""
    free = free_memory(device)
    if free is None or needed <= free:
        return
    smaller = "a smaller model" if dtype != torch.float32 else "--precision bf16 (half of it), or a smaller model"
    sizes = f"{needed / 2**30:.1f} GiB of memory in this precision, and {free / 2**30:.1f} GiB are free"
    raise InputError(f"{name} needs about {sizes}; choose {smaller}")


def free_memory(device: torch.device) -> int | None:
    """Bytes that can be had on ``device``; None where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None
