"""Exact resume: nested states (weights, optimisers, counters) as one safetensors file. Pickles are never read."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from toccata.errors import WeightsError


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (dicts and lists of tensors, numbers, strings) beside ``path`` and rename it there."""
    tensors: dict[str, torch.Tensor] = {}

    def strip(value: Any, name: str) -> Any:
        if isinstance(value, torch.Tensor):
            # Clones, since safetensors refuses tensors that share memory (tied weights, views).
            tensors[name] = value.detach().cpu().contiguous().clone()
            return {"$tensor": name}
        if isinstance(value, dict):
            return {"$dict": [[k, strip(v, f"{name}/{k}")] for k, v in value.items()]}
        if isinstance(value, list | tuple):
            return [strip(v, f"{name}/{i}") for i, v in enumerate(value)]
        return value

    tree = json.dumps(strip(state, ""))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata={"tree": tree})
    os.replace(part, path)


def load_state(path: Path) -> dict[str, Any]:
    """What ``save_state`` wrote; raises ``WeightsError`` where the file is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            tree = json.loads(file.metadata()["tree"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise WeightsError(f"{path} cannot be resumed from ({error}); delete it to start again") from None

    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            return tensors[value["$tensor"]] if "$tensor" in value else {k: fill(v) for k, v in value["$dict"]}
        return [fill(v) for v in value] if isinstance(value, list) else value

    return fill(tree)
