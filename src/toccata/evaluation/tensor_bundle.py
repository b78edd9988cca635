"""Reads the variables of a TensorFlow checkpoint (a "tensor bundle") without TensorFlow.

The .index file is a LevelDB table (github.com/google/leveldb, doc/table_format.md) from a variable's name to a
BundleEntryProto that says where in the .data file its bytes lie.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from toccata.errors import WeightsError

_MAGIC = 0xDB4775248B80FB57
_FLOAT32 = 1
_FOOTER = 48


def read_bundle(prefix: Path | str) -> dict[str, np.ndarray]:
    """The float32 variables of a checkpoint of one shard: ``<prefix>.index`` and ``<prefix>.data-00000-of-00001``.

    Raises ``WeightsError`` where the files are missing or not such a checkpoint.
    """
    try:
        index = Path(f"{prefix}.index").read_bytes()
        data = Path(f"{prefix}.data-00000-of-00001").read_bytes()
    except OSError as error:
        raise WeightsError(f"the checkpoint {prefix} cannot be read: {error.strerror}") from None
    if len(index) < _FOOTER or struct.unpack("<Q", index[-8:])[0] != _MAGIC:
        raise WeightsError(f"{prefix}.index is not the index of a TensorFlow checkpoint")
    tensors = {}
    for key, value in _table(index):
        fields = _fields(value)
        if key and fields.get(1) == _FLOAT32:
            start, size = int(fields.get(4, 0)), int(fields[5])
            flat = np.frombuffer(data[start : start + size], "<f4")
            tensors[key.decode()] = flat.reshape(_shape(fields.get(2, b"")))
    return tensors


def _table(index: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Every (key, value) of the table: the footer names the index block, whose values name the data blocks."""
    footer = index[-_FOOTER:]
    at = 0
    handle = []
    for _ in range(4):
        number, at = _varint(footer, at)
        handle.append(number)
    for _, where in _block(index, handle[2], handle[3]):
        offset, at = _varint(where, 0)
        size, _ = _varint(where, at)
        yield from _block(index, offset, size)


def _block(index: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Entries of one block; a key repeats the beginning of the one before it."""
    if index[offset + size] != 0:
        raise WeightsError("the checkpoint's index is compressed, which is not supported")
    block = index[offset : offset + size]
    end = size - 4 - 4 * struct.unpack("<I", block[-4:])[0]
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, lowest first, and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


def _fields(message: bytes, repeated: list[bytes] | None = None) -> dict[int, int | bytes]:
    """A protocol buffer's fields by number, the last of each; byte strings are also added to ``repeated``."""
    fields: dict[int, int | bytes] = {}
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            fields[tag >> 3], at = _varint(message, at)
            continue
        if kind == 2:
            size, at = _varint(message, at)
        else:
            size = {1: 8, 5: 4}[kind]
        fields[tag >> 3] = message[at : at + size]
        if repeated is not None and kind == 2:
            repeated.append(message[at : at + size])
        at += size
    return fields


def _shape(message: int | bytes) -> tuple[int, ...]:
    """The sizes of a TensorShapeProto."""
    dimensions: list[bytes] = []
    _fields(bytes(message), dimensions)
    return tuple(int(_fields(dimension).get(1, 0)) for dimension in dimensions)
