"""A checkpoint folder as transformers writes it: config.json beside safetensors files. Pickles are never read."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from toccata.errors import WeightsError

_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"


def wrote(folder: Path) -> bool:
    """Whether transformers, not toccata, wrote the model in ``folder``."""
    try:
        return "model_type" in json.loads((folder / "config.json").read_text())
    except (OSError, ValueError, TypeError):
        return False


def load(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Configuration and tensors of the model in ``folder``, in one file or in several with an index.

    Raises ``WeightsError`` where a file is missing, truncated or not safetensors.
    """
    tensors: dict[str, torch.Tensor] = {}
    config = _read(folder / "config.json")
    for path in _files(folder):
        try:
            tensors.update(load_file(path))
        except (OSError, SafetensorError, ValueError) as error:
            raise WeightsError(f"{path} is damaged or incomplete ({error}); fetch the model again") from None
    return config, tensors


def _files(folder: Path) -> list[Path]:
    names = [_WHOLE]
    if not (folder / _WHOLE).is_file() and (folder / _INDEX).is_file():
        shards = _read(folder / _INDEX).get("weight_map")
        names = sorted({Path(str(name)).name for name in shards.values()}) if isinstance(shards, dict) else names
    for name in names:
        if not (folder / name).is_file():
            raise WeightsError(f"{folder / name} is missing; fetch the model with its safetensors files")
    return [folder / name for name in names]


def _read(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read ({error}); fetch the model again") from None
    if not isinstance(read, dict):
        raise WeightsError(f"{path} cannot be read (it holds no object); fetch the model again")
    return read
