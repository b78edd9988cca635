"""Text to music with MusicGen: text encoder, transformer and codec joined, with seeds, streaming and any length."""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol, overload

import numpy as np
import torch
from torch import Tensor

from toccata.audio import resample
from toccata.audio.melody import FRAME_RATE, Melody, melody_of
from toccata.audio.stems import find_demucs
from toccata.clip import Clip, Progress, in_parts, sound
from toccata.codecs.soundstream import load_soundstream
from toccata.encoders.features import TextFeatures
from toccata.encoders.text import load_text_encoder
from toccata.errors import InputError, WeightsError
from toccata.models.musicgen.config import MusicGenConfig
from toccata.models.musicgen.decoders import (
    Decoder,
    fast_decoder,
    loading_dtype,
    pick_precision,
    plain_decoder,
    threads_for,
)
from toccata.models.musicgen.network import Condition, MusicGenNetwork
from toccata.prompt import GenerateOptions, Prompt
from toccata.sampling.tokens import TokenSampling, decode_pattern, guided, sample
from toccata.weights import checkpoint
from toccata.weights.compact import compact, expand
from toccata.weights.device import pick_device
from toccata.weights.parts import find_part

STREAM_SECONDS = 1.0


class Codec(Protocol):
    """What MusicGen needs of a codec, such as SoundStream or EnCodec."""

    config: Any

    def eval(self) -> Any: ...

    def encode(self, wave_BCN: Tensor, levels: int | None = None) -> Tensor: ...

    def decode_stream(self, parts_BKT: Iterable[Tensor]) -> Iterator[Tensor]: ...


class TextReader(Protocol):
    """What MusicGen needs of a text encoder."""

    def encode(self, texts: list[str]) -> TextFeatures: ...


