"""How MusicGen writes codes: window after window, a piece alone or several together.

Shapes: K codebooks, S pattern steps, T frames, C chroma bins, V vocabulary, P pieces.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from toccata.audio.melody import FRAME_RATE, Melody
from toccata.encoders.features import TextFeatures
from toccata.engines.threads import threads, threads_for
from toccata.engines.torch_decoder import TorchDecoder
from toccata.models.musicgen.decoders import Decoder, plain_decoder
from toccata.models.musicgen.network import Condition, MusicGenNetwork
from toccata.models.musicgen.stage import Stages
from toccata.prompt import Prompt
from toccata.sampling.tokens import (
    TokenSampling,
    Walk,
    decode_pattern,
    decode_together,
    guided,
    sample,
    sample_each,
)


class TextReader(Protocol):
    """What MusicGen needs of a text encoder."""

    def encode(self, texts: list[str]) -> TextFeatures: ...


@dataclass(eq=False)
class Piece:
    """A piece as it is written: ``frames`` count those of ``prefix_KT``, after which a melody begins.

    ``made`` are there, the last of them (as many as still matter) as ``recent``, each (K,).
    """

    prompt: Prompt
    prefix_KT: Tensor
    frames: int
    generator: torch.Generator
    melody: Melody | None = None
    made: int = field(init=False)
    recent: list[Tensor] = field(init=False)
    conditions: dict[tuple[str, int | None], Condition] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.made, self.recent = self.prefix_KT.shape[1], list(self.prefix_KT.unbind(1))

    @property
    def share(self) -> float:
        return self.made / self.frames

    def add(self, frame_K: Tensor) -> None:
        self.made += 1
        self.recent.append(frame_K)


class Window(NamedTuple):
    """What a stretch of a piece starts from: what it is told, the frames it goes on from, and its pattern."""

    condition: Condition
    keep_KT: Tensor
    places_KS: Tensor


class Writer:
    """Writes pieces with a network, by a ``decoder`` that runs its blocks and heads."""

    def __init__(self, network: MusicGenNetwork, text: TextReader, decoder: Decoder | None = None) -> None:
        self.network, self.text = network, text
        self.device = network.norm.weight.device
        self.decoder = decoder or plain_decoder(network)
        self.threads = threads_for(network.config.width)
        self.stages = Stages(network) if isinstance(self.decoder, TorchDecoder) else None
        self.steps = network.config.places(network.config.window_frames).shape[1]

    def write(self, piece: Piece, sampling: TokenSampling) -> Iterator[Tensor]:
        """New frames (K,) of ``piece`` until it is whole.

        Past the trained window the model starts afresh from its own last half window, as often as needed.
        """
        while piece.made < piece.frames:
            window = self.window(piece)
            choose = chooser(sampling, piece.generator, lambda: piece.share)
            with self.predicting(window.condition, window.places_KS.shape[1]) as predict:
                for frame_K in decode_pattern(
                    predict, choose, window.keep_KT, window.places_KS, self.network.config.filler
                ):
                    piece.add(frame_K)
                    yield frame_K

    def write_together(self, pieces: Sequence[Piece], sampling: TokenSampling) -> Iterator[tuple[Piece, Tensor]]:
        """``write`` for several pieces, window by window in one batch: each new frame with its piece.

        In exact numbers a piece would be as alone; in floating point, sums over another number of rows are rounded
        differently, and after a while another code may be chosen. With int8 and int4 pieces are written in turn.
        """
        if self.stages is None:
            for piece in pieces:
                yield from ((piece, frame_K) for frame_K in self.write(piece, sampling))
            return
        while going := [piece for piece in pieces if piece.made < piece.frames]:
            windows = [self.window(piece) for piece in going]
            walks = [Walk(window.keep_KT, window.places_KS, self.network.config.filler) for window in windows]
            with self.stages.stage([window.condition for window in windows], self.steps) as stage:

                def predict(unread: list[Tensor], stage=stage) -> Tensor:
                    with threads(self.threads):
                        return stage(unread)

                for index, frame_K in decode_together(predict, choosers(sampling, going), walks):
                    going[index].add(frame_K)
                    yield going[index], frame_K

    def window(self, piece: Piece) -> Window:
        """The next stretch of a piece that is not whole yet."""
        config = self.network.config
        piece.recent = piece.recent[-(config.window_frames // 2) :]
        kept = len(piece.recent)
        until = min(kept + piece.frames - piece.made, config.window_frames)
        start = piece.made - kept - piece.prefix_KT.shape[1]
        text = piece.prompt.text_at(piece.made / config.frame_rate)
        told = text, None if piece.melody is None else start
        if told not in piece.conditions:
            chroma_TC = self._chroma(piece.melody, start / config.frame_rate, until)
            piece.conditions = {told: self.condition(text, piece.prompt.negative, chroma_TC)}
        keep_KT = torch.stack(piece.recent, dim=-1) if kept else piece.prefix_KT[:, :0]
        return Window(piece.conditions[told], keep_KT, config.places(until))

    def _chroma(self, melody: Melody | None, start: float, frames: int) -> Tensor | None:
        """The melody from ``start`` seconds on, at the rate that the network reads it at: (T, C)."""
        config = self.network.config
        if melody is None:
            return None
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

    @contextmanager
    def predicting(self, condition: Condition, steps: int) -> Iterator[Callable[[Tensor], Tensor]]:
        """``predict(steps_KS) -> logits_2KV`` for up to ``steps`` steps: guidance's two rows as one batch."""
        if self.stages is not None and self.device.type == "cuda":
            with self.stages.stage([condition], self.steps) as stage:
                yield lambda steps_KS: stage([steps_KS])[0]
            return
        config = self.network.config
        decoding = self.decoder.begin(2, condition.before + steps, condition.layers, condition.mask_BL)

        @torch.no_grad()
        def predict(steps_KS: Tensor) -> Tensor:
            steps_2KS = steps_KS.to(self.device).expand(2, -1, -1)
            with threads(self.threads):
                hidden_2SD = self.network.inputs(steps_2KS, condition, decoding.length)
                return decoding(hidden_2SD).view(2, config.codebooks, config.vocabulary)

        yield predict


def chooser(
    sampling: TokenSampling, generator: torch.Generator, share: Callable[[], float]
) -> Callable[[Tensor], Tensor]:
    """``choose(logits_2KV)`` where ``share()`` of the clip is made."""
    return lambda logits_2KV: sample(guided(logits_2KV, sampling.guidance_at(share())), sampling, generator)


def choosers(sampling: TokenSampling, pieces: Sequence[Piece]) -> Callable[[Tensor, list[int]], Tensor]:
    """``choose(logits_P2KV, asking)`` for the pieces at those places."""

    def choose(logits_P2KV: Tensor, asking: list[int]) -> Tensor:
        if len(asking) < len(logits_P2KV):
            logits_P2KV = logits_P2KV[asking]
        guidance_P = torch.tensor([sampling.guidance_at(pieces[index].share) for index in asking])
        guidance_P11 = guidance_P.to(logits_P2KV.device, non_blocking=True)[:, None, None]
        logits_PKV = guided(logits_P2KV.transpose(0, 1), guidance_P11)
        return sample_each(logits_PKV, sampling, [pieces[index].generator for index in asking])

    return choose
