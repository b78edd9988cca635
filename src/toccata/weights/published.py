"""Reads folders laid out as transformers writes them: config.json beside model.safetensors, whole or in shards."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from toccata.errors import WeightsError

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"


def read_settings(folder: Path) -> dict[str, Any]:
    """What config.json says; raises ``WeightsError`` where it is missing or no JSON object."""
    return _read_json(folder / "config.json")


def read_tensors(folder: Path, prefix: str = "") -> dict[str, torch.Tensor]:
    """The tensors whose names begin with ``prefix``, named without it.

    Only they are read from the disk. Raises ``WeightsError`` where a file is missing, truncated or not safetensors.
    """
    tensors: dict[str, torch.Tensor] = {}
    for path, wanted in _files(folder).items():
        try:
            with safe_open(path, "pt") as file:
                names = set(file.keys())
                if wanted - names:
                    raise WeightsError(f"{path} lacks {min(wanted - names)!r}, which its index names; fetch it again")
                for name in names:
                    if name.startswith(prefix):
                        tensors[name.removeprefix(prefix)] = file.get_tensor(name)
        except FileNotFoundError:
            raise WeightsError(f"{path} is missing; fetch the model again") from None
        except (OSError, SafetensorError, ValueError) as error:
            raise WeightsError(f"{path} is damaged or incomplete ({error}); fetch the model again") from None
    return tensors


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
