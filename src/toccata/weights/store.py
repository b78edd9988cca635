"""Where public models lie on this machine, and what is remembered of each: its files' hashes, its accepted licence.

They lie in the hub's own cache, so that other programs share them, or under ``TOCCATA_HOME``. Beside a model's files,
``toccata.json`` is written when all of them have arrived: without it a model is not here. Nothing in this module needs
a network or the hub's library.
"""

import hashlib
import json
import os
import warnings
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from toccata.weights.catalogue import Public

_RECORD, _LICENCE = "toccata.json", "toccata-licence.json"


@dataclass(frozen=True)
class File:
    """A file that was fetched or made: ``size`` in bytes."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Fetched:
    """A whole public model: ``files`` lie in ``folder``; ``arrived`` are those that the hub sent for ``commit``."""

    name: str
    commit: str
    folder: Path
    files: tuple[File, ...]
    arrived: tuple[File, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def sha256(self) -> str:
        """One hash over config.json and every weights file, in name order, as ``checkpoint.sha256`` makes it."""
        digest = hashlib.sha256()
        weights = sorted((file for file in self.files if file.name.endswith(".safetensors")), key=lambda f: f.name)
        for file in [*(file for file in self.files if file.name == "config.json"), *weights]:
            digest.update(bytes.fromhex(file.sha256))
        return digest.hexdigest()


def cache() -> Path:
    """The folder that holds a folder for every model: ``$TOCCATA_HOME/hub``, or where the hub's library has it."""
    if home := os.environ.get("TOCCATA_HOME"):
        return Path(home).expanduser() / "hub"
    for variable, below in (("HF_HUB_CACHE", ""), ("HUGGINGFACE_HUB_CACHE", ""), ("HF_HOME", "hub")):
        if place := os.environ.get(variable):
            return Path(os.path.expandvars(place)).expanduser() / below
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "huggingface" / "hub"


def place(model: Public) -> Path:
    """The folder of one model in the cache, whether it is there or not."""
    return cache() / f"models--{model.name.replace('/', '--')}"


def fetched(model: Public) -> Fetched | None:
    """The model as it was fetched, or None where it was not, or where a file of it has gone since."""
    try:
        said = json.loads((place(model) / _RECORD).read_text(encoding="utf-8"))
        files, arrived = (tuple(File(**file) for file in said[kind]) for kind in ("files", "arrived"))
        found = Fetched(model.name, said["commit"], place(model) / said["folder"], files, arrived)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    whole = all(_size(found.folder / file.name) == file.size for file in files)
    return found if files and whole else None


def remember(model: Public, found: Fetched) -> None:
    """Write down that ``found`` is whole."""
    said = asdict(found) | {"folder": found.folder.relative_to(place(model)).as_posix()}
    _write(place(model) / _RECORD, said)


def accept(model: Public) -> None:
    """Write down that the person accepts the model's licence."""
    place(model).mkdir(parents=True, exist_ok=True)
    _write(place(model) / _LICENCE, {"licence": model.licence, "accepted": date.today().isoformat()})


def accepted(model: Public) -> bool:
    """Whether this licence of the model was accepted on this machine."""
    try:
        return json.loads((place(model) / _LICENCE).read_text(encoding="utf-8"))["licence"] == model.licence
    except (OSError, ValueError, KeyError, TypeError):
        return False


def remind(model: Public) -> None:
    """Warn with the model's licence where nobody has accepted it on this machine; Python tells each place once."""
    if not accepted(model):
        warnings.warn(f"{model.terms()}\nTo accept: toccata models pull {model.name}", stacklevel=2)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _write(path: Path, said: dict[str, Any]) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)
