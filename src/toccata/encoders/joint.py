"""What joint embeddings of sound and text have in common: two towers, and vectors of unit length to compare.

Shapes: B clips or texts, C channels, N samples, L tokens, P pictures of a clip, T frames, M mel bands, D width.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import soxr
import torch
from torch import Tensor

from toccata.audio import io
from toccata.errors import InputError

LONGEST = io.Limits(max_seconds=25 * 3600.0, max_bytes=2**40)


class JointEncoder(Protocol):
    """Sounds and texts into one space, where what belongs together lies close; rows are of unit length."""

    @property
    def width(self) -> int: ...

    @property
    def temperature(self) -> float: ...

    def embed_audio(self, waves: Sequence[Tensor], sample_rate: int) -> Tensor:
        """wave_N or wave_CN of any lengths, all at ``sample_rate`` Hz -> (B, D); raises ``InputError``."""
        ...

    def embed_files(self, paths: Sequence[Path]) -> Tensor:
        """Sound files -> (B, D), in memory that does not grow with their lengths; raises ``InputError``."""
        ...

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """(B, D); raises ``InputError`` for no texts, or an empty one."""
        ...


class TextTower(Protocol):
    """Reads texts: each becomes one vector of ``width`` numbers, of any length, before it is projected."""

    @property
    def width(self) -> int: ...

    def tokenise(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """``ids_BL`` and ``mask_BL``, as every text encoder gives them."""
        ...

    def summarise(self, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
        """(B, width)."""
        ...


class AudioTower(Protocol):
    """Hears clips: each becomes one vector of ``width`` numbers, before it is projected."""

    @property
    def width(self) -> int: ...

    def summarise(self, mel_BPTM: Tensor, longer_B: Tensor) -> Tensor:
        """(B, width); ``longer_B`` tells for which clips the pictures after the first add anything."""
        ...


def similarity(a_BD: Tensor, b_BD: Tensor) -> Tensor:
    """Cosine of every row of ``a_BD`` with every row of ``b_BD``, both of unit length: (a's, b's) in [-1, 1]."""
    return (a_BD @ b_BD.T).clamp(-1, 1)


def checked_wave(wave: Tensor, what: str = "the sound") -> Tensor:
    """wave_N or wave_CN as wave_CN in float32; raises ``InputError`` where it is empty, not finite or no sound."""
    if wave.ndim not in (1, 2):
        raise InputError(f"{what} has {wave.ndim} dimensions; give samples, or channels and samples")
    if wave.numel() == 0:
        raise InputError(f"{what} is empty; give at least one sample")
    wave_CN = torch.atleast_2d(wave).float()
    if not torch.isfinite(wave_CN).all():
        raise InputError(f"{what} holds samples that are not finite numbers; give it again without them")
    return wave_CN


def checked_texts(texts: Sequence[str]) -> list[str]:
    """The texts; raises ``InputError`` where there is none, or one says nothing."""
    if not texts:
        raise InputError("there is no text to embed; give at least one")
    for i, text in enumerate(texts):
        if not text.strip():
            raise InputError(f"text {i + 1} is empty; describe a sound in words")
    return list(texts)


def at_rate(file: io.Stream, rate: int) -> Iterator[Tensor]:
    """The file's blocks as mono sound at ``rate`` Hz."""
    if file.sample_rate == rate:
        yield from (torch.from_numpy(block.mean(0)) for block in file.blocks)
        return
    to_rate = soxr.ResampleStream(file.sample_rate, rate, 1, dtype="float32", quality="HQ")
    for block in file.blocks:
        yield torch.from_numpy(to_rate.resample_chunk(block.mean(0)))
    yield torch.from_numpy(to_rate.resample_chunk(torch.zeros(0).numpy(), last=True))
