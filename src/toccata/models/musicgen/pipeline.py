"""Text to music with MusicGen: text encoder, transformer and codec joined, with seeds, streaming and any length."""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from toccata.audio import resample
from toccata.audio.melody import Melody, melody_of
from toccata.audio.stems import find_demucs
from toccata.clip import Clip, Progress, in_parts, sound
from toccata.codecs.soundstream import load_soundstream
from toccata.encoders.text import load_text_encoder
from toccata.errors import InputError, WeightsError
from toccata.models.musicgen.config import MusicGenConfig
from toccata.models.musicgen.decoders import Decoder, fast_decoder, loading_dtype, pick_precision
from toccata.models.musicgen.network import MusicGenNetwork
from toccata.models.musicgen.writing import Piece, TextReader, Writer
from toccata.models.streaming import Streaming
from toccata.prompt import GenerateOptions, Prompt, options_of
from toccata.sampling.tokens import TokenSampling
from toccata.weights import checkpoint
from toccata.weights.compact import compact, expand
from toccata.weights.device import pick_device
from toccata.weights.parts import find_part

STREAM_SECONDS = 1.0


class Codec(Protocol):
    """What MusicGen needs of a codec, such as SoundStream or EnCodec; it is where the network is."""

    config: Any

    def eval(self) -> Any: ...

    def encode(self, wave_BCN: Tensor, levels: int | None = None) -> Tensor: ...

    def decode_stream(self, parts_BKT: Iterable[Tensor]) -> Iterator[Tensor]: ...


@dataclass(frozen=True)
class Request:
    """One clip of several that are made together: ``before`` is a sound to go on from, ``melody`` a tune to take up."""

    prompt: str | Prompt
    seconds: float = 10.0
    seed: int | None = None
    before: str | Path | Clip | None = None
    melody: str | Path | Clip | None = None


@dataclass(frozen=True)
class Job:
    """A request that was found good: the piece to write, how many samples it comes to, and a clip of none of them."""

    piece: Piece
    wanted: int
    origin: Clip


