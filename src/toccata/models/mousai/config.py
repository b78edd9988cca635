"""Sizes of Moûsai's text-conditioned model and how it samples: as published, and the mini."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from toccata.nn.unet import UNetSizes, read_sizes


@dataclass(frozen=True)
class MousaiSampling:
    """DDIM's ``steps`` in latents, and ``guidance``; how sound is decoded, the codec's configuration says."""

    steps: int = 100
    guidance: float = 5.0


@dataclass(frozen=True)
class MousaiConfig:
    """The defaults are the published ones.

    ``window`` counts latent frames, a multiple of the U-Net's stride. Texts have ``text_tokens`` of width
    ``text_width``, the last of them zeros. Times of training are uniform, or logit-normal with the mean and the
    standard deviation ``dwell`` (arXiv 2403.03206, section 3.1): above 0, nearer to the noise, where words decide.
    """

    unet: UNetSizes = field(default_factory=UNetSizes)
    window: int = 2048
    text_width: int = 768
    text_tokens: int = 64
    condition_dropout: float = 0.1
    dwell: tuple[float, float] | None = None
    sampling: MousaiSampling = field(default_factory=MousaiSampling)


def full() -> MousaiConfig:
    """As published: a U-Net of 564M parameters, 44 s at once, words by T5-base."""
    return MousaiConfig()


def mini() -> MousaiConfig:
    """mousai-mini: 12 s at once, words by text-mini."""
    unet = UNetSizes(
        channels=(160, 192, 192),
        factors=(2, 2, 2),
        blocks=(1, 1, 1),
        attentions=(0, 1, 1),
        crosses=(1, 1, 1),
        heads=4,
        tokens=256,
        features=256,
    )
    return MousaiConfig(
        unet,
        window=576,
        text_width=256,
        text_tokens=24,
        dwell=(1.0, 1.3),
        sampling=MousaiSampling(steps=50, guidance=4.0),
    )


def read_config(said: Mapping[str, Any]) -> MousaiConfig:
    """The configuration that was saved as ``asdict``; raises ``KeyError`` or ``TypeError`` where it was none."""
    parts: dict[str, Any] = {"unet": read_sizes(said["unet"]), "sampling": MousaiSampling(**said["sampling"])}
    dwell = said.get("dwell")
    return MousaiConfig(**{**said, **parts, "dwell": dwell and tuple(dwell)})
