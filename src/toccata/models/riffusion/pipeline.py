"""Text to mono music with Riffusion: words to pictures of log-mels by diffusion, pictures to sound by Griffin-Lim.

Shapes: M mel bands, T frames, F frequency bins, C channels (1), N samples.
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
from toccata.audio.mel import mel_filters, mels_of_normal
from toccata.audio.phase import from_mels, griffin_lim
from toccata.clip import Clip, Progress, in_parts, sound
from toccata.encoders.readers import TextReader, load_reader
from toccata.errors import InputError, WeightsError
from toccata.models.riffusion.config import RiffusionSampling, read_config
from toccata.models.riffusion.network import RiffusionNetwork, picture_of
from toccata.prompt import EditOptions, GenerateOptions, Prompt
from toccata.sampling.diffusion import COSINE, Denoise, guided
from toccata.sampling.windows import Span, going_on, in_windows
from toccata.weights import checkpoint
from toccata.weights.compact import compact, expand
from toccata.weights.device import pick_device, pick_float
from toccata.weights.parts import find_part


@dataclass(frozen=True)
class Request:
    """What one clip is made of: its words, its seed, how it is drawn, and the sound that it goes on from."""

    prompt: Prompt
    seed: int
    sampling: RiffusionSampling
    before_CN: np.ndarray
    frames: int
    tell: Callable[[float], None]


class Riffusion:
    """A loaded Riffusion; see ``toccata.clip.Generator`` for what ``generate`` promises."""

    takes = frozenset({"steps"})

    def __init__(
        self, network: RiffusionNetwork, text: TextReader, name: str = "riffusion", weights_sha256: str = ""
    ) -> None:
        self.network, self.text = network.eval(), text
        self.name, self.weights_sha256 = name, weights_sha256
        self.config = network.config

    @property
    def sample_rate(self) -> int:
        return self.config.sample_rate

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

        ``options``: guidance as in ``GenerateOptions``; steps as in ``EditOptions``; and progress, a callable.
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
        """The same music in parts, as windows are drawn; they join without a seam to what ``generate`` returns."""
        return self._stream(Prompt.of(prompt), np.zeros((1, 0), np.float32), seconds, seed, **options)

    def continue_(
        self,
        audio: str | Path | Clip,
        prompt: str | Prompt | None = None,
        seconds: float = 10.0,
        seed: int | None = None,
        **options: Any,
    ) -> Clip:
        """``audio`` as it is, in mono, followed by ``seconds`` of new music that goes on from its end."""
        if prompt is None:
            raise InputError(f"{self.name} goes on by a prompt only; say what to play")
        wave_CN, rate = sound(audio)
        old_CN = resample.resample(resample.to_channels(wave_CN, 1), rate, self.sample_rate).clip(-1, 1)
        hop, window = self.config.hop, self.config.frames
        # Its end is where a frame is centred; half a window is enough to go on from.
        heard_CN = old_CN[:, old_CN.shape[1] % hop :][:, -window * hop // 2 :]
        if heard_CN.shape[1] < self.config.n_fft:
            raise InputError(
                f"the recording is shorter than {self.config.n_fft / self.sample_rate:.2g} seconds; give a longer one"
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
        frames = -(-(before_CN.shape[1] + wanted) // self.config.hop) + 1

        def tell(share: float) -> None:
            if progress is not None:
                progress(share * options.seconds, options.seconds)

        asked = Request(prompt, seed, sampling, before_CN, frames, tell)
        nothing = np.zeros((1, 0), np.float32)
        origin = Clip(nothing, self.sample_rate, str(prompt), seed, self.name, self.weights_sha256)
        yield from in_parts(self._waves(asked), wanted, origin, None)

    def _sampled(self, options: GenerateOptions, edit: EditOptions) -> RiffusionSampling:
        if any(value is not None for value in (options.temperature, options.top_k, options.top_p)):
            raise InputError(f"{self.name} chooses no tokens; leave out temperature, top_k and top_p")
        if isinstance(options.guidance, tuple):
            raise InputError(f"{self.name} takes one guidance for the whole clip, not a pair; give a single number")
        told = {"guidance": options.guidance, "steps": edit.steps}
        return replace(self.config.sampling, **{name: value for name, value in told.items() if value is not None})

    @torch.no_grad()
    def _waves(self, asked: Request) -> Iterator[np.ndarray]:
        """New wave parts; all chance comes from one generator, a window's picture before its phases.

        A part is held back as far as the next frames reach into it, and the next part begins with sound that is known.
        """
        generator = torch.Generator().manual_seed(asked.seed)
        hop, reach = self.config.hop, -(-self.config.n_fft // self.config.hop)
        known_BN = torch.from_numpy(np.ascontiguousarray(asked.before_CN)).to(self.network.nothing_LW.device)
        picture_BMT = self._heard(known_BN)
        left = max(asked.frames, self._size(asked)) - picture_BMT.shape[-1]
        for new_BMT in self._pictures(asked, picture_BMT, generator):
            picture_BMT, left = torch.cat([picture_BMT, new_BMT], dim=-1), left - new_BMT.shape[-1]
            frames, old = picture_BMT.shape[-1], known_BN.shape[-1]
            settled = (frames - 1 - (reach if left else 0)) * hop
            if settled <= old:
                continue
            wave_BN = self._sound(picture_BMT, known_BN, asked.sampling.phase_steps, generator)
            yield wave_BN[:, old:settled].clamp(-1, 1).cpu().numpy()
            first = max(frames - 3 * reach, 0)
            picture_BMT, known_BN = picture_BMT[..., first:], wave_BN[:, first * hop : settled]

    def _heard(self, wave_BN: Tensor) -> Tensor:
        """picture_BMT of sound that is gone on from, without the frames that reach beyond its end."""
        whole = wave_BN.shape[-1] - self.config.n_fft // 2
        if whole < 0:
            return torch.zeros(1, self.config.bands, 0, device=wave_BN.device)
        return picture_of(wave_BN, self.config)[:, : whole // self.config.hop + 1].transpose(1, 2)

    def _size(self, asked: Request) -> int:
        """Frames of a window; a short piece draws no more than it needs."""
        stride = self.config.stride
        return min(self.config.frames, -(-asked.frames // stride) * stride)

    def _pictures(self, asked: Request, past_BMT: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
        """picture_BMT window by window, what is new of each."""
        config, size, heard = self.config, self._size(asked), past_BMT.shape[-1]
        total = max(asked.frames, size)

        def draw(known_BMT: Tensor, span: Span) -> Tensor:
            text = asked.prompt.text_at((span.made - heard) / config.frame_rate)
            tokens_BLW = self.tokens(text, asked.prompt.negative, asked.sampling.guidance != 1)
            predict = self._predict(tokens_BLW, asked.sampling.guidance)
            noise_BMT = torch.randn(1, config.bands, size, generator=generator).to(known_BMT)
            done = lambda share: asked.tell(  # noqa: E731
                (span.made - heard + share * (span.until - span.made)) / (total - heard)
            )
            return going_on(predict, known_BMT, noise_BMT, asked.sampling.steps, COSINE, done)

        changes = [heard + round(at * config.frame_rate) for at, _ in asked.prompt.parts]
        yield from in_windows(draw, past_BMT, total, size, changes)

    def _sound(self, picture_BMT: Tensor, known_BN: Tensor, steps: int, generator: torch.Generator) -> Tensor:
        """wave_BN of a picture, which begins with ``known_BN``."""
        config = self.config
        filters_MF = mel_filters(config.sample_rate, config.n_fft, config.bands).to(picture_BMT.device)
        magnitude_BFT = from_mels(mels_of_normal(picture_BMT.transpose(1, 2)), filters_MF)
        phase_BFT = 2 * torch.pi * torch.rand(magnitude_BFT.shape, generator=generator).to(magnitude_BFT)
        return griffin_lim(magnitude_BFT, config.hop, phase_BFT, steps, known_BN=known_BN)

    def _predict(self, tokens_BLW: Tensor, guidance: float) -> Denoise:
        rows, dtype = len(tokens_BLW), self.network.nothing_LW.dtype

        def predict(x_BMT: Tensor, t: float) -> Tensor:
            both_BMT = x_BMT.expand(rows, -1, -1).to(dtype)
            v_BMT = self.network(both_BMT, torch.full((rows,), t, device=x_BMT.device), tokens_BLW).float()
            return v_BMT if rows == 1 else guided(v_BMT[:1], v_BMT[1:], guidance)

        return predict

    @torch.no_grad()
    def tokens(self, text: str, negative: str | None, guided: bool) -> Tensor:
        """Row 0 is the text's; with ``guided``, row 1 is what is led away from: the negative text, or no text."""
        features = self.text.encode([text, negative] if negative and guided else [text])
        like, rows = self.network.nothing_LW, [0, -1] if guided else [0]
        tokens_BLW, mask_BL = (part[rows].to(like.device) for part in (features.tokens_BLD, features.mask_BL))
        kept_B = torch.tensor([True, negative is not None][: len(rows)], device=like.device)
        return self.network.told(tokens_BLW.to(like.dtype), mask_BL, kept_B)


def save_riffusion(folder: Path, network: RiffusionNetwork, **card: object) -> None:
    """Write the model in compact form; ``card`` names its text encoder."""
    config = {"family": "riffusion", "riffusion": asdict(network.config), **card}
    checkpoint.save(folder, config, compact(network.state_dict()))


def load_pipeline(folder: Path, device: str = "auto", precision: str = "auto") -> Riffusion:
    """The model in ``folder`` with the text encoder it names, beside it or part of toccata."""
    place, dtype = pick_device(device), pick_float("Riffusion", precision, device)
    config, tensors = checkpoint.load(folder)
    if config.get("family") != "riffusion":
        raise WeightsError(f"{folder} holds a {config.get('family')} model, not Riffusion")
    try:
        network = RiffusionNetwork(read_config(config["riffusion"]))
    except (KeyError, TypeError) as error:
        raise WeightsError(f"{folder} does not describe a Riffusion ({error}); train it again") from None
    checkpoint.load_into(network, expand(tensors), folder)
    text = load_reader(find_part(folder, config, "text"))
    return Riffusion(network.to(place, dtype), text, config.get("name", folder.name), checkpoint.sha256(folder))
