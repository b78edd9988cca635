"""Text to stereo music with Moûsai: words to latents by one diffusion model, latents to sound by another.

Shapes: T latent frames, D latent width, C channels, N samples.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from toccata.audio import resample
from toccata.clip import Clip, Progress, in_parts, sound
from toccata.codecs.magnitude import MagnitudeAutoencoder, load_magnitude
from toccata.encoders.readers import TextReader, load_reader
from toccata.errors import InputError, WeightsError
from toccata.models.mousai.config import MousaiSampling, read_config
from toccata.models.mousai.network import MousaiNetwork
from toccata.prompt import EditOptions, GenerateOptions, Prompt
from toccata.sampling.diffusion import COSINE, Denoise, guided
from toccata.sampling.windows import Span, going_on, in_windows
from toccata.weights import checkpoint
from toccata.weights.compact import compact, expand
from toccata.weights.device import pick_device, pick_float
from toccata.weights.parts import find_part

DECODING = 0.5  # of the progress, that decoding is told to be


@dataclass(frozen=True)
class Request:
    """What one clip is made of: its words, its seed, how it is drawn, and the sound that it goes on from."""

    prompt: Prompt
    seed: int
    sampling: MousaiSampling
    before_CN: np.ndarray
    frames: int
    tell: Callable[[float], None]


class Mousai:
    """A loaded Moûsai; see ``toccata.clip.Generator`` for what ``generate`` promises."""

    takes = frozenset({"steps"})

    def __init__(
        self,
        network: MousaiNetwork,
        codec: MagnitudeAutoencoder,
        text: TextReader,
        name: str = "mousai",
        weights_sha256: str = "",
    ) -> None:
        self.network, self.codec, self.text = network.eval(), codec.eval(), text
        self.name, self.weights_sha256 = name, weights_sha256
        self.config = network.config

    @property
    def sample_rate(self) -> int:
        return self.codec.config.sample_rate

    @overload
    def generate(
        self, prompt: str | Prompt, seconds: float = 10.0, seed: int | None = None, **options: Any
    ) -> Clip: ...

    @overload
    def generate(
        self, prompt: Sequence[str | Prompt], seconds: float = 10.0, seed: int | None = None, **options: Any
    ) -> list[Clip]: ...

    def generate(
        self,
        prompt: str | Prompt | Sequence[str | Prompt],
        seconds: float = 10.0,
        seed: int | None = None,
        **options: Any,
    ) -> Clip | list[Clip]:
        """Music of exactly ``seconds`` for a prompt, or a list of clips for a list of prompts (each with ``seed``).

        ``options``: guidance as in ``GenerateOptions``; steps, those of the latents, as in ``EditOptions``; and
        progress, a callable.
        """
        if isinstance(prompt, str | Prompt):
            return Clip.join(self.stream(prompt, seconds, seed, **options))
        if not prompt:
            raise InputError("the list of prompts is empty; give at least one")
        seed = secrets.randbits(32) if seed is None else seed
        return [Clip.join(self.stream(one, seconds, seed, **options)) for one in prompt]

    def stream(
        self, prompt: str | Prompt, seconds: float = 10.0, seed: int | None = None, **options: Any
    ) -> Iterator[Clip]:
        """The same music in parts, as windows are decoded; they join without a seam to what ``generate`` returns."""
        nothing = np.zeros((self.codec.config.audio_channels, 0), np.float32)
        return self._stream(Prompt.of(prompt), nothing, seconds, seed, **options)

    def continue_(
        self,
        audio: str | Path | Clip,
        prompt: str | Prompt | None = None,
        seconds: float = 10.0,
        seed: int | None = None,
        **options: Any,
    ) -> Clip:
        """``audio`` as it is, followed by ``seconds`` of new music that goes on from its end."""
        if prompt is None:
            raise InputError(f"{self.name} goes on by a prompt only; say what to play")
        wave_CN, rate = sound(audio)
        wave_CN = resample.to_channels(wave_CN, self.codec.config.audio_channels)
        old_CN = resample.resample(wave_CN, rate, self.sample_rate).clip(-1, 1)
        stride, window = self.codec.config.stride, self.codec.config.window
        # Its end is where a frame ends; what lies before the first whole frame is not heard.
        heard_CN = old_CN[:, old_CN.shape[1] % stride :][:, -window * stride // 2 :]
        if not heard_CN.shape[1]:
            raise InputError(
                f"the recording is shorter than {stride / self.sample_rate:.2g} seconds; give a longer one"
            )
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
        frames = -(-(before_CN.shape[1] + wanted) // self.codec.config.stride)

        def tell(share: float) -> None:
            if progress is not None:
                progress(share * options.seconds, options.seconds)

        asked = Request(prompt, seed, sampling, before_CN, frames, tell)
        nothing = np.zeros((self.codec.config.audio_channels, 0), np.float32)
        origin = Clip(nothing, self.sample_rate, str(prompt), seed, self.name, self.weights_sha256)
        yield from in_parts(self._waves(asked), wanted, origin, None)

    def _sampled(self, options: GenerateOptions, edit: EditOptions) -> MousaiSampling:
        if any(value is not None for value in (options.temperature, options.top_k, options.top_p)):
            raise InputError(f"{self.name} chooses no tokens; leave out temperature, top_k and top_p")
        if isinstance(options.guidance, tuple):
            raise InputError(f"{self.name} takes one guidance for the whole clip, not a pair; give a single number")
        told = {"guidance": options.guidance, "steps": edit.steps}
        return replace(self.config.sampling, **{name: value for name, value in told.items() if value is not None})

    def _waves(self, asked: Request) -> Iterator[np.ndarray]:
        """New wave parts; all chance comes from one generator, the latents' first."""
        generator = torch.Generator().manual_seed(asked.seed)
        device = next(self.codec.parameters()).device
        before_BCN = torch.from_numpy(np.ascontiguousarray(asked.before_CN))[None].to(device)
        latent_BTD = self._latents(asked, before_BCN, generator)
        tell = lambda share: asked.tell(1 - DECODING * (1 - share))  # noqa: E731
        parts = self.codec.decode_stream(latent_BTD, [generator], tell=tell, known_BCN=before_BCN)
        for wave_BCN in parts:
            yield wave_BCN[0].float().cpu().numpy()

    @torch.no_grad()
    def _latents(self, asked: Request, before_BCN: Tensor, generator: torch.Generator) -> Tensor:
        """latent_BTD of the whole piece, window by window; those of what it goes on from are in front."""
        config, stride = self.codec.config, self.config.unet.stride
        past_BDT = torch.zeros(1, config.latent, 0, device=before_BCN.device)
        if before_BCN.shape[-1]:
            past_BDT = self.codec.encode(before_BCN).transpose(1, 2)
        heard, size = past_BDT.shape[-1], min(self.config.window, -(-asked.frames // stride) * stride)
        total = max(asked.frames, size)

        def draw(known_BDT: Tensor, span: Span) -> Tensor:
            text = asked.prompt.text_at((span.made - heard) / config.frame_rate)
            tokens_BLW = self.tokens(text, asked.prompt.negative, asked.sampling.guidance != 1)
            predict = self._predict(tokens_BLW, asked.sampling.guidance)
            noise_BDT = torch.randn(1, config.latent, size, generator=generator).to(known_BDT)
            done = lambda share: asked.tell(  # noqa: E731
                (1 - DECODING) * (span.made - heard + share * (span.until - span.made)) / (total - heard)
            )
            return going_on(predict, known_BDT, noise_BDT, asked.sampling.steps, COSINE, done)

        changes = [heard + round(at * config.frame_rate) for at, _ in asked.prompt.parts]
        new_BDT = torch.cat(list(in_windows(draw, past_BDT, total, size, changes)), dim=-1)
        return torch.cat([past_BDT, new_BDT], dim=-1).transpose(1, 2)[:, : asked.frames]

    def _predict(self, tokens_BLW: Tensor, guidance: float) -> Denoise:
        rows, dtype = len(tokens_BLW), self.network.nothing_LW.dtype

        def predict(x_BDT: Tensor, t: float) -> Tensor:
            both_BTD = x_BDT.transpose(1, 2).expand(rows, -1, -1).to(dtype)
            v_BDT = self.network(both_BTD, torch.full((rows,), t, device=x_BDT.device), tokens_BLW).float().mT
            return v_BDT if rows == 1 else guided(v_BDT[:1], v_BDT[1:], guidance)

        return predict

    @torch.no_grad()
    def tokens(self, text: str, negative: str | None, guided: bool) -> Tensor:
        """Row 0 is the text's; with ``guided``, row 1 is what is led away from: the negative text, or no text."""
        features = self.text.encode([text, negative] if negative and guided else [text])
        like, rows = self.network.nothing_LW, [0, -1] if guided else [0]
        tokens_BLW, mask_BL = (part[rows].to(like.device) for part in (features.tokens_BLD, features.mask_BL))
        kept_B = torch.tensor([True, negative is not None][: len(rows)], device=like.device)
        return self.network.told(tokens_BLW.to(like.dtype), mask_BL, kept_B)


def save_mousai(folder: Path, network: MousaiNetwork, **card: object) -> None:
    """Write the diffusion model in compact form; ``card`` names its codec and text encoder."""
    config = {"family": "mousai", "mousai": asdict(network.config), **card}
    checkpoint.save(folder, config, compact(network.state_dict()))


def load_pipeline(folder: Path, device: str = "auto", precision: str = "auto") -> Mousai:
    """The model in ``folder`` with the autoencoder and text encoder it names, beside it or part of toccata."""
    place, dtype = pick_device(device), pick_float("Moûsai", precision, device)
    config, tensors = checkpoint.load(folder)
    if config.get("family") != "mousai":
        raise WeightsError(f"{folder} holds a {config.get('family')} model, not Moûsai")
    try:
        network = MousaiNetwork(read_config(config["mousai"]))
    except (KeyError, TypeError) as error:
        raise WeightsError(f"{folder} does not describe a Moûsai ({error}); train it again") from None
    checkpoint.load_into(network, expand(tensors), folder)
    codec = load_magnitude(find_part(folder, config, "codec"))
    text = load_reader(find_part(folder, config, "text"))
    name, sha256 = config.get("name", folder.name), checkpoint.sha256(folder)
    return Mousai(network.to(place, dtype), codec.to(place), text, name, sha256)
