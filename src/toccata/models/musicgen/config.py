"""Sizes of MusicGen (arXiv 2306.05284, section 3.1) and of the mini."""

from dataclasses import dataclass, replace

from torch import Tensor

from toccata.nn.codebooks import PATTERNS


@dataclass(frozen=True)
class MusicGenConfig:
    """A decoder-only transformer over K codebooks.

    ``text_width`` is the width of the text encoder's features; ``text_layers`` blocks mix them before the decoder
    attends to them (0 as published, where T5 has done that); with ``text_sum`` they are normalised, and their mean is
    added to every step too (audiocraft's "sum" fuser). ``positions`` is "sinusoidal" (published) or "rotary";
    ``pattern`` one of ``nn.codebooks.PATTERNS``. ``window_seconds`` is the longest stretch the model was trained on.

    ``conditioning`` is "cross" (cross-attention to the text) or "prefix" (what it is told goes before the codes: the
    published melody models). With ``chroma_bins`` a melody is told too: as the first ``chroma_frames`` of the prefix,
    or, with "cross", added to the codes frame by frame. With 2 ``channels`` codebooks of left and right take turns.
    """

    width: int = 1024
    layers: int = 24
    heads: int = 16
    codebooks: int = 4
    pattern: str = "delay"
    vocabulary: int = 2048
    frame_rate: float = 50.0
    text_width: int = 768
    text_layers: int = 0
    text_sum: bool = False
    conditioning: str = "cross"
    chroma_bins: int = 0
    chroma_frames: int = 235
    channels: int = 1
    positions: str = "sinusoidal"
    window_seconds: float = 30.0
    dropout: float = 0.0
    condition_dropout: float = 0.1

    @property
    def filler(self) -> int:
        """The code that marks places without a code, and the step before the first."""
        return self.vocabulary

    def places(self, frames: int) -> Tensor:
        """``places_KS``: how the pattern lays out that many frames."""
        return PATTERNS[self.pattern](self.codebooks, frames)

    @property
    def window_frames(self) -> int:
        return int(self.window_seconds * self.frame_rate)


def small() -> MusicGenConfig:
    return MusicGenConfig()


def medium() -> MusicGenConfig:
    return MusicGenConfig(width=1536, layers=48, heads=24)


def large() -> MusicGenConfig:
    return MusicGenConfig(width=2048, layers=48, heads=32)


def mini() -> MusicGenConfig:
    """musicgen-mini: soundstream-mini's first levels at 25 Hz."""
    return MusicGenConfig(
        width=256,
        layers=8,
        heads=4,
        vocabulary=1024,
        frame_rate=25.0,
        text_width=256,
        text_layers=2,
        text_sum=True,
        chroma_bins=12,
        positions="rotary",
        window_seconds=12.0,
    )


def tiny() -> MusicGenConfig:
    """Half the mini's width, depth and window, for experiments that train many models."""
    return replace(mini(), width=128, layers=4, window_seconds=6.0)
