"""Ogg streams whose bytes depend on their sound alone (RFC 3533)."""

import struct
import zlib

_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def with_serial(stream: bytes, serial: int) -> bytes:
    """``stream`` with every page's serial number set to ``serial`` and its checksum made anew.

    Encoders draw the serial number from the clock, so that without this one sound gives other bytes every time.
    """
    out = bytearray(stream)
    start = 0
    while start < len(out):
        segments = out[start + 26]
        end = start + 27 + segments + sum(out[start + 27 : start + 27 + segments])
        struct.pack_into("<I", out, start + 14, serial)
        struct.pack_into("<I", out, start + 22, 0)  # the checksum counts its own field as zero
        struct.pack_into("<I", out, start + 22, checksum(bytes(out[start:end])))
        start = end
    return bytes(out)


def checksum(page: bytes) -> int:
    """Ogg's CRC-32: zlib's polynomial with the bits the other way round, without its inversions."""
    crc = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{crc:032b}"[::-1], 2)
