"""Diffusion that reads words by cross-attention, in windows that go on from what is there: Moûsai's and Riffusion's.

Shapes: B batch, L text tokens, W width of a token, C channels, N samples; "..." is what a family draws.
"""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.audio import resample
from toccata.clip import Clip, Progress, in_parts, sound
from toccata.encoders.readers import TextReader
from toccata.errors import InputError
from toccata.models.streaming import Streaming
from toccata.prompt import EditOptions, GenerateOptions, Prompt
from toccata.sampling.diffusion import COSINE, Denoise, guided, target, times_of_training

S = TypeVar("S")


class WordedNetwork(nn.Module, ABC):
    """``told`` once for a text, then ``forward`` gives the velocity of what is noisy at any time."""

    def __init__(
        self, text_width: int, text_tokens: int, width: int, condition_dropout: float, dwell: tuple[float, float] | None
    ) -> None:
        super().__init__()
        self.condition_dropout, self.dwell = condition_dropout, dwell
        self.text_in = nn.Identity() if text_width == width else nn.Linear(text_width, width)
        self.nothing_LW = nn.Parameter(torch.randn(text_tokens, width))

    def told(self, text_BLW: Tensor, mask_BL: Tensor, kept_B: Tensor | None = None) -> Tensor:
        """Tokens to attend to: features of a text encoder, cut or filled up with zeros to the configured length.

        Where ``kept_B`` is False they are the learnt ones of no text, which guidance leads away from.
        """
        length = len(self.nothing_LW)
        mask = mask_BL[..., None].to(text_BLW.dtype)
        tokens_BLW = F.pad(self.text_in(text_BLW) * mask, (0, 0, 0, length))[:, :length]
        return tokens_BLW if kept_B is None else torch.where(kept_B[:, None, None], tokens_BLW, self.nothing_LW)

    @torch.no_grad()
    def told_by(self, reader: TextReader, text: str, negative: str | None, guided: bool) -> Tensor:
        """Row 0 is the text's; with ``guided``, row 1 is what is led away from: the negative text, or no text."""
        features = reader.encode([text, negative] if negative and guided else [text])
        like, rows = self.nothing_LW, [0, -1] if guided else [0]
        tokens_BLW, mask_BL = (part[rows].to(like.device) for part in (features.tokens_BLD, features.mask_BL))
        kept_B = torch.tensor([True, negative is not None][: len(rows)], device=like.device)
        return self.told(tokens_BLW.to(like.dtype), mask_BL, kept_B)

    def guided(self, tokens_BLW: Tensor, guidance: float) -> Denoise:
        """The velocity of one noisy thing, led away from what row 1 of ``tokens_BLW`` says where there are two."""
        rows, dtype = len(tokens_BLW), self.nothing_LW.dtype

        def predict(x_1: Tensor, t: float) -> Tensor:
            both_B = x_1.expand(rows, *x_1.shape[1:]).to(dtype)
            v_B = self(both_B, torch.full((rows,), t, device=x_1.device), tokens_BLW).float()
            return v_B if rows == 1 else guided(v_B[:1], v_B[1:], guidance)

        return predict

    @abstractmethod
    def forward(self, x_B: Tensor, t_B: Tensor, tokens_BLW: Tensor) -> Tensor:
        """Noisy (B, ...) at times ``t_B`` in [0, 1] -> the velocity, of the same shape."""


def diffusion_loss(
    network: WordedNetwork, x_B: Tensor, text_BLW: Tensor, mask_BL: Tensor, generator: torch.Generator
) -> Tensor:
    """The mean squared error of the velocity (v-objective); a share of the rows is told no text.

    Times are uniform or, where the configuration has ``dwell``, logit-normal of that mean and standard deviation.
    """
    t_B = times_of_training(network.dwell, len(x_B), generator)
    noise_B = torch.randn(x_B.shape, generator=generator).to(x_B)
    kept_B = torch.rand(len(x_B), generator=generator) >= network.condition_dropout
    noisy_B, velocity_B = target(COSINE, x_B, noise_B, t_B)
    tokens_BLW = network.told(text_BLW, mask_BL, kept_B.to(x_B.device))
    made_B = network(noisy_B, t_B.to(x_B), tokens_BLW)
    return (made_B.float() - velocity_B.float()).square().mean()


def captioned_loss(
    network: WordedNetwork, x_B: Tensor, reader: TextReader, captions: list[str], generator: torch.Generator
) -> Tensor:
    """``diffusion_loss`` of what is told ``captions``; ``generator`` decides times, noise, and who is told nothing."""
    device, words = network.nothing_LW.device, reader.encode(captions)
    return diffusion_loss(network, x_B.to(device), words.tokens_BLD.to(device), words.mask_BL.to(device), generator)


