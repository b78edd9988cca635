"""Pickled checkpoints (.bin .pt .pth .th .ckpt) to safetensors, once, without ever running what a pickle names.

A pickle is a program. So this process never opens one: a child does (``unpickle.py``), isolated, limited in memory and
time, and taking tensors and plain values only. It opens what Keras wrote (.h5.gz) as well.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from safetensors import SafetensorError, safe_open

from toccata.errors import InputError, OutputError, WeightsError

PICKLES = (".bin", ".pt", ".pth", ".th", ".ckpt")
KERAS = ".h5.gz"
SECONDS = 1800.0
_CHILD = Path(__file__).with_name("unpickle.py")
_BESIDE = (".json", ".model", ".txt")
_INDEX = "pytorch_model.bin.index.json"


def convert(source: Path, out: Path, seconds: float = SECONDS) -> list[Path]:
    """Convert a checkpoint, or every one in a folder with the small files beside them, into the folder ``out``.

    Nested dictionaries become names with dots; what is no tensor, such as audiocraft's ``xp.cfg``, goes as JSON into
    the file's metadata under ``toccata``. Files are named as ``converted_name`` says. Returns what was written: all of
    it or, where one file fails, nothing. ``seconds`` is how long one file may take. Raises ``InputError`` where there
    is nothing to convert, ``WeightsError`` for a file that holds more than tensors, or is damaged.
    """
    if not source.exists():
        raise InputError(f"{source} does not exist; give a checkpoint or a folder that holds some")
    files = sorted(source.iterdir()) if source.is_dir() else [source]
    pickles = [file for file in files if converts(file)]
    if not pickles:
        raise InputError(
            f"{source} holds no checkpoint to convert; give one that ends in {', '.join((*PICKLES, KERAS))}"
        )
    done = [file.name for file in files if file.name in map(converted_name, pickles)]
    if done:
        raise InputError(f"{source} already holds {done[0]}; there is nothing to convert")
    return convert_files(files, out, seconds)


def converts(file: Path) -> bool:
    """Whether it is a checkpoint that has to become safetensors, by its name."""
    return file.suffix in PICKLES or file.name.endswith(KERAS)


def convert_files(files: Iterable[Path], out: Path, seconds: float = SECONDS) -> list[Path]:
    """``convert`` for chosen files: pickles are converted, JSON, text and tokeniser models copied, others left out."""
    try:
        return _convert_all(files, out, seconds)
    except OSError as error:
        raise OutputError(f"{out} cannot be written ({error.strerror}); choose another folder") from None


def _convert_all(files: Iterable[Path], out: Path, seconds: float) -> list[Path]:
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as place:
        stage = Path(place)
        for file in files:
            if converts(file):
                _convert_file(file, stage / converted_name(file), seconds)
            elif file.name == _INDEX:
                (stage / "model.safetensors.index.json").write_text(_converted_index(file))
            elif file.suffix in _BESIDE:
                shutil.copyfile(file, stage / file.name)
        out.mkdir(exist_ok=True)
        # config.json comes last, so that a folder with a config is whole.
        names = sorted((file.name for file in stage.iterdir()), key=lambda name: (name == "config.json", name))
        for name in names:
            os.replace(stage / name, out / name)
    return [out / name for name in names]


def converted_name(file: Path) -> str:
    """``pytorch_model-1.bin`` -> ``model-1.safetensors``, as transformers names them; else only the suffix changes."""
    return file.name.removesuffix(KERAS).removesuffix(file.suffix).removeprefix("pytorch_") + ".safetensors"


def read_notes(file: Path) -> dict[str, object]:
    """What a converted file says besides its tensors: plain values by their dotted names; empty where there is none."""
    with safe_open(file, "pt") as opened:
        return json.loads((opened.metadata() or {}).get("toccata", "{}"))


def _convert_file(source: Path, target: Path, seconds: float) -> None:
    if source.name.endswith(KERAS) and find_spec("h5py") is None:
        raise WeightsError(f"{source} needs the package h5py to be read; run: pip install 'toccata[openl3]'")
    command = [sys.executable, "-I", str(_CHILD), str(source.resolve()), str(target.resolve())]
    bare = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
    bare |= {"OMP_NUM_THREADS": "1", "TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}
    try:
        done = subprocess.run(
            command, env=bare, cwd=target.parent, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise WeightsError(f"{source} was not converted: it took longer than {seconds:g} seconds") from None
    if done.returncode:
        why = done.stdout.strip() or f"the reader failed ({(done.stderr.strip().splitlines() or ['killed'])[-1]})"
        raise WeightsError(f"{source} was not converted: {why}; get it from its publisher again, or as safetensors")
    try:
        with safe_open(target, "pt") as opened:
            opened.keys()
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{source} was not converted: what came of it cannot be read ({error})") from None
    target.chmod(0o644)  # safetensors makes files that only their owner can read


def _converted_index(file: Path) -> str:
    try:
        index = json.loads(file.read_text(encoding="utf-8"))
        index["weight_map"] = {name: converted_name(Path(shard)) for name, shard in index["weight_map"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise WeightsError(f"{file} names no weights; get it from its publisher again") from None
    return json.dumps(index, indent=1)
