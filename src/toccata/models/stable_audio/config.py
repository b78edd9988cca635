"""Sizes of Stable Audio and how it samples: the first one, Open 1.0 and small as published, and the mini."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from toccata.nn.dit import DiTSizes
from toccata.nn.unet import UNetSizes, read_sizes, stable_audio_1

START, TOTAL = "seconds_start", "seconds_total"


@dataclass(frozen=True)
class DiffusionSampling:
    """How latents are drawn: see ``models/stable_audio/drawing.py`` for the names of solvers and schedules.

    ``low`` and ``high`` bound the sigmas of the schedules "exponential" and "karras".
    """

    solver: str = "dpm-2m-sde"
    schedule: str = "exponential"
    steps: int = 100
    guidance: float = 7.0
    rescale: float = 0.0
    low: float = 0.3
    high: float = 500.0


@dataclass(frozen=True)
class StableAudioConfig:
    """The defaults are Stable Audio Open 1.0's.

    ``objective`` is "v" or "rectified-flow"; the latter's times of training are the logistic function of a normal
    with the mean and the standard deviation ``dwell`` (arXiv 2403.03206, section 3.1). ``timing`` names what each
    crop is told of itself: where in its piece it starts, and how long the whole is; ``numbers`` chooses how:
    "fourier" features of a number (Open) or a learnt "table" of whole seconds (arXiv 2402.04825, section 3.3).
    ``window`` counts latent frames; texts have ``text_tokens``, the last of them zeros. Where there are sizes of a
    ``unet``, it takes the transformer's place; the window is then a multiple of its stride. With ``rest``, what
    lies beyond a piece's end is kept silent as it is drawn, the last window hears so many seconds of that and, of
    several, is told of itself as of a piece of its own.
    """

    dit: DiTSizes = field(default_factory=DiTSizes)
    unet: UNetSizes | None = None
    objective: str = "v"
    dwell: tuple[float, float] = (0.0, 1.0)
    window: int = 1024
    text_width: int = 768
    text_tokens: int = 128
    timing: tuple[str, ...] = (START, TOTAL)
    numbers: str = "fourier"
    longest: float = 512.0
    condition_dropout: float = 0.1
    rest: float = 0.0
    sampling: DiffusionSampling = field(default_factory=DiffusionSampling)

    @property
    def tokens(self) -> int:
        """The width of what is attended to."""
        return self.dit.tokens if self.unet is None else self.unet.tokens

    def with_latent(self, width: int) -> Self:
        """The same for latents of another ``width``."""
        if self.unet is not None:
            return replace(self, unet=replace(self.unet, inputs=width))
        return replace(self, dit=replace(self.dit, latent=width))


def first() -> StableAudioConfig:
    """The first Stable Audio (arXiv 2402.04825): a U-Net of 907M parameters, 95 s at 43 frames a second."""
    sampling = DiffusionSampling(solver="dpm-2m", guidance=6.0)
    return StableAudioConfig(unet=stable_audio_1(), window=4096, text_tokens=77, numbers="table", sampling=sampling)


def open_1_0() -> StableAudioConfig:
    """Stable Audio Open 1.0: 1.06B parameters, 47.6 s."""
    return StableAudioConfig()


def open_small() -> StableAudioConfig:
    """Stable Audio Open Small (arXiv 2505.08175): 340M parameters, 11.9 s, post-trained to 8 steps without guidance."""
    return StableAudioConfig(
        dit=DiTSizes(width=1024, layers=16, heads=8, context=1024, whole=768, normed=True),
        objective="rectified-flow",
        window=256,
        text_tokens=64,
        timing=(TOTAL,),
        longest=256.0,
        sampling=few_steps(),
    )


def few_steps() -> DiffusionSampling:
    """As models that were distilled to few steps are run."""
    return DiffusionSampling(solver="ping-pong", schedule="even-log-snr", steps=8, guidance=1.0)


def mini() -> StableAudioConfig:
    """stable-audio-mini: 12 s of autoencoder-mini's latents, words by text-mini, the paper's table of seconds."""
    return StableAudioConfig(
        dit=DiTSizes(width=256, layers=8, heads=4, tokens=256, context=256, whole=512, normed=True, patch=2),
        objective="rectified-flow",
        dwell=(1.2, 1.3),  # frames tell much of one another, so that what the words decide is decided in strong noise
        window=300,
        text_width=256,
        text_tokens=24,
        numbers="table",
        longest=128.0,
        rest=1.0,
        sampling=DiffusionSampling(solver="dpm-2m", schedule="even", steps=25, guidance=4.0),
    )


def mini_unet() -> StableAudioConfig:
    """The mini with the first Stable Audio's U-Net instead, at about the work of its transformer: to compare them."""
    unet = UNetSizes(
        inputs=64,
        channels=(128, 192, 256),
        factors=(1, 2, 2),
        blocks=(1, 1, 1),
        attentions=(1, 1, 2),
        crosses=(1, 1, 1),
        heads=4,
        head_width=0,
        tokens=256,
        features=256,
        stacked=True,
        middle=1,
    )
    return replace(mini(), unet=unet)


def read_config(said: Mapping[str, Any]) -> StableAudioConfig:
    """The configuration that was saved as ``asdict``; raises ``KeyError`` or ``TypeError`` where it was none."""
    parts = {"dit": DiTSizes(**said["dit"]), "sampling": DiffusionSampling(**said["sampling"])}
    unet = None if said.get("unet") is None else read_sizes(said["unet"])
    lists = {name: tuple(value) for name, value in said.items() if isinstance(value, list)}
    fields: dict[str, Any] = {**said, **lists, **parts, "unet": unet}
    return StableAudioConfig(**fields)