@dataclass(frozen=True)
class Request(Generic[S]):
    """What one clip is made of: its words, its seed, how it is drawn, and the sound that it goes on from."""

    prompt: Prompt
    seed: int
    sampling: S
    before_CN: np.ndarray
    samples: int
    tell: Callable[[float], None]


class WordedPipeline(Streaming, Generic[S]):
    """A loaded model of such a family; see ``toccata.clip.Generator`` for what ``generate`` promises.

    A family says how sound is drawn (``_waves``), how it is sampled unless told (``sampling``), and of sound that it
    goes on from: that it ends at a multiple of ``stride`` samples, has ``shortest`` or more, and ``longest`` are heard.
    """

    takes = frozenset({"steps"})
    channels: int
    sampling: S
    stride: int
    shortest: int
    longest: int

    def __init__(self, name: str, weights_sha256: str) -> None:
        self.name, self.weights_sha256 = name, weights_sha256

    @property
    @abstractmethod
    def sample_rate(self) -> int: ...

    @abstractmethod
    def _waves(self, asked: Request[S]) -> Iterator[np.ndarray]:
        """New wave parts; all chance comes from one generator of the request's seed."""

    def stream(
        self, prompt: str | Prompt, seconds: float = 10.0, seed: int | None = None, **options: Any
    ) -> Iterator[Clip]:
        """Music of exactly ``seconds`` as it is made; the parts join without a seam to what ``generate`` returns.

        ``options``: guidance as in ``GenerateOptions``; steps as in ``EditOptions``; and progress, a callable.
        """
        return self._stream(Prompt.of(prompt), np.zeros((self.channels, 0), np.float32), seconds, seed, **options)

    def continue_(
        self,
        audio: str | Path | Clip,
        prompt: str | Prompt | None = None,
        seconds: float = 10.0,
        seed: int | None = None,
        **options: Any,
    ) -> Clip:
        """``audio``, in the model's channels, followed by ``seconds`` of new music that goes on from its end."""
        if prompt is None:
            raise InputError(f"{self.name} goes on by a prompt only; say what to play")
        wave_CN, rate = sound(audio)
        wave_CN = resample.to_channels(wave_CN, self.channels)
        old_CN = resample.resample(wave_CN, rate, self.sample_rate).clip(-1, 1)
        heard_CN = old_CN[:, old_CN.shape[1] % self.stride :][:, -self.longest :]
        if heard_CN.shape[1] < self.shortest:
            least = self.shortest / self.sample_rate
            raise InputError(f"the recording is shorter than {least:.2g} seconds; give a longer one")
        new = Clip.join(self._stream(Prompt.of(prompt), heard_CN, seconds, seed, **options))
        return replace(new, samples=np.concatenate([old_CN, new.samples], axis=1))

    def _stream(
        self,
        prompt: Prompt,
        before_CN: np.ndarray,
        seconds: float,
        seed: int | None,
        progress: Progress | None = None,
        steps: int | None = None,
        melody: object = None,
        **numbers: Any,
    ) -> Iterator[Clip]:
        if melody is not None:
            raise InputError(f"{self.name} takes no melody; leave it out or choose a model that does")
        options = GenerateOptions(seconds=seconds, seed=seed, **numbers)
        sampling = self._sampled(options, EditOptions(steps))
        seed = secrets.randbits(32) if seed is None else seed
        wanted = round(options.seconds * self.sample_rate)

        def tell(share: float) -> None:
            if progress is not None:
                progress(share * options.seconds, options.seconds)

        asked = Request(prompt, seed, sampling, before_CN, before_CN.shape[1] + wanted, tell)
        nothing = np.zeros((self.channels, 0), np.float32)
        origin = Clip(nothing, self.sample_rate, str(prompt), seed, self.name, self.weights_sha256)
        yield from in_parts(self._waves(asked), wanted, origin, None)

    def _sampled(self, options: GenerateOptions, edit: EditOptions) -> S:
        if any(value is not None for value in (options.temperature, options.top_k, options.top_p)):
            raise InputError(f"{self.name} chooses no tokens; leave out temperature, top_k and top_p")
        if isinstance(options.guidance, tuple):
            raise InputError(f"{self.name} takes one guidance for the whole clip, not a pair; give a single number")
        told: dict[str, Any] = {"guidance": options.guidance, "steps": edit.steps}
        chosen: Any = self.sampling
        return replace(chosen, **{name: value for name, value in told.items() if value is not None})
