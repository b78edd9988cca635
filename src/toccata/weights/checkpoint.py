"""A model on disk: ``config.json`` beside one or more safetensors files. Pickles are never read."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from toccata.errors import WeightsError

SHARD_BYTES = 15 * 2**20


def save(
    folder: Path, config: dict[str, Any], tensors: dict[str, torch.Tensor], shard_bytes: int = SHARD_BYTES
) -> None:
    """Write ``config`` and ``tensors`` into ``folder``, in shards of at most ``shard_bytes`` (or one tensor).

    Every file is written beside its target and renamed, and config.json comes last: a folder with a config is whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shards = _shards({k: t.detach().cpu().contiguous() for k, t in tensors.items()}, shard_bytes)
    names = [f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors" for i in range(len(shards))]
    for name, shard in zip(names, shards, strict=True):
        save_file(shard, folder / f"{name}.part")
        (folder / f"{name}.part").chmod(0o644)  # safetensors makes files that only their owner can read
        os.replace(folder / f"{name}.part", folder / name)
    (folder / "config.json.part").write_text(json.dumps({**config, "weights": names}, indent=1) + "\n")
    os.replace(folder / "config.json.part", folder / "config.json")
    for stale in set(folder.glob("model-*.safetensors")) - {folder / name for name in names}:
        stale.unlink()


def _shards(tensors: dict[str, torch.Tensor], limit: int) -> list[dict[str, torch.Tensor]]:
    shards: list[dict[str, torch.Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        if shards[-1] and size + tensor.nbytes > limit:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.nbytes
    return shards


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of the model in ``folder``; raises ``WeightsError`` where there is none that can be read."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text())
    except FileNotFoundError:
        raise WeightsError(
            f"{folder} holds no model: config.json is missing; give a folder that toccata wrote"
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise WeightsError(f"{path} cannot be read ({error}); fetch or train the model again") from None
    if not isinstance(config, dict) or not isinstance(config.get("weights"), list) or not config["weights"]:
        raise WeightsError(f"{path} is not a toccata configuration: it lists no weights files")
    return config


def load(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Configuration and tensors of the model in ``folder``.

    Raises ``WeightsError`` where a file is missing, truncated or not safetensors.
    """
    config = read_config(folder)
    tensors: dict[str, torch.Tensor] = {}
    for path in weight_files(folder, config):
        try:
            tensors.update(load_file(path))
        except (OSError, SafetensorError, ValueError) as error:
            raise WeightsError(f"{path} is damaged or incomplete ({error}); fetch or train the model again") from None
    return config, tensors


def weight_files(folder: Path, config: dict[str, Any]) -> list[Path]:
    """The safetensors files that ``config`` names, checked to lie in ``folder`` and to exist."""
    paths = [folder / Path(str(name)).name for name in config["weights"]]
    for path in paths:
        if path.suffix != ".safetensors" or not path.is_file():
            raise WeightsError(f"{path} is missing; fetch or train the model again")
    return paths


def sha256(folder: Path) -> str:
    """One hash over config.json and every weights file, in name order: what a clip records as its model's."""
    return sha256_of([folder / "config.json", *sorted(weight_files(folder, read_config(folder)))])


def sha256_of(paths: Iterable[Path]) -> str:
    """One hash over files, in their order."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def load_into(module: torch.nn.Module, tensors: dict[str, torch.Tensor], source: Path, assign: bool = False) -> None:
    """Copy ``tensors`` into ``module``, or, with ``assign``, let them replace its own.

    Raises ``WeightsError`` with the first name or shape that does not fit.
    """
    wanted = module.state_dict()
    missing, foreign = wanted.keys() - tensors.keys(), tensors.keys() - wanted.keys()
    wrong = [name for name in wanted.keys() & tensors.keys() if wanted[name].shape != tensors[name].shape]
    for names, fault in ((missing, "lack"), (foreign, "have the unknown"), (wrong, "have another shape for")):
        if names:
            raise WeightsError(f"the weights in {source} are of another model: they {fault} {min(names)!r}")
    module.load_state_dict(tensors, assign=assign)
