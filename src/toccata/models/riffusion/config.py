"""The size of Riffusion's mini, what its pictures are of, and how it samples."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from toccata.nn.picture_unet import PictureUNetSizes, read_sizes


@dataclass(frozen=True)
class RiffusionSampling:
    """DDIM's ``steps``, ``guidance``, and Griffin-Lim's ``phase_steps``."""

    steps: int = 50
    guidance: float = 7.0
    phase_steps: int = 32


@dataclass(frozen=True)
class RiffusionConfig:
    """A picture has ``bands`` log-mels of spectra of ``n_fft`` samples every ``hop``, ``frames`` of them at once.

    The U-Net sees squares of ``fold`` x ``fold`` pixels as one with that many more channels; bands and frames are
    multiples of ``stride``. Texts have ``text_tokens`` of width ``text_width``, the last of them zeros.
    Times of training are uniform, or logit-normal with the mean and the standard deviation ``dwell``.
    """

    sample_rate: int = 24000
    n_fft: int = 2048
    hop: int = 512
    bands: int = 128
    frames: int = 256
    fold: int = 2
    unet: PictureUNetSizes = field(default_factory=PictureUNetSizes)
    text_width: int = 768
    text_tokens: int = 77
    condition_dropout: float = 0.1
    dwell: tuple[float, float] | None = None
    sampling: RiffusionSampling = field(default_factory=RiffusionSampling)

    @property
    def stride(self) -> int:
        """What a picture's bands and frames have to be multiples of."""
        return self.fold * self.unet.stride

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.sample_rate / self.hop


def mini() -> RiffusionConfig:
    """riffusion-mini: 5.5 s at once, words by text-mini."""
    unet = PictureUNetSizes(inputs=64, channels=(96, 128, 160), attentions=(0, 1, 1), blocks=1, heads=4, tokens=256)
    sampling = RiffusionSampling(steps=25)
    return RiffusionConfig(fold=8, unet=unet, text_width=256, text_tokens=24, dwell=(1.0, 1.3), sampling=sampling)


def read_config(said: Mapping[str, Any]) -> RiffusionConfig:
    """The configuration that was saved as ``asdict``; raises ``KeyError`` or ``TypeError`` where it was none."""
    parts: dict[str, Any] = {"unet": read_sizes(said["unet"]), "sampling": RiffusionSampling(**said["sampling"])}
    dwell = said.get("dwell")
    return RiffusionConfig(**{**said, **parts, "dwell": dwell and tuple(dwell)})
