"""Sound files: a guarded decoder for what users bring, a writer whose files are whole and the same every time."""

import io
import os
import stat
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from toccata.audio.loudness import peak_limit
from toccata.audio.ogg import with_serial
from toccata.errors import InputError, OutputError

FORMATS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
_OGG_SERIAL = 0x746F6363


@dataclass(frozen=True)
class Limits:
    """What ``read`` accepts: length in seconds, channels, rate in Hz, and bytes (on disk, and decoded to float32)."""

    max_seconds: float = 600.0
    max_channels: int = 8
    min_rate: int = 4_000
    max_rate: int = 192_000
    max_bytes: int = 2**30


def read(path: str | os.PathLike[str], limits: Limits = Limits()) -> tuple[np.ndarray, int]:
    """Decode a sound file into float32 (channels, samples) in [-1, 1] and its sample rate in Hz.

    The header is checked against ``limits`` before anything is decoded, and the length again while decoding. Louder
    float files are scaled down to [-1, 1]. Raises ``InputError`` for what is missing, no sound file, damaged, empty,
    beyond the limits or not finite.
    """
    path = Path(path)
    with _opened(path, limits) as file:
        _check_header(path, file, limits)
        samples = _decode(path, file, limits)
    if samples.shape[1] == 0:
        raise InputError(f"{path} holds no sound; give a file with at least one sample")
    if not np.isfinite(samples).all():
        raise InputError(f"{path} holds samples that are not finite numbers; export it again")
    return peak_limit(samples), file.samplerate


@dataclass(frozen=True)
class Stream:
    """An open sound file: ``blocks`` are float32 (channels, samples), a second or less each, as they are in the file.

    ``frames`` is the length in samples that the header tells, which the blocks need not keep to; ``sample_rate`` in Hz.
    """

    sample_rate: int
    channels: int
    frames: int
    blocks: Iterator[np.ndarray]


@contextmanager
def stream(path: str | os.PathLike[str], limits: Limits = Limits()) -> Iterator[Stream]:
    """A sound file in blocks, for what is too long to be held whole; raises ``InputError`` as ``read`` does.

    What the header tells is checked at once, the rest as the blocks are taken. Nothing is scaled.
    """
    path = Path(path)
    with _opened(path, limits) as file:
        _check_header(path, file, limits)
        yield Stream(file.samplerate, file.channels, file.frames, _finite_blocks(path, file, limits))


def _finite_blocks(path: Path, file: soundfile.SoundFile, limits: Limits) -> Iterator[np.ndarray]:
    empty = True
    for block in _blocks(path, file, limits):
        if not np.isfinite(block).all():
            raise InputError(f"{path} holds samples that are not finite numbers; export it again")
        empty = False
        yield block.T
    if empty:
        raise InputError(f"{path} holds no sound; give a file with at least one sample")


