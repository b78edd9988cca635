"""Where weights come from: what a model card says of the run that made them."""

import os
import platform
import subprocess
from pathlib import Path

import torch

from toccata.version import __version__


def provenance(device: str) -> dict[str, str]:
    """``commit`` (of the checkout, or the installed version) and ``machine`` of this run."""
    return {"commit": _commit(), "machine": _machine(torch.device(device))}


def _commit() -> str:
    here = Path(__file__).parent
    try:
        asked = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return f"toccata {__version__}"
    return asked.stdout.strip() or f"toccata {__version__}"


def _machine(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} of {os.cpu_count()} cores, torch {torch.__version__}"
