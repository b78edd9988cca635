"""Text to music with MusicLM: words to MuLan's tokens, these to meaning, meaning to sound, coarse and then fine.

Shapes: B windows, C channels, K levels, T frames, N samples.
"""

import secrets
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toccata.audio import resample
from toccata.audio.melody import checked_tune
from toccata.clip import Clip, Progress, in_parts, sound
from toccata.codecs.soundstream import SoundStream, load_soundstream
from toccata.encoders.melody import MelodyEncoder, load_melody
from toccata.encoders.mulan import MuLan, load_mulan
from toccata.encoders.semantic import SemanticTokens, load_semantic
from toccata.engines.threads import SMALL
from toccata.engines.torch_decoder import lay_out
from toccata.errors import InputError, WeightsError
from toccata.models.musiclm.config import MusicLMConfig, StageConfig, Stream, melody_starts, tune_starts
from toccata.models.musiclm.network import StageNetwork
from toccata.models.musiclm.writing import Stage, drawn_from, written
from toccata.models.streaming import Streaming
from toccata.prompt import GenerateOptions, Prompt, options_of
from toccata.weights import checkpoint
from toccata.weights.compact import compact, expand
from toccata.weights.device import pick_device
from toccata.weights.parts import find_part

SEMANTIC, COARSE, FINE = range(3)


