"""Sizes of Moûsai's autoencoders: as published, and the mini's, which draws cosine coefficients."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from toccata.nn.unet import UNetSizes, read_sizes


def _published_unet() -> UNetSizes:
    none = (0,) * 7
    return UNetSizes(
        inputs=256,
        channels=(256, 512, 512, 512, 1024, 1024, 1024),
        factors=(1, 2, 2, 2, 2, 2, 2),
        blocks=(1, 2, 2, 2, 2, 2, 2),
        attentions=none,
        crosses=none,
        injected=32,
        inject_depth=4,
    )


@dataclass(frozen=True)
class MagnitudeConfig:
    """The defaults are those of the published ``dmae1d-ATC64-v2``.

    Spectra of ``n_fft`` samples every ``hop`` go through ``blocks`` residual blocks of ``width`` at each of the
    ``factors`` by which frames become fewer. The decoder sees, of each channel, ``filters`` learnt filters every
    ``patch`` samples; as many as samples lose nothing. ``window`` latent frames are decoded at once, in ``steps``.
    Waves are divided by ``loudness``, about their standard deviation, before noise of deviation 1 meets them; ``scale``
    is what latents are divided by for the model that draws them.
    """

    sample_rate: int = 48000
    audio_channels: int = 2
    n_fft: int = 1023
    hop: int = 256
    width: int = 512
    factors: tuple[int, ...] = (2, 2)
    blocks: tuple[int, ...] = (4, 8)
    latent: int = 32
    patch: int = 64
    filters: int = 128
    unet: UNetSizes = field(default_factory=_published_unet)
    window: int = 1024
    steps: int = 20
    loudness: float = 1.0
    scale: float = 1.0

    @property
    def stride(self) -> int:
        """Samples a latent frame."""
        return self.hop * math.prod(self.factors)

    @property
    def frame_rate(self) -> float:
        """Latent frames a second."""
        return self.sample_rate / self.stride

    @property
    def whole(self) -> int:
        """What the number of latent frames that are decoded has to be a multiple of."""
        return -(-self.patch * self.unet.stride // self.stride)


def full() -> MagnitudeConfig:
    """As published: 46.9 frames a second of 32 values, 64 times fewer than there are samples."""
    return MagnitudeConfig()


@dataclass(frozen=True)
class CosineConfig:
    """Of stereo sound, a frame every ``stride`` samples: ``latent`` values, and as many cosine coefficients as samples.

    The encoder has ``blocks[0]`` blocks of ``width``, what tells the coefficients' sizes ``blocks[1]``. The U-Net draws
    the ``drawn`` lowest coefficients of middle and side. The other fields are ``MagnitudeConfig``'s.
    """

    sample_rate: int = 48000
    audio_channels: int = 2
    stride: int = 1024
    width: int = 192
    blocks: tuple[int, int] = (3, 2)
    latent: int = 32
    drawn: int = 256
    unet: UNetSizes = field(default_factory=UNetSizes)
    window: int = 128
    steps: int = 12
    loudness: float = 0.1
    scale: float = 1.0

    @property
    def frame_rate(self) -> float:
        """Latent frames a second."""
        return self.sample_rate / self.stride

    @property
    def whole(self) -> int:
        """What the number of frames that are decoded has to be a multiple of."""
        return self.unet.stride


def mini() -> CosineConfig:
    """mousai-mini's autoencoder, at the published rates; the band's loudness is about .1."""
    unet = UNetSizes(
        inputs=512,
        channels=(256, 256),
        factors=(1, 2),
        blocks=(1, 1),
        attentions=(0, 0),
        crosses=(0, 0),
        features=128,
        injected=32,
        inject_depth=0,
    )
    return CosineConfig(unet=unet)


Config = TypeVar("Config", MagnitudeConfig, CosineConfig)


def read_config(kind: type[Config], said: Mapping[str, Any]) -> Config:
    """The configuration that was saved as ``asdict``; raises ``KeyError`` or ``TypeError`` where it was none."""
    lists = {name: tuple(value) for name, value in said.items() if isinstance(value, list)}
    return kind(**{**said, **lists, "unet": read_sizes(said["unet"])})