class MusicGen(Streaming):
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
        self.writer = Writer(network, text, decoder)

    @property
    def decoder(self) -> Decoder:
        return self.writer.decoder

    @property
    def sample_rate(self) -> int:
        return self.codec.config.sample_rate

    def generate_together(
        self,
        requests: Sequence[str | Prompt | Request],
        seconds: float = 10.0,
        seed: int | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> list[Clip]:
        """A clip for each request, decoded as one batch: more music a second, with the same ``options`` for all.

        ``seconds`` and ``seed`` are those of a mere prompt; ``options``: guidance, temperature, top_k, top_p. A clip
        may differ from its own single run: sums over more rows are rounded differently, which now and then turns a
        choice. The same batch gives the same clips again.
        """
        if not requests:
            raise InputError("the list of requests is empty; give at least one")
        sampling = self._sampling(options_of(self.name, **options))
        seed = secrets.randbits(32) if seed is None else seed
        jobs = [self._job(one if isinstance(one, Request) else Request(one, seconds, seed)) for one in requests]
        frames: dict[Piece, list[Tensor]] = {job.piece: [] for job in jobs}
        rate, total = self.network.config.frame_rate, sum(job.wanted for job in jobs) / self.sample_rate
        written = self.writer.write_together([job.piece for job in jobs], sampling)
        for made, (piece, frame_K) in enumerate(written, start=1):
            frames[piece].append(frame_K)
            if progress is not None and made % round(rate) == 0:
                progress(min(made / rate, total), total)
        return [Clip.join(self._clips(job, iter(frames[job.piece]))) for job in jobs]

    def with_seeds(
        self,
        prompt: str | Prompt,
        seeds: Sequence[int],
        seconds: float | None = None,
        progress: Progress | None = None,
        melody: str | Path | Clip | None = None,
        **options: Any,
    ) -> list[Clip]:
        """A clip of one prompt for each of ``seeds``, made together: see ``generate_together``."""
        length = 10.0 if seconds is None else seconds
        requests = [Request(prompt, length, seed, melody=melody) for seed in seeds]
        return self.generate_together(requests, progress=progress, **options)

    def stream(
        self, prompt: str | Prompt, seconds: float = 10.0, seed: int | None = None, **options: Any
    ) -> Iterator[Clip]:
        """Music of exactly ``seconds`` as it is made; the parts join without a seam to what ``generate`` returns.

        ``options``: guidance, temperature, top_k, top_p as in ``GenerateOptions``; melody, a sound file or a clip whose
        tune the music takes up, again and again (found by Demucs where that was installed and pulled, else by toccata's
        own filter); and progress, a callable. To make many clips, ``generate_together`` is faster.
        """
        return self._stream(Request(Prompt.of(prompt), seconds, seed), **options)

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
        return Clip.join(self._stream(Request(Prompt.of(prompt), seconds, seed, before=audio), **options))

    def _stream(
        self,
        request: Request,
        progress: Progress | None = None,
        melody: str | Path | Clip | None = None,
        **numbers: Any,
    ) -> Iterator[Clip]:
        sampling = self._sampling(options_of(self.name, **numbers))
        job = self._job(replace(request, melody=melody))
        yield from self._clips(job, self.writer.write(job.piece, sampling), progress)

    def _sampling(self, options: GenerateOptions) -> TokenSampling:
        """The model's own choices where ``options`` leave them to it."""
        names = ("guidance", "temperature", "top_k", "top_p")
        return replace(self.sampling, **{name: v for name in names if (v := getattr(options, name)) is not None})

    def _job(self, request: Request) -> Job:
        prompt, options = Prompt.of(request.prompt), GenerateOptions(seconds=request.seconds, seed=request.seed)
        seed = secrets.randbits(32) if options.seed is None else options.seed
        melody = None if request.melody is None else self._melody(request.melody)
        prefix_KT = self._prefix(request.before)
        stride = self.codec.config.stride
        wanted = round(options.seconds * self.sample_rate) + prefix_KT.shape[1] * stride
        generator = torch.Generator(self.writer.device).manual_seed(seed)  # where it is drawn
        nothing = np.zeros((self.network.config.channels, 0), np.float32)
        origin = Clip(nothing, self.sample_rate, str(prompt), seed, self.name, self.weights_sha256)
        return Job(Piece(prompt, prefix_KT, -(-wanted // stride), generator, melody), wanted, origin)

    def _prefix(self, audio: str | Path | Clip | None) -> Tensor:
        """Codes of the sound to go on from, (K, T); T = 0 without one."""
        if audio is None:
            return torch.zeros(self.network.config.codebooks, 0, dtype=torch.int64)
        wave, rate = sound(audio)
        mixed = wave.mean(0, keepdims=True) if len(wave) > 2 else wave
        before_CN = resample.resample(resample.to_channels(mixed, self.network.config.channels), rate, self.sample_rate)
        stride = self.codec.config.stride
        longest = self.network.config.window_frames // 2 * stride
        heard = before_CN[:, -longest:]
        heard = heard[:, heard.shape[1] % stride :]
        if not heard.size:
            raise InputError(
                f"the audio to continue is shorter than {stride / self.sample_rate:g} seconds; give more of it"
            )
        wave_BCN = torch.from_numpy(heard)[None].to(self.writer.device)
        return self.codec.encode(wave_BCN, self.network.config.codebooks)[0].cpu()

    def _melody(self, melody: str | Path | Clip) -> Melody:
        config = self.network.config
        if not config.chroma_bins:
            raise InputError(f"{self.name} takes no melody; leave it out or choose a model that does")
        return melody_of(*sound(melody), rests=config.conditioning == "cross", demucs=find_demucs())

    def _clips(self, job: Job, frames: Iterator[Tensor], progress: Progress | None = None) -> Iterator[Clip]:
        """The sound of ``frames`` (K,) in parts as they come."""
        size = round(STREAM_SECONDS * self.network.config.frame_rate)
        codes = (part_BKT.to(self.writer.device) for part_BKT in _parts(job.piece.prefix_KT, frames, size))
        parts = self.codec.decode_stream(codes)
        waves = (wave_BCN[0].float().cpu().numpy() for wave_BCN in parts)
        yield from in_parts(waves, job.wanted, job.origin, progress)


def _parts(prefix_KT: Tensor, frames: Iterator[Tensor], size: int) -> Iterator[Tensor]:
    """codes_BKT in parts of ``size`` frames, the prefix first."""
    if prefix_KT.shape[1]:
        yield prefix_KT[None]
    while part := list(islice(frames, size)):
        yield torch.stack(part, dim=-1)[None]


def save_musicgen(folder: Path, network: MusicGenNetwork, **card: object) -> None:
    """Write the transformer in compact form; ``card`` names its codec and text encoder and says where it is from."""
    config = {"family": "musicgen", "musicgen": asdict(network.config), **card}
    checkpoint.save(folder, config, compact(network.state_dict()))


def load_network(folder: Path) -> tuple[dict[str, Any], MusicGenNetwork]:
    """The card and the transformer of the model in ``folder``. Raises ``WeightsError``."""
    config, tensors = checkpoint.load(folder)
    if config.get("family") != "musicgen":
        raise WeightsError(f"{folder} holds a {config.get('family')} model, not MusicGen")
    network = MusicGenNetwork(MusicGenConfig(**config["musicgen"]))
    checkpoint.load_into(network, expand(tensors), folder)
    return config, network


def load_pipeline(folder: Path, device: str = "auto", precision: str = "auto") -> MusicGen:
    """The model in ``folder`` with the codec and text encoder it names, which lie beside it or ship with toccata."""
    config, network = load_network(folder)
    place = pick_device(device)
    precision = pick_precision(precision, place, network.config.width)
    codec = load_soundstream(find_part(folder, config, "codec")).to(place)
    text = load_text_encoder(find_part(folder, config, "text"))
    sampling = TokenSampling.of(config.get("sampling", {}))
    sha = checkpoint.sha256(folder)
    network = network.eval().to(place, loading_dtype(precision))
    decoder = fast_decoder(network, precision)
    return MusicGen(network, codec, text, config.get("name", folder.name), sha, sampling, decoder)