class MusicGen:
    """A loaded MusicGen; see ``toccata.clip.Generator`` for what ``generate`` promises."""

    def __init__(
        self,
        network: MusicGenNetwork,
        codec: Codec,
        text: TextReader,
        name: str = "musicgen",
        weights_sha256: str = "",
        sampling: TokenSampling | None = None,
        decoder: Decoder | None = None,
    ) -> None:
        """``decoder`` runs ``network``'s blocks and heads; without one, they run as they are."""
        self.network, self.codec, self.text = network.eval(), codec.eval(), text
        self.name, self.weights_sha256 = name, weights_sha256
        self.sampling = sampling or TokenSampling()
        self.device = network.norm.weight.device
        self.decoder = decoder or plain_decoder(network)
        self.threads = threads_for(network.config)

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

        ``options``: guidance, temperature, top_k, top_p as in ``GenerateOptions``; melody, a sound file or a clip whose
        tune the music takes up, again and again (found by Demucs where that was installed and pulled, else by toccata's
        own filter); and progress, a callable.
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
        """The same music in parts as it is made; they join without a seam to what ``generate`` returns."""
        return self._stream(Prompt.of(prompt), None, seconds, seed, **options)

    def continue_(
        self,
        audio: str | Path | Clip,
        prompt: str | Prompt | None = None,
        seconds: float = 10.0,
        seed: int | None = None,
        **options: Any,
    ) -> Clip:
        """``audio`` (its last seconds are heard) followed by ``seconds`` of new music that goes on from it."""
        if prompt is None:
            raise InputError(f"{self.name} goes on by a prompt only; say what to play")
        wave, rate = sound(audio)
        wanted = resample.to_channels(
            wave.mean(0, keepdims=True) if len(wave) > 2 else wave, self.network.config.channels
        )
        before_CN = resample.resample(wanted, rate, self.sample_rate)
        return Clip.join(self._stream(Prompt.of(prompt), before_CN, seconds, seed, **options))

    def _stream(
        self,
        prompt: Prompt,
        before_CN: np.ndarray | None,
        seconds: float,
        seed: int | None,
        progress: Progress | None = None,
        melody: str | Path | Clip | None = None,
        **numbers: Any,
    ) -> Iterator[Clip]:
        options = GenerateOptions(seconds=seconds, seed=seed, **numbers)
        seed = secrets.randbits(32) if seed is None else seed
        sampling = replace(
            self.sampling,
            **{k: v for k in ("guidance", "temperature", "top_k", "top_p") if (v := getattr(options, k)) is not None},
        )
        tune = None if melody is None else self._melody(melody)
        prefix_KT = self._prefix(before_CN)
        heard = prefix_KT.shape[1] * self.codec.config.stride
        wanted = round(options.seconds * self.sample_rate) + heard
        frames = -(-wanted // self.codec.config.stride)
        parts = self.codec.decode_stream(self._code_parts(prompt, prefix_KT, frames, seed, sampling, tune))
        waves = (wave_BCN[0].float().cpu().numpy() for wave_BCN in parts)
        nothing = np.zeros((self.network.config.channels, 0), np.float32)
        origin = Clip(nothing, self.sample_rate, str(prompt), seed, self.name, self.weights_sha256)
        yield from in_parts(waves, wanted, origin, progress)

    def _prefix(self, before_CN: np.ndarray | None) -> Tensor:
        """Codes of the sound to go on from, (K, T); T = 0 without one."""
        if before_CN is None:
            return torch.zeros(self.network.config.codebooks, 0, dtype=torch.int64)
        stride = self.codec.config.stride
        longest = self.network.config.window_frames // 2 * stride
        heard = before_CN[:, -longest:]
        heard = heard[:, heard.shape[1] % stride :]
        if not heard.size:
            raise InputError(
                f"the audio to continue is shorter than {stride / self.sample_rate:g} seconds; give more of it"
            )
        return self.codec.encode(torch.from_numpy(heard)[None], self.network.config.codebooks)[0]

    def _melody(self, melody: str | Path | Clip) -> Melody:
        config = self.network.config
        if not config.chroma_bins:
            raise InputError(f"{self.name} takes no melody; leave it out or choose a model that does")
        return melody_of(*sound(melody), rests=config.conditioning == "cross", demucs=find_demucs())

    def _code_parts(
        self,
        prompt: Prompt,
        prefix_KT: Tensor,
        frames: int,
        seed: int,
        sampling: TokenSampling,
        melody: Melody | None,
    ) -> Iterator[Tensor]:
        """codes_BKT in parts of about a second, the prefix first."""
        if prefix_KT.shape[1]:
            yield prefix_KT[None]
        size = round(STREAM_SECONDS * self.network.config.frame_rate)
        part: list[Tensor] = []
        for frame_K in self.frames(prompt, prefix_KT, frames, seed, sampling, melody):
            part.append(frame_K)
            if len(part) == size:
                yield torch.stack(part, dim=-1)[None]
                part = []
        if part:
            yield torch.stack(part, dim=-1)[None]

    def frames(
        self,
        prompt: Prompt,
        prefix_KT: Tensor,
        frames: int,
        seed: int,
        sampling: TokenSampling,
        melody: Melody | None = None,
    ) -> Iterator[Tensor]:
        """New frames (K,) until there are ``frames``, prefix included; a melody begins after the prefix.

        Past the trained window the model starts afresh from its own last half window, as often as needed.
        """
        generator = torch.Generator().manual_seed(seed)
        config = self.network.config
        recent, made = prefix_KT, prefix_KT.shape[1]
        conditions = {}
        while made < frames:
            text = prompt.text_at(made / config.frame_rate)
            keep = recent[:, -(config.window_frames // 2) :] if recent.shape[1] else recent
            until = min(keep.shape[1] + frames - made, config.window_frames)
            start = made - keep.shape[1] - prefix_KT.shape[1]
            told = text, None if melody is None else start
            if told not in conditions:
                chroma_TC = None if melody is None else self._chroma(melody, start / config.frame_rate, until)
                conditions = {told: self.condition(text, prompt.negative, chroma_TC)}
            new: list[Tensor] = []
            places_KS = config.places(until)
            predict = self.predictor(conditions[told], places_KS.shape[1])
            choose = chooser(sampling, generator, lambda made=made, new=new: (made + len(new)) / frames)
            for frame_K in decode_pattern(predict, choose, keep, places_KS, config.filler):
                new.append(frame_K.clone())
                yield new[-1]
            recent = torch.cat([keep, torch.stack(new, dim=-1)], dim=1)
            made += len(new)

    def _chroma(self, melody: Melody, start: float, frames: int) -> Tensor:
        """The melody from ``start`` seconds on, at the rate that the network reads it at: (T, C)."""
        config = self.network.config
        if config.conditioning == "prefix":
            return melody.at(start, config.chroma_frames, FRAME_RATE)
        return melody.at(start, frames, config.frame_rate)

    @torch.no_grad()
    def condition(self, text: str, negative: str | None, chroma_TC: Tensor | None = None) -> Condition:
        """Row 0 with ``text`` and the melody, row 1 with the negative text or none, and no melody."""
        features = self.text.encode([text] if negative is None else [text, negative])
        tokens, mask = features.tokens_BLD, features.mask_BL
        if negative is None:
            tokens = torch.cat([tokens, torch.zeros_like(tokens)])
            mask = torch.cat([mask, torch.zeros_like(mask)])
        dtype = self.network.norm.weight.dtype
        chroma = None
        if chroma_TC is not None:
            chroma = torch.stack([chroma_TC, torch.full_like(chroma_TC, torch.nan)]).to(self.device, dtype)
        return self.network.condition(tokens.to(self.device, dtype), mask.to(self.device), chroma)

    def predictor(self, condition: Condition, steps: int) -> Callable[[Tensor], Tensor]:
        """``predict(steps_KS)`` for up to ``steps`` steps: guidance's two rows as one batch through one cache."""
        config = self.network.config
        decoding = self.decoder.begin(2, condition.before + steps, condition.layers, condition.mask_BL)

        @torch.no_grad()
        def predict(steps_KS: Tensor) -> Tensor:
            steps_2KS = steps_KS.to(self.device).expand(2, -1, -1)
            with threads(self.threads):
                hidden_2SD = self.network.inputs(steps_2KS, condition, decoding.length)
                return decoding(hidden_2SD).view(2, config.codebooks, config.vocabulary)

        return predict


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Within the scope torch computes with ``count`` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def chooser(
    sampling: TokenSampling, generator: torch.Generator, share: Callable[[], float]
) -> Callable[[Tensor], Tensor]:
    """``choose(logits_2KV)`` where ``share()`` of the clip is made."""
    return lambda logits_2KV: sample(guided(logits_2KV, sampling.guidance_at(share())), sampling, generator).cpu()


def save_musicgen(folder: Path, network: MusicGenNetwork, **card: object) -> None:
    """Write the transformer in compact form; ``card`` names its codec and text encoder and says where it is from."""
    config = {"family": "musicgen", "musicgen": asdict(network.config), **card}
    checkpoint.save(folder, config, compact(network.state_dict()))


def load_pipeline(folder: Path, device: str = "auto", precision: str = "auto") -> MusicGen:
    """The model in ``folder`` with the codec and text encoder it names, which lie beside it or ship with toccata."""
    config, tensors = checkpoint.load(folder)
    if config.get("family") != "musicgen":
        raise WeightsError(f"{folder} holds a {config.get('family')} model, not MusicGen")
    place = pick_device(device)
    network = MusicGenNetwork(MusicGenConfig(**config["musicgen"]))
    precision = pick_precision(precision, place, network.config.width)
    checkpoint.load_into(network, expand(tensors), folder)
    codec = load_soundstream(find_part(folder, config, "codec"))
    text = load_text_encoder(find_part(folder, config, "text"))
    sampling = TokenSampling.of(config.get("sampling", {}))
    sha = checkpoint.sha256(folder)
    network = network.eval().to(place, loading_dtype(precision))
    decoder = fast_decoder(network, precision)
    return MusicGen(network, codec, text, config.get("name", folder.name), sha, sampling, decoder)
