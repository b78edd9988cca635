"""Text to stereo music with Stable Audio: text encoder, diffusion model and autoencoder joined; exact lengths, editing.

Shapes: T latent frames, D latent width, C channels, N samples.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toccata.audio import resample
from toccata.clip import Clip, Progress, in_parts, sound
from toccata.codecs.autoencoder import Autoencoder, load_autoencoder
from toccata.encoders.readers import TextReader, load_reader
from toccata.errors import InputError, WeightsError
from toccata.models.stable_audio.canvas import (
    Canvas,
    Window,
    begun_with,
    empty,
    ended,
    kept_outside,
    lengthened,
    pasted,
    windows,
)
from toccata.models.stable_audio.config import START, TOTAL, DiffusionSampling, read_config
from toccata.models.stable_audio.drawing import Start, draw_latents
from toccata.models.stable_audio.looping import decode_around
from toccata.models.stable_audio.network import Condition, StableAudioNetwork, seconds_of
from toccata.models.streaming import Streaming
from toccata.prompt import MAX_SECONDS, EditOptions, GenerateOptions, Prompt, options_of
from toccata.weights import checkpoint
from toccata.weights.compact import compact, expand
from toccata.weights.device import pick_device, pick_float
from toccata.weights.parts import find_part

DEFAULT_STRENGTH = 0.7
SILENT_FRAMES = 64  # more than the encoder sees, so that the middle one knows of silence only


@dataclass(frozen=True)
class Asked:
    """One request, checked."""

    prompt: Prompt
    seed: int
    sampling: DiffusionSampling
    edit: EditOptions = field(default_factory=EditOptions)
    progress: Progress | None = None


class StableAudio(Streaming):
    """A loaded Stable Audio; see ``toccata.clip.Generator`` for what ``generate`` promises."""

    takes = frozenset({"steps", "init", "strength", "inpaint", "extend", "loop", "bpm"})

    def __init__(
        self,
        network: StableAudioNetwork,
        codec: Autoencoder,
        text: TextReader,
        name: str = "stable-audio",
        weights_sha256: str = "",
    ) -> None:
        self.network, self.codec, self.text = network.eval(), codec.eval(), text
        self.name, self.weights_sha256 = name, weights_sha256
        self.config = network.config

    @property
    def sample_rate(self) -> int:
        return self.codec.config.sample_rate

    def stream(
        self, prompt: str | Prompt, seconds: float | None = None, seed: int | None = None, **options: Any
    ) -> Iterator[Clip]:
        """Music of exactly ``seconds``, window by window; the parts join without a seam to what ``generate`` returns.

        ``options``: guidance as in ``GenerateOptions``; steps, strength, inpaint, extend, loop and bpm as in
        ``EditOptions``; init, a sound file or a clip that the music begins from (the length is then its own by
        default, else 10 seconds), or of which, with ``inpaint`` or ``extend``, all else stays; and progress, a
        callable. The length of an extended recording and of a loop follows from them.
        """
        init, asked = options.pop("init", None), self._asked(prompt, seed, **options)
        edit = asked.edit
        if seconds is not None and (edit.loop or edit.extend):
            raise InputError("how long a loop or an extended recording is follows from them; leave out seconds")
        if edit.loop:
            if init is not None or len(asked.prompt.parts) > 1:
                raise InputError("a loop begins from nothing and has one text; leave out init and the story")
            return self._loop(asked, round(edit.loop_seconds(asked.prompt) * self.sample_rate))
        old_CN = None if init is None else self._heard(init)
        if edit.extend:
            longer = sum(edit.extend) + (0 if old_CN is None else old_CN.shape[1] / self.sample_rate)
            if longer > MAX_SECONDS:
                raise InputError(f"extended, the recording lasts {longer:.0f} seconds; {MAX_SECONDS:g} is the most")
            return self._extended(asked, old_CN)
        own = 10.0 if old_CN is None else min(old_CN.shape[1] / self.sample_rate, MAX_SECONDS)
        wanted = round(GenerateOptions(own if seconds is None else seconds).seconds * self.sample_rate)
        return self._stream(asked, old_CN, wanted, edit.inpaint)

    def continue_(
        self,
        audio: str | Path | Clip,
        prompt: str | Prompt | None = None,
        seconds: float = 10.0,
        seed: int | None = None,
        **options: Any,
    ) -> Clip:
        """``audio`` as it is, followed by ``seconds`` of new music that goes on from it."""
        if prompt is None:
            raise InputError(f"{self.name} goes on by a prompt only; say what to play")
        foreign = options.keys() & {"init", "strength", "inpaint", "extend", "loop", "bpm"}
        if foreign:
            raise InputError(f"a continuation keeps all of its recording; leave out {min(foreign)}")
        after = GenerateOptions(seconds).seconds
        return Clip.join(self._extended(self._asked(prompt, seed, extend=(0, after), **options), self._heard(audio)))

    def _asked(
        self,
        prompt: str | Prompt,
        seed: int | None,
        progress: Progress | None = None,
        melody: object = None,
        **options: Any,
    ) -> Asked:
        """What was asked for, checked, with the model's own choices where it is left to it."""
        if melody is not None:
            raise InputError(f"{self.name} takes no melody; leave it out or choose a model that does")
        edits = {one.name for one in fields(EditOptions)} & options.keys()
        given = {name: value for name in edits if (value := options.pop(name)) is not None}
        edit = EditOptions(**given)
        sampling = self._sampled(options_of(self.name, seed=seed, **options), edit)
        return Asked(Prompt.of(prompt), secrets.randbits(32) if seed is None else seed, sampling, edit, progress)

    def _extended(self, asked: Asked, old_CN: np.ndarray | None) -> Iterator[Clip]:
        """The recording with new music before and after it."""
        if old_CN is None or asked.edit.extend is None:
            raise InputError("extend needs a recording to go on from; give it as init (--init FILE)")
        rate, stride, count = self.sample_rate, self.codec.config.stride, old_CN.shape[1]
        before, after = (round(seconds * rate) for seconds in asked.edit.extend)
        wanted = before + count + after
        regions = (0, before / rate), ((before + count) / rate, wanted / rate)
        longer_CN = lengthened(old_CN, before, after, SILENT_FRAMES // 2 * stride, rate)
        return self._stream(asked, longer_CN, wanted, tuple(part for part in regions if part[1] > part[0]))

    def _loop(self, asked: Asked, wanted: int) -> Iterator[Clip]:
        """``wanted`` samples that come round again: from the middle of a piece three windows long, drawn as a circle.

        Latents come in whole frames: what their sound lacks of the length, or has too much, is stretched away.
        """
        codec, size, network = self.codec.config, self.config.window, self.network
        frames, rate, total = round(wanted / codec.stride), codec.frame_rate, wanted / codec.sample_rate
        condition = self.condition(asked.prompt, Window(size, 0, size), 3 * size / rate, asked.sampling.guidance != 1)
        start = Start(torch.zeros(frames, codec.latent), torch.zeros(frames, dtype=torch.bool), circle=True)
        generator = torch.Generator().manual_seed(asked.seed)

        def tell(share: float) -> None:
            if asked.progress is not None:
                asked.progress(share * total, total)

        latent_TD = draw_latents(network, condition, start, asked.sampling, generator, tell)
        wave_BCN = decode_around(self.codec, latent_TD[None].to(next(self.codec.parameters()).device))
        samples_CN = resample.resample_loop(wave_BCN[0].cpu().numpy(), wanted).clip(-1, 1)
        yield replace(self._origin(asked), samples=samples_CN)

    def _origin(self, asked: Asked) -> Clip:
        nothing = np.zeros((self.codec.config.audio_channels, 0), np.float32)
        return Clip(nothing, self.sample_rate, str(asked.prompt), asked.seed, self.name, self.weights_sha256)

    def _stream(
        self, asked: Asked, old_CN: np.ndarray | None, wanted: int, regions: tuple[tuple[float, float], ...]
    ) -> Iterator[Clip]:
        edit, total = asked.edit, wanted / self.sample_rate
        self._check(edit, old_CN, total)
        canvas = self._canvas(old_CN, -(-wanted // self.codec.config.stride), regions)
        reach = edit.strength or (1.0 if regions or old_CN is None else DEFAULT_STRENGTH)
        drawn = self.latents(asked, canvas, total, reach)
        device = next(self.codec.parameters()).device
        parts = self.codec.decode_stream(part_TD[None].to(device) for part_TD in drawn)
        waves = (wave_BCN[0].cpu().numpy() for wave_BCN in parts)
        first = 0
        for clip in in_parts(waves, wanted, self._origin(asked), None):
            samples_CN = clip.samples
            if regions and old_CN is not None:
                samples_CN = pasted(samples_CN, old_CN, first, regions, self.sample_rate)
            first += samples_CN.shape[1]
            yield replace(clip, samples=samples_CN)

    def _sampled(self, options: GenerateOptions, edit: EditOptions) -> DiffusionSampling:
        if any(value is not None for value in (options.temperature, options.top_k, options.top_p)):
            raise InputError(f"{self.name} chooses no tokens; leave out temperature, top_k and top_p")
        if isinstance(options.guidance, tuple):
            raise InputError(f"{self.name} takes one guidance for the whole clip, not a pair; give a single number")
        told = {"guidance": options.guidance, "steps": edit.steps}
        return replace(self.config.sampling, **{name: value for name, value in told.items() if value is not None})

    def _check(self, edit: EditOptions, old_CN: np.ndarray | None, total: float) -> None:
        """Raise ``InputError`` where there is nothing to edit, or not there."""
        if old_CN is None and (edit.strength is not None or edit.inpaint):
            what = "inpaint" if edit.inpaint else "strength"
            raise InputError(f"{what} needs a recording to change; give it as init (--init FILE)")
        if edit.inpaint and edit.inpaint[-1][1] > total:
            raise InputError(f"a part to make anew ends at {edit.inpaint[-1][1]:g} seconds, the piece at {total:g}")

    def _heard(self, audio: str | Path | Clip) -> np.ndarray:
        """The recording at the model's rate and channels."""
        wave_CN, rate = sound(audio)
        if not wave_CN.shape[1]:
            raise InputError("the recording to begin from is empty; give one that sounds")
        mono = wave_CN.mean(0, keepdims=True) if len(wave_CN) > 2 else wave_CN
        return resample.resample(resample.to_channels(mono, self.codec.config.audio_channels), rate, self.sample_rate)

    def _canvas(self, old_CN: np.ndarray | None, frames: int, regions: Sequence[tuple[float, float]]) -> Canvas:
        window, codec, rest = self.config.window, self.codec.config, self.config.rest
        if old_CN is None and not rest:
            return empty(frames, window, codec.latent)
        silence = np.zeros((codec.audio_channels, SILENT_FRAMES * codec.stride), np.float32)
        silence_D = self._encoded(silence)[SILENT_FRAMES // 2]
        canvas = empty(frames, window, codec.latent)
        if old_CN is not None:
            canvas = begun_with(self._encoded(old_CN), silence_D, frames, window)
        if regions:
            canvas = kept_outside(canvas, regions, codec.frame_rate)
        return ended(canvas, silence_D, round(rest * codec.frame_rate)) if rest else canvas

    def _encoded(self, wave_CN: np.ndarray) -> Tensor:
        wave_BCN = torch.from_numpy(np.ascontiguousarray(wave_CN))[None]
        return self.codec.encode(wave_BCN.to(next(self.codec.parameters()).device))[0].float().cpu()

    def latents(self, asked: Asked, canvas: Canvas, total: float, strength: float) -> Iterator[Tensor]:
        """latent_TD in parts, window by window, until the canvas is full; ``progress`` is told of every step."""
        prompt, sampling, progress = asked.prompt, asked.sampling, asked.progress
        size, rate = self.config.window, self.codec.config.frame_rate
        generator = torch.Generator().manual_seed(asked.seed)
        made_TD = canvas.sound_TD[:0]  # the last window's worth of what there is
        for window in windows(canvas, size, [round(at * rate) for at, _ in prompt.parts]):
            if window.copied:
                new_TD = canvas.sound_TD[window.made : window.until]
            else:
                start = _start(canvas, window, made_TD, size, strength)
                condition = self.condition(prompt, window, total, sampling.guidance != 1)

                def tell(share: float, window: Window = window) -> None:
                    if progress is not None:
                        progress(min((window.made + share * (window.until - window.made)) / rate, total), total)

                whole_TD = draw_latents(self.network, condition, start, sampling, generator, tell)
                new_TD = whole_TD[window.made - window.first : window.until - window.first]
            made_TD = torch.cat([made_TD, new_TD])[-size:]
            yield new_TD

    @torch.no_grad()
    def condition(self, prompt: Prompt, window: Window, total: float, guided: bool = True) -> Condition:
        """Row 0 tells the window's text and place in ``total`` seconds; with ``guided``, row 1 is the negative one.

        Without a negative text, the latter has no tokens at all. A model with a ``rest`` is told of the last of several
        windows as of a piece of its own: so it was told of endings in training, and a difference of two times is harder
        to learn.
        """
        rate, device = self.codec.config.frame_rate, self.network.device
        start, whole = window.first / rate, self.config.window / rate
        if self.config.rest and whole < total <= start + whole:
            start, total = 0.0, total - start
        texts = [prompt.text_at(window.made / rate), *([prompt.negative] if prompt.negative and guided else [])]
        features = self.text.encode(texts)
        rows = 2 if guided else 1
        tokens, mask = (part[[0, -1][:rows]].to(device) for part in (features.tokens_BLD, features.mask_BL))
        timing = {START: start, TOTAL: total}
        said = {name: seconds_of([timing[name]] * rows).to(device) for name in self.config.timing}
        kept_B = torch.tensor([True, prompt.negative is not None][:rows], device=device)
        return self.network.condition(tokens.to(self.network.dtype), mask, said, kept_B)


def _start(canvas: Canvas, window: Window, made_TD: Tensor, size: int, strength: float) -> Start:
    """What ``window`` begins from: what was made of it already, kept, then the canvas."""
    known = window.made - window.first
    ahead = slice(window.made, window.first + size)
    sound_TD = torch.cat([made_TD[len(made_TD) - known :], canvas.sound_TD[ahead]])
    keep_T = torch.cat([torch.ones(known, dtype=torch.bool), canvas.keep_T[ahead]])
    return Start(sound_TD, keep_T, strength)


def save_stable_audio(folder: Path, network: StableAudioNetwork, **card: object) -> None:
    """Write the diffusion model in compact form; ``card`` names its codec and text encoder."""
    config = {"family": "stable-audio", "stable_audio": asdict(network.config), **card}
    checkpoint.save(folder, config, compact(network.state_dict()))


def load_pipeline(folder: Path, device: str = "auto", precision: str = "auto") -> StableAudio:
    """The model in ``folder`` with the autoencoder and text encoder it names, beside it or part of toccata."""
    place, dtype = pick_device(device), pick_dtype(precision, device)
    config, tensors = checkpoint.load(folder)
    if config.get("family") != "stable-audio":
        raise WeightsError(f"{folder} holds a {config.get('family')} model, not Stable Audio")
    try:
        network = StableAudioNetwork(read_config(config["stable_audio"]))
    except (KeyError, TypeError) as error:
        raise WeightsError(f"{folder} does not describe a Stable Audio ({error}); fetch or train it again") from None
    checkpoint.load_into(network, expand(tensors), folder)
    codec = load_autoencoder(find_part(folder, config, "codec"))
    text = load_reader(find_part(folder, config, "text"))
    name, sha256 = config.get("name", folder.name), checkpoint.sha256(folder)
    return StableAudio(network.to(place, dtype), codec.to(place), text, name, sha256)


def pick_dtype(precision: str, device: str) -> torch.dtype:
    """What the diffusion model computes in; see ``pick_float``."""
    return pick_float("Stable Audio", precision, device)
