"""Reads folders laid out as transformers writes them: config.json beside model.safetensors, whole or in shards."""

import json
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from toccata.errors import WeightsError
from toccata.weights.checkpoint import sha256_of

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"


def read_settings(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """What config.json, or another file, says; raises ``WeightsError`` where it is missing or no JSON object."""
    return _read_json(folder / name)


def wrote(folder: Path) -> bool:
    """Whether transformers, not toccata, wrote the model in ``folder``."""
    try:
        return "model_type" in read_settings(folder)
    except WeightsError:
        return False


def read_tensors(folder: Path, prefix: str = "", dtype: torch.dtype | None = None) -> dict[str, torch.Tensor]:
    """The tensors whose names begin with ``prefix``, named without it, as ``dtype`` (None: as they are).

    Only they are read from the disk, one after another. Raises ``WeightsError`` where a file is missing, truncated or
    not safetensors.
    """
    tensors: dict[str, torch.Tensor] = {}
    for path, wanted in _files(folder).items():
        tensors |= read_file(path, prefix, dtype, wanted)
    return tensors


def read_file(
    path: Path, prefix: str = "", dtype: torch.dtype | None = None, wanted: Collection[str] = ()
) -> dict[str, torch.Tensor]:
    """``read_tensors`` of one safetensors file, which has to hold the ``wanted`` names."""
    try:
        with safe_open(path, "pt") as file:
            names = set(file.keys())
            if missing := set(wanted) - names:
                raise WeightsError(f"{path} lacks {min(missing)!r}, which its index names; fetch it again")
            chosen = [name for name in names if name.startswith(prefix)]
            return {name.removeprefix(prefix): _cast(file.get_tensor(name), dtype) for name in chosen}
    except FileNotFoundError:
        raise WeightsError(f"{path} is missing; fetch the model again") from None
    except (OSError, SafetensorError, ValueError) as error:
        raise WeightsError(f"{path} is damaged or incomplete ({error}); fetch the model again") from None


def only_file(folder: Path) -> Path:
    """The one safetensors file in ``folder``, as a model has that came as one checkpoint, without a configuration.

    Raises ``WeightsError`` where there is none, or more than one.
    """
    files = sorted(folder.glob("*.safetensors"))
    if len(files) != 1:
        raise WeightsError(f"{folder} holds {len(files)} safetensors files, not the one of the model; fetch it again")
    return files[0]


def sha256(folder: Path) -> str:
    """One hash over config.json and every weights file, in name order, as ``checkpoint.sha256``."""
    return sha256_of([folder / "config.json", *sorted(_files(folder))])


def count_values(folder: Path) -> int:
    """How many numbers the safetensors files in ``folder`` hold; only their headers are read."""
    total = 0
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, "pt") as file:
                total += sum(math.prod(file.get_slice(name).get_shape()) for name in list(file.keys()))
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"{path} is damaged or incomplete ({error}); fetch the model again") from None
    return total


def _cast(tensor: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
    return tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor


def _files(folder: Path) -> dict[Path, set[str]]:
    """Each weights file with the names that it has to hold."""
    if (folder / WHOLE).is_file():
        return {folder / WHOLE: set()}
    if not (folder / INDEX).is_file():
        pickles = sorted([*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.th")])
        hint = f"it holds {pickles[0].name}: run toccata models convert" if pickles else "fetch the model again"
        raise WeightsError(f"{folder} has no {WHOLE}; {hint}")
    files: dict[Path, set[str]] = {}
    try:
        for name, file in _read_json(folder / INDEX)["weight_map"].items():
            files.setdefault(folder / Path(file).name, set()).add(name)
    except (KeyError, TypeError, AttributeError):
        raise WeightsError(f"{folder / INDEX} names no weights; fetch the model again") from None
    return files


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(f"{path} is missing; give a folder that holds a whole model") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise WeightsError(f"{path} cannot be read ({error}); fetch the model again") from None
    if not isinstance(found, dict):
        raise WeightsError(f"{path} is no configuration; fetch the model again")
    return found