@contextmanager
def _opened(path: Path, limits: Limits) -> Iterator[soundfile.SoundFile]:
    try:
        with path.open("rb") as raw:
            status = os.fstat(raw.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InputError(f"{path} is not a file; give a sound file")
            if status.st_size > limits.max_bytes:
                raise InputError(f"{path} is larger than {limits.max_bytes // 2**20:,} MiB; give a shorter file")
            # The descriptor and not the name: soundfile would trust a suffix such as .raw.
            with soundfile.SoundFile(raw.fileno(), closefd=False) as file:
                yield file
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; give the path of a sound file") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except soundfile.LibsndfileError as error:
        raise InputError(
            f"{path} is not a sound file that can be decoded (wav, flac, ogg, mp3): {_why(error)}"
        ) from None


def _check_header(path: Path, file: soundfile.SoundFile, limits: Limits) -> None:
    if not limits.min_rate <= file.samplerate <= limits.max_rate:
        raise InputError(
            f"{path} has a sample rate of {file.samplerate:,} Hz; "
            f"convert it to one from {limits.min_rate:,} to {limits.max_rate:,} Hz"
        )
    if not 1 <= file.channels <= limits.max_channels:
        raise InputError(f"{path} has {file.channels} channels; mix it down to {limits.max_channels} or fewer")
    _check_length(path, file.frames, file, limits)


def _check_length(path: Path, frames: int, file: soundfile.SoundFile, limits: Limits) -> None:
    if frames > limits.max_seconds * file.samplerate or frames * file.channels * 4 > limits.max_bytes:
        raise InputError(f"{path} is too long; cut it to {limits.max_seconds:g} seconds or less")


def _decode(path: Path, file: soundfile.SoundFile, limits: Limits) -> np.ndarray:
    blocks = [np.zeros((0, file.channels), np.float32), *_blocks(path, file, limits)]
    return np.ascontiguousarray(np.concatenate(blocks).T)


def _blocks(path: Path, file: soundfile.SoundFile, limits: Limits) -> Iterator[np.ndarray]:
    """(samples, channels), a second at a time, their length checked as they come."""
    frames = 0
    while len(block := file.read(file.samplerate, dtype="float32", always_2d=True)):
        frames += len(block)
        _check_length(path, frames, file, limits)
        yield np.asarray(block, np.float32)


def check_target(path: str | os.PathLike[str]) -> Path:
    """``path`` as a path that ``write`` can write, before any work is done.

    Raises ``OutputError`` where the suffix names no format, the folder is missing or may not be written.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise OutputError(f"{str(path)!r} does not name a sound format; end it in {', '.join(FORMATS)}")
    check_folder(path)
    return path


def check_folder(path: Path) -> None:
    """Raise ``OutputError`` unless a file ``path`` could be written: its folder exists, may be written, and is free."""
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(f"the folder {folder} does not exist; make it first or choose another")
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file in it")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"the folder {folder} may not be written; choose another or change its permissions")


def write(path: str | os.PathLike[str], samples_CN: np.ndarray, sample_rate: int, tags: Mapping[str, str]) -> None:
    """Write a sound file in the format of ``path``'s suffix (.wav .flac .ogg .mp3), whole or not at all.

    ``samples_CN`` are (channels, samples) in [-1, 1], ``sample_rate`` is in Hz; ``tags`` as in ``encode``. The same
    arguments give the same bytes. Raises ``OutputError`` where the file cannot be written.
    """
    path = check_target(path)
    write_whole(path, encode(samples_CN, sample_rate, path.suffix.lower(), tags))


def encode(samples_CN: np.ndarray, sample_rate: int, suffix: str, tags: Mapping[str, str]) -> bytes:
    """A sound file as bytes: 16-bit wav and flac, Vorbis ogg, mp3.

    ``tags`` may hold title, comment and software (mp3 has no place for the last). No time of day is written.
    """
    container, subtype = FORMATS[suffix]
    buffer = io.BytesIO()
    try:
        with soundfile.SoundFile(buffer, "w", sample_rate, len(samples_CN), subtype, format=container) as file:
            for name, text in tags.items():
                if text:  # libsndfile refuses an empty one
                    setattr(file, name, text)
            # Second by second: libsndfile's Vorbis encoder puts a whole block on the stack.
            for start in range(0, samples_CN.shape[1], sample_rate):
                file.write(samples_CN[:, start : start + sample_rate].T)
    except soundfile.LibsndfileError as error:
        raise OutputError(
            f"{len(samples_CN)} channels at {sample_rate:,} Hz cannot be written as {suffix}: {_why(error)}; try .wav"
        ) from None
    data = buffer.getvalue()
    return with_serial(data, _OGG_SERIAL) if suffix == ".ogg" else data


def pcm(samples_CN: np.ndarray) -> bytes:
    """Samples as ``encode`` writes them into a .wav: 16 bits, channels in turn, without a header."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples_CN.T, 48000, format="RAW", subtype="PCM_16", endian="LITTLE")
    return buffer.getvalue()


def wav_header(channels: int, sample_rate: int, frames: int) -> bytes:
    """The header of a .wav whose ``frames`` frames of ``pcm`` follow, for sound that is sent before it is all there."""
    width = 2 * channels
    size = width * frames
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, sample_rate, sample_rate * width, width, 16)
    return struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + form + struct.pack("<4sI", b"data", size)


def write_whole(path: Path, data: bytes) -> None:
    """Write ``data`` beside ``path`` and rename it: the file is whole or not there. Raises ``OutputError``."""
    target = Path(os.path.realpath(path))
    part = target.with_name(f".toccata-{os.getpid()}-{threading.get_ident()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
        os.replace(part, target)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)


def _why(error: soundfile.LibsndfileError) -> str:
    return error.error_string.rstrip(".").lower()