class MusicLM(Streaming):
    """A loaded MusicLM; see ``toccata.clip.Generator`` for what ``generate`` promises."""

    def __init__(
        self,
        config: MusicLMConfig,
        stages: dict[str, Stage],
        mulan: MuLan,
        semantic: SemanticTokens,
        codec: SoundStream,
        name: str = "musiclm",
        weights_sha256: str = "",
        melody: MelodyEncoder | None = None,
    ) -> None:
        """Without a ``melody`` encoder it takes no melodies."""
        self.config, self.stages = config, stages
        self.mulan, self.semantic, self.codec = mulan.eval(), semantic.eval(), codec.eval()
        self.melody = melody.eval() if melody else None
        self.name, self.weights_sha256 = name, weights_sha256

    @property
    def sample_rate(self) -> int:
        return self.codec.config.sample_rate

    def stream(
        self, prompt: str | Prompt, seconds: float = 10.0, seed: int | None = None, **options: Any
    ) -> Iterator[Clip]:
        """Music of exactly ``seconds`` as it is made; the parts join without a seam to what ``generate`` returns.

        ``options``: guidance, temperature (it scales each stage's own), top_k, top_p as in ``GenerateOptions``; melody,
        a sound file or a clip whose tune the music takes up, again and again; and progress, a callable.
        """
        return self._stream(Prompt.of(prompt), None, seconds, seed, **options)

    def continue_(
        self,
        audio: str | Path | Clip,
        prompt: str | Prompt | None = None,
        seconds: float = 10.0,
        seed: int | None = None,
        **options: Any,
    ) -> Clip:
        """``audio`` (its last seconds are heard) followed by ``seconds`` of new music that goes on from it.

        Without a prompt the music stays what it is, as in AudioLM: what MuLan hears in it takes the text's place.
        """
        wave_CN, rate = sound(audio)
        before_1N = resample.resample(wave_CN.mean(0, keepdims=True), rate, self.sample_rate)
        told = None if prompt is None else Prompt.of(prompt)
        return Clip.join(self._stream(told, before_1N, seconds, seed, **options))

    def _stream(
        self,
        prompt: Prompt | None,
        before_1N: np.ndarray | None,
        seconds: float,
        seed: int | None,
        progress: Progress | None = None,
        melody: str | Path | Clip | None = None,
        **numbers: Any,
    ) -> Iterator[Clip]:
        options = options_of(self.name, seconds=seconds, seed=seed, **numbers)
        seed = secrets.randbits(32) if seed is None else seed
        tune_N = None if melody is None else self._tune(melody)
        writer = Writer(self, prompt, before_1N, seed, self._sampled(options), tune_N)
        wanted = round(options.seconds * self.sample_rate) + writer.heard * self.codec.config.stride
        frames = -(-wanted // self.codec.config.stride)
        parts = self.codec.decode_stream(writer.codes(frames))
        waves = (wave_BCN[0].float().cpu().numpy() for wave_BCN in parts)
        nothing = np.zeros((1, 0), np.float32)
        origin = Clip(nothing, self.sample_rate, str(prompt or ""), seed, self.name, self.weights_sha256)
        yield from in_parts(waves, wanted, origin, progress)

    def _sampled(self, options: GenerateOptions) -> dict[str, Stage]:
        """The stages, sampled as ``options`` say where they say anything."""
        learnt = any(stage.network.config.condition_dropout for stage in self.stages.values())
        if options.guidance not in (None, 1.0) and not learnt:
            raise InputError(f"{self.name} was trained without guidance; leave it out")
        if isinstance(options.guidance, tuple):
            raise InputError(f"{self.name} takes one guidance for the whole clip, not a pair; give a single number")
        said = {k: v for k in ("guidance", "top_k", "top_p") if (v := getattr(options, k)) is not None}
        scale = 1.0 if options.temperature is None else options.temperature
        return {
            name: replace(stage, sampling=replace(stage.sampling.hotter(scale), **said))
            for name, stage in self.stages.items()
        }

    def tokens_of_text(self, text: str) -> Tensor:
        """MuLan's tokens of a text: codes_BKT of one frame."""
        return self.mulan.quantise(self.mulan.embed_text([text]))[..., None]

    def tokens_of_sound(self, wave_1N: np.ndarray) -> Tensor:
        """MuLan's tokens of sound at the model's rate: codes_BKT of one frame."""
        heard_BD = self.mulan.embed_audio([torch.from_numpy(wave_1N)], self.sample_rate)
        return self.mulan.quantise(heard_BD)[..., None]

    def _tune(self, melody: str | Path | Clip) -> Tensor:
        """A melody as mono sound at its encoder's rate."""
        if self.melody is None:
            raise InputError(f"{self.name} takes no melody; leave it out or choose a model that does")
        samples_CN, rate = sound(melody)
        tune_1N = checked_tune(samples_CN, rate)[None]
        return torch.from_numpy(resample.resample(tune_1N, rate, self.melody.config.sample_rate)[0])

    def tokens_of_melody(self, tune_N: Tensor, first: float, seconds: float) -> Tensor:
        """codes_BKT of so many seconds of a melody from second ``first`` on; it is heard again and again.

        Of three windows every 10 seconds, or, where the encoder gives the tune back, of its frames.
        """
        assert self.melody is not None
        config = self.melody.config
        if config.back:
            starts = [first + start for start in tune_starts(seconds, config.window_seconds)]
            return self.melody.tune(tune_N, starts)[None, None]
        window_N = torch.arange(round(config.window_seconds * config.sample_rate))
        begins = [round((first + start) * config.sample_rate) for start in melody_starts(seconds)]
        cuts = [tune_N[(window_N + begin) % len(tune_N)] for begin in begins]
        return self.melody.quantise(torch.cat([self.melody.embed(cut_N) for cut_N in cuts])).T[None]


class Writer:
    """One piece as it is written: the tokens of each stage so far, and what the next ones go on from."""

    def __init__(
        self,
        model: MusicLM,
        prompt: Prompt | None,
        before_1N: np.ndarray | None,
        seed: int,
        stages: dict[str, Stage],
        tune_N: Tensor | None = None,
    ) -> None:
        self.tune_N = tune_N
        self.model, self.prompt, self.seed, self.config = model, prompt, seed, model.config
        self.semantic, self.coarse, self.fine = stages.get("semantic"), stages["coarse"], stages["fine"]
        config = model.config
        self.ratio = round(config.coarse.writes.rate / config.semantic.writes.rate)  # codec frames a semantic token
        self.semantic_KT, self.coarse_KT, self.fine_KT = (
            torch.zeros(stage.writes.levels, 0, dtype=torch.int64)
            for stage in (config.semantic, config.coarse, config.fine)
        )
        self.told: dict[str | None, Tensor] = {}
        negative = prompt.negative if prompt else None
        self.away = None if negative is None else {"mulan": model.tokens_of_text(negative)}
        if before_1N is not None:
            self._hear(before_1N)
        self.begin = self.coarse_KT.shape[1] // self.ratio  # where the new music does, and the melody with it

    def _hear(self, before_1N: np.ndarray) -> None:
        """Tokens of the end of the sound to go on from, so many seconds as long pieces overlap."""
        model, unit = self.model, self.model.codec.config.stride * self.ratio
        heard_1N = before_1N[:, -round(self.config.semantic_overlap * model.sample_rate) :]
        heard_1N = heard_1N[:, heard_1N.shape[1] % unit :]
        if not heard_1N.shape[1]:
            raise InputError(
                f"the audio to continue is shorter than {unit / model.sample_rate:g} seconds; give more of it"
            )
        self.told[None] = model.tokens_of_sound(heard_1N)
        if self.semantic:
            slow_1N = resample.resample(heard_1N, model.sample_rate, model.semantic.sample_rate)
            self.semantic_KT = model.semantic.tokens(torch.from_numpy(slow_1N))[:, : heard_1N.shape[1] // unit]
        codes_KT = model.codec.encode(torch.from_numpy(heard_1N)[None])[0]
        self.coarse_KT, self.fine_KT = codes_KT[: len(self.coarse_KT)], codes_KT[len(self.coarse_KT) :]
        self.fine_KT = self.fine_KT[: self.fine.network.config.writes.levels]

    @property
    def heard(self) -> int:
        """Frames of the codec that are whole."""
        return self.fine_KT.shape[1]

    def codes(self, frames: int) -> Iterator[Tensor]:
        """codes_BKT in parts, what was heard first, until there are ``frames``."""
        if self.heard:
            yield torch.cat([self.coarse_KT, self.fine_KT])[None]
        meaning = self._meanings(-(-frames // self.ratio))
        while self.coarse_KT.shape[1] < frames:
            self._write_coarse(frames, meaning)
            done = self.heard
            self._write_fine(frames)
            if self.heard > done:
                yield torch.cat([self.coarse_KT[:, done : self.heard], self.fine_KT[:, done:]])[None]

    def _meanings(self, frames: int) -> Iterator[None]:
        """Writes semantic tokens until there are ``frames``, one with each step.

        After a window that is full, or whose text gives way to the next, comes one that begins with its last seconds.
        """
        assert self.semantic is not None
        rate, keep = self.semantic.rate, round(self.config.semantic_overlap * self.semantic.rate)
        changes = [round(at * rate) for at, _ in self.prompt.parts] if self.prompt else []
        while (made := self.semantic_KT.shape[1]) < frames:
            before_KT = self.semantic_KT[:, -keep:]
            until = min(
                [frames, made + self.semantic.window - before_KT.shape[1], *(at for at in changes if at > made)]
            )
            read = {"mulan": self._mulan((made + 0.5) / rate)}  # a change may lie between two tokens
            read |= self._tune(self.semantic, made - before_KT.shape[1], until)
            chance = [drawn_from(self.seed, SEMANTIC, made)]
            for frame_BK in self.semantic.write(read, before_KT[None], until - made, chance, self.away):
                self.semantic_KT = torch.cat([self.semantic_KT, frame_BK.T], dim=1)
                yield

    def _write_coarse(self, frames: int, meaning: Iterator[None]) -> None:
        """One window of coarse tokens, which begins with the last ones of the window before."""
        made = self.coarse_KT.shape[1]
        first = max(made - round(self.config.coarse_overlap * self.coarse.rate), 0) // self.ratio
        last = min(first * self.ratio + self.coarse.window, frames)
        read = {"mulan": self._mulan(made / self.coarse.rate)}
        if self.semantic:
            tokens = -(-last // self.ratio)
            while self.semantic_KT.shape[1] < tokens:
                next(meaning)
            read["semantic"] = self.semantic_KT[None, :, first:tokens]
        read |= self._tune(self.coarse, first, -(-last // self.ratio))
        before_BKT = self.coarse_KT[None, :, first * self.ratio :]
        chance = [drawn_from(self.seed, COARSE, made)]
        new_BKT = written(self.coarse, read, before_BKT, last - made, chance, self.away)
        self.coarse_KT = torch.cat([self.coarse_KT, new_BKT[0]], dim=1)

    def _write_fine(self, frames: int) -> None:
        """Fine tokens of every whole window of coarse ones, side by side; of what is left at the end too."""
        window, ready = self.fine.window, self.coarse_KT.shape[1]
        starts = list(range(self.heard, ready - window + 1, window))
        groups = [starts] if starts else []
        if ready == frames and (left := self.heard + len(starts) * window) < frames:
            groups.append([left])
        for group in groups:
            coarse_BKT = torch.stack([self.coarse_KT[:, a : min(a + window, ready)] for a in group])
            nothing_BKT = self.fine_KT[None, :, :0].expand(len(group), -1, -1)
            chance = [drawn_from(self.seed, FINE, a) for a in group]
            new_BKT = written(self.fine, {"coarse": coarse_BKT}, nothing_BKT, coarse_BKT.shape[-1], chance)
            self.fine_KT = torch.cat([self.fine_KT, *new_BKT], dim=1)

    def _tune(self, stage: Stage, first: int, until: int) -> dict[str, Tensor]:
        """The melody from one semantic token up to another, where there is one and the stage reads melodies."""
        if self.tune_N is None or all(stream.name != "melody" for stream in stage.network.config.reads):
            return {}
        rate = self.config.semantic.writes.rate
        return {"melody": self.model.tokens_of_melody(self.tune_N, (first - self.begin) / rate, (until - first) / rate)}

    def _mulan(self, seconds: float) -> Tensor:
        """MuLan's tokens of the text that holds at ``seconds``; without a prompt, of the sound that was heard."""
        text = None if self.prompt is None else self.prompt.text_at(seconds)
        if text is not None and text not in self.told:
            self.told[text] = self.model.tokens_of_text(text)
        return self.told[text]


def save_musiclm(folder: Path, config: MusicLMConfig, networks: dict[str, StageNetwork], **card: object) -> None:
    """Write the stages in compact form; ``card`` names the other parts and says where it is from.

    They are codec, mulan, w2vbert and, where the semantic stage was told melodies, melody.
    """
    tensors = {f"{stage}.{name}": t for stage, network in networks.items() for name, t in network.state_dict().items()}
    checkpoint.save(folder, {"family": "musiclm", "musiclm": asdict(config), **card}, compact(tensors))


def load_networks(folder: Path) -> tuple[dict[str, Any], MusicLMConfig, dict[str, StageNetwork]]:
    """The card, the sizes and the stages of the model in ``folder``. Raises ``WeightsError``."""
    config, tensors = checkpoint.load(folder)
    if config.get("family") != "musiclm":
        raise WeightsError(f"{folder} holds a {config.get('family')} model, not MusicLM")
    sizes = read_config(config.get("musiclm"), folder)
    networks = {name: StageNetwork(stage) for name, stage in sizes.stages.items()}
    checkpoint.load_into(torch.nn.ModuleDict(networks), expand(tensors), folder)
    return config, sizes, networks


def load_pipeline(folder: Path, device: str = "auto", precision: str = "auto") -> MusicLM:
    """The model in ``folder`` with the parts it names, which lie beside it or ship with toccata; float32."""
    if precision not in ("auto", "fp32"):
        raise InputError(f"MusicLM does not run in {precision!r}; choose auto or fp32")
    config, sizes, networks = load_networks(folder)
    place = pick_device(device)
    for network in networks.values():
        if place.type == "cpu" and network.config.width <= SMALL:
            lay_out(network)
    return MusicLM(
        sizes,
        {name: Stage.of(network.to(place)) for name, network in networks.items()},
        load_mulan(find_part(folder, config, "mulan")),
        load_semantic(find_part(folder, config, "w2vbert")),
        load_soundstream(find_part(folder, config, "codec")),
        config.get("name", folder.name),
        checkpoint.sha256(folder),
        load_melody(find_part(folder, config, "melody")) if config.get("melody") else None,
    )


def read_config(said: Any, source: Path) -> MusicLMConfig:
    """The configuration that ``save_musiclm`` wrote."""
    try:
        stages = {
            name: StageConfig(
                **{
                    **said[name],
                    "reads": tuple(Stream(**one) for one in said[name]["reads"]),
                    "writes": Stream(**said[name]["writes"]),
                    "told": tuple(said[name]["told"]),
                    "temperature": tuple(heat) if isinstance(heat := said[name]["temperature"], list) else heat,
                }
            )
            for name in ("semantic", "coarse", "fine")
        }
        return MusicLMConfig(**{**said, **stages})
    except (KeyError, TypeError) as error:
        raise WeightsError(f"{source / 'config.json'} does not describe a MusicLM ({error}); fetch it again") from None
