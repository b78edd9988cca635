"""A program of its own, which ``convert`` starts: one checkpoint, pickled or Keras', in, one safetensors file out.

``python -I unpickle.py SOURCE TARGET`` opens SOURCE as tensors and plain values only, never running what it names,
within limits of memory and file size, and exits with 0; or says on stdout in one line why not, and exits with 3.
"""

import gzip
import io
import json
import re
import struct
import sys
import zipfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

REFUSED = 3
KERAS, KERAS_SPARE = ".h5.gz", 2**20
MOST_VALUES, LONGEST_NAME = 200_000, 1000
SPARE = 2**30
NUMBERS = {"f2": "e", "f4": "f", "f8": "d", "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q",
           "u1": "B", "u2": "H", "u4": "I", "u8": "Q"}  # fmt: skip


class Refused(Exception):
    """The file is not one that gives tensors and nothing else."""


def main(source: Path, target: Path) -> None:
    import torch  # noqa: F401 - before the limit, for it takes more room than any checkpoint

    limit(source.stat().st_size)
    tensors, notes = (read_keras if source.name.endswith(KERAS) else read)(source)
    from safetensors.torch import save_file

    save_file(tensors, target, {"format": "pt", "toccata": json.dumps(notes, default=str)})


def read(source: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors and the plain values in ``source``, by their paths with dots."""
    import torch

    size, stored = source.stat().st_size, zipfile.is_zipfile(source)
    if stored:
        refuse_bomb(source, size)
    tensors, notes = {}, {}
    with torch.serialization.safe_globals(stand_ins()):
        found = torch.load(source, map_location="cpu", weights_only=True, mmap=stored)
    for name, value in values(found):
        if isinstance(value, Array):
            continue
        if name in tensors or name in notes:
            raise Refused(f"it has two values named {name!r}")
        (tensors if isinstance(value, torch.Tensor) else notes)[name] = value
    return dense(tensors, size), notes


def read_keras(source: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The weights of a Keras model in HDF5: ``place.kernel`` and the like, where ``place`` counts layers with weights.

    Keras itself goes by that order, for its layers' names differ from one version to another.
    """
    import torch

    h5py: Any = import_module("h5py")  # its own types allow for far more than Keras writes
    most = 2 * source.stat().st_size + KERAS_SPARE  # weights hardly shrink, what HDF5 writes round them does
    with gzip.open(source) as packed:
        unpacked = packed.read(most + 1)
    if len(unpacked) > most:
        raise Refused("it unpacks to more than twice its own size")
    tensors: dict[str, Any] = {}
    with h5py.File(io.BytesIO(unpacked), "r") as file:
        layers = [file[name] for name in file.attrs["layer_names"]]
        for place, layer in enumerate(layer for layer in layers if len(layer.attrs["weight_names"])):
            for name in layer.attrs["weight_names"]:
                dataset = layer[name]
                if dataset.external:  # links to other files lead nowhere from one that is in memory
                    raise Refused("it names another file")
                whole = name.decode() if isinstance(name, bytes) else str(name)
                part = whole.split("/")[-1].split(":")[0]
                tensors[f"{place}.{part}"] = torch.from_numpy(dataset[()])
    return tensors, {}


class Dtype:
    """Stands in for numpy's, of which it takes the code of a plain number and nothing else."""

    def __init__(self, code: str, *_: Any) -> None:
        self.format = NUMBERS.get(code)

    def __setstate__(self, _: Any) -> None:
        """The order of bytes: the machine's own, as everywhere in a checkpoint."""


def number(dtype: Any, data: Any = None) -> int | float | bool:
    """Stands in for numpy's scalars, which checkpoints hold beside their tensors: a learning rate, a best score."""
    if not isinstance(dtype, Dtype) or dtype.format is None or not isinstance(data, bytes):
        raise Refused("it holds more than tensors and numbers")
    try:
        return struct.unpack("<" + dtype.format, data)[0]
    except struct.error:
        raise Refused("it holds a number that is damaged") from None


class Array:
    """Stands in for numpy's arrays, whose numbers are let go: they are of a trainer's state, not of a model."""

    def __init__(self, *_: Any) -> None:
        """Whatever its kind."""

    def __setstate__(self, _: Any) -> None:
        """Its shape and numbers."""


def array(*_: Any) -> Array:
    """Stands in for the function that pickles of arrays begin with."""
    return Array()


def stand_ins() -> list[Any]:
    """What is made in place of what a pickle names, so that nothing of numpy runs on what a file says."""
    of_cores = [(number, "scalar"), (array, "_reconstruct")]
    named = [(made, f"numpy.{core}.multiarray.{name}") for core in ("core", "_core") for made, name in of_cores]
    return [(Dtype, "numpy.dtype"), (Array, "numpy.ndarray"), *named]


def limit(size: int) -> None:
    """Let this process take and write little more than a file of ``size`` bytes needs, where the system can."""
    try:
        import resource

        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * size + SPARE, 2 * size + SPARE))
        resource.setrlimit(resource.RLIMIT_AS, (used + 2 * size + SPARE, used + 2 * size + SPARE))
    except (ImportError, OSError, ValueError):
        return


def refuse_bomb(source: Path, size: int) -> None:
    """torch stores what it saves as it is: an archive that unpacks to more than its own size is none of torch's."""
    with zipfile.ZipFile(source) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > size:
            raise Refused("it unpacks to more than its own size")


def values(found: Any) -> Iterator[tuple[str, Any]]:
    """Every tensor and plain value of nested dictionaries and lists, by its path with dots."""
    left = [("", found)]
    for _ in range(MOST_VALUES):  # a list may hold itself, or name another one a billion times
        if not left:
            return
        path, value = left.pop()
        if len(path) > LONGEST_NAME:
            raise Refused("it nests without end")
        match value:
            case dict():
                below = list(value.items())
            case list() | tuple():
                below = list(enumerate(value))
            case _:
                yield path, value
                continue
        left += [(f"{path}.{key}" if path else str(key), each) for key, each in reversed(below)]
    raise Refused(f"it has more than {MOST_VALUES} values")


def dense(tensors: dict[str, Any], size: int) -> dict[str, Any]:
    """The tensors, each in memory of its own, as safetensors wants them; all together at most twice the file."""
    import torch

    for name, tensor in tensors.items():
        plain = tensor.layout == torch.strided and not tensor.is_quantized and tensor.device.type == "cpu"
        if not plain or tensor.nbytes > tensor.untyped_storage().nbytes():
            raise Refused(f"{name!r} is not a dense tensor")
    if sum(tensor.nbytes for tensor in tensors.values()) > 2 * size:
        raise Refused("its tensors are larger than the file")
    seen: set[int] = set()
    own = {}
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        tensor = tensor.detach().contiguous()
        own[name] = tensor.clone() if place in seen and tensor.untyped_storage().data_ptr() == place else tensor
        seen.add(place)
    return own


def reason(error: BaseException) -> str:
    """One line that says what was wrong with the file."""
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return "it needs more memory than its size explains"
    named = re.search(r"GLOBAL (\S+)", str(error))
    if named:
        return f"it holds more than tensors: opening it would call {named[1]}"
    first = (str(error).strip().splitlines() or [""])[0].split(". ")[0][:100]
    return f"it is no checkpoint of torch, or damaged ({type(error).__name__}: {first})"


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except Exception as error:
        print(reason(error))
        sys.exit(REFUSED)
