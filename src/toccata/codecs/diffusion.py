"""What codecs whose decoder is a diffusion model share: latents of a wave, and waves drawn window by window.

Shapes: B batch, C channels, N samples, T latent frames, D latent width.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, Generic, Protocol, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.errors import InputError
from toccata.sampling.diffusion import COSINE
from toccata.sampling.windows import Span, going_on, in_windows


class DiffusionCodecConfig(Protocol):
    """What every such codec's configuration says; see ``magnitude_config``."""

    @property
    def sample_rate(self) -> int: ...
    @property
    def audio_channels(self) -> int: ...
    @property
    def latent(self) -> int: ...
    @property
    def stride(self) -> int: ...
    @property
    def frame_rate(self) -> float: ...
    @property
    def whole(self) -> int: ...
    @property
    def window(self) -> int: ...
    @property
    def steps(self) -> int: ...
    @property
    def loudness(self) -> float: ...
    @property
    def scale(self) -> float: ...


Config = TypeVar("Config", bound=DiffusionCodecConfig)


class DiffusionCodec(nn.Module, ABC, Generic[Config]):
    """Between waves and latents in [-1, 1]; ``encode`` and ``decode`` are what other rooms use.

    Something is drawn of which a latent frame has ``unit`` columns, and ``beyond`` more frames than there are latents.
    """

    encoder: nn.Module
    beyond: ClassVar[int] = 0

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    @property
    @abstractmethod
    def unit(self) -> int: ...

    @property
    @abstractmethod
    def rows(self) -> int:
        """How many values a column has."""

    @abstractmethod
    def velocity(self, x_B: Tensor, t_B: Tensor, latent_BDT: Tensor) -> Tensor:
        """The velocity of what is drawn, at times ``t_B``, told the latents of its frames."""

    @abstractmethod
    def loss(self, wave_BCN: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """What training makes small, and the latent_BDT that were told; chance comes from ``generator``."""

    def begin_with(self, wave_BCN: Tensor) -> None:
        """Before training: learn from some waves what is known without it."""

    @abstractmethod
    def _seen(self, wave_BCN: Tensor, latent_BDT: Tensor) -> Tensor:
        """What would be drawn of a wave of whole strides, divided by ``loudness``."""

    @abstractmethod
    def _heard(self, parts: Iterator[Tensor], latent_BDT: Tensor, made: int) -> Iterator[Tensor]:
        """wave_BCN, still divided by ``loudness``, of parts that are drawn from frame ``made`` on."""

    @torch.no_grad()
    def encode(self, wave_BCN: Tensor) -> Tensor:
        """wave_BCN at the codec's rate, in [-1, 1] -> latent_BTD, T = ceil(N / stride)."""
        config = self.config
        if wave_BCN.dim() != 3 or wave_BCN.shape[1] != config.audio_channels or not wave_BCN.shape[2]:
            shape = tuple(wave_BCN.shape)
            raise InputError(f"the codec takes (batch, {config.audio_channels} channels, samples), not {shape}")
        wave = F.pad(wave_BCN, (0, -wave_BCN.shape[-1] % config.stride))
        return self.encoder(wave / config.loudness).transpose(1, 2).float() / config.scale

    def decode(self, latent_BTD: Tensor, generators: Sequence[torch.Generator], steps: int | None = None) -> Tensor:
        """latent_BTD -> wave_BCN in [-1, 1], N = T x stride, by ``steps`` of diffusion.

        All chance of row i comes from ``generators[i]``, on the CPU.
        """
        return torch.cat(list(self.decode_stream(latent_BTD, generators, steps)), dim=-1)

    @torch.no_grad()
    def decode_stream(
        self,
        latent_BTD: Tensor,
        generators: Sequence[torch.Generator],
        steps: int | None = None,
        tell: Callable[[float], None] = lambda share: None,
        known_BCN: Tensor | None = None,
    ) -> Iterator[Tensor]:
        """Wave parts that join to ``decode``, window by window; each goes on from the end of the last one.

        ``tell`` is called with the share of the whole that is done. ``known_BCN`` is the wave of the first frames, of
        whole strides, where it is known: the parts go on from there.
        """
        config, device, unit = self.config, latent_BTD.device, self.unit
        frames, whole = latent_BTD.shape[1] + self.beyond, config.whole
        size = min(config.window, -(-frames // whole) * whole)
        total = max(frames, size)
        latent_BDT = (latent_BTD.transpose(1, 2) * config.scale).clamp(-1, 1)
        latent_BDT = F.pad(latent_BDT, (0, total - latent_BTD.shape[1]), mode="replicate")

        def draw(known: Tensor, span: Span) -> Tensor:
            part_BDT = latent_BDT[..., span.first : span.first + size]
            shape = self.rows, size * unit
            noise = torch.stack([torch.randn(shape, generator=one) for one in generators]).to(device)
            predict = lambda x, t: self.velocity(x, torch.full((len(x),), t, device=device), part_BDT)  # noqa: E731
            done = lambda share: tell((span.made + share * (span.until - span.made)) / total)  # noqa: E731
            return going_on(predict, known, noise, steps or config.steps, COSINE, done)

        old_BCN = torch.zeros(len(latent_BTD), config.audio_channels, 0) if known_BCN is None else known_BCN
        past = self._seen(old_BCN.to(device) / config.loudness, latent_BDT)
        left = latent_BTD.shape[1] * config.stride - old_BCN.shape[-1]
        drawn = in_windows(draw, past, total, size, unit=unit)
        for wave_BCN in self._heard(drawn, latent_BDT, past.shape[-1] // unit):
            yield (wave_BCN[..., :left] * config.loudness).clamp(-1, 1)
            left -= min(left, wave_BCN.shape[-1])
