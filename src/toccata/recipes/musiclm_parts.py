"""The frozen encoders that MusicLM's stages learn from, and music as their tokens: of sound alone, without a word.

Shapes: K levels, T frames, W windows, N samples.
"""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from toccata.audio.resample import resample
from toccata.codecs.soundstream import SoundStream, codes_hash, load_soundstream
from toccata.data import meaning
from toccata.data.shards import Shard
from toccata.data.tokens import body
from toccata.encoders.melody import MelodyEncoder, load_melody
from toccata.encoders.mulan import MuLan, load_mulan
from toccata.encoders.semantic import SemanticTokens, load_semantic
from toccata.models.musiclm.config import tune_starts
from toccata.recipes.music import Front
from toccata.weights import checkpoint

MULAN_HOP = 5.0
LONGEST_SECONDS = 60.0


class Parts(NamedTuple):
    """The frozen encoders."""

    mulan: MuLan
    semantic: SemanticTokens
    codec: SoundStream
    melody: MelodyEncoder | None


@functools.lru_cache(maxsize=1)
def parts_at(mulan: Path, w2vbert: Path, codec: Path | None, melody: Path | None) -> Parts:
    tunes = load_melody(melody) if melody else None
    return Parts(load_mulan(mulan), load_semantic(w2vbert), load_soundstream(codec), tunes)


def front(mulan: Path, w2vbert: Path, codec: Path | None, melody: Path | None = None) -> Front:
    """All kinds of tokens, named by the weights that they come from."""
    names = [checkpoint.sha256(mulan)[:8], checkpoint.sha256(w2vbert)[:8], codes_hash(codec)[:8]]
    names += [checkpoint.sha256(melody)[:8]] if melody else []
    make = functools.partial(tokens_of, mulan=mulan, w2vbert=w2vbert, codec=codec, melody=melody)
    return Front("meaning-" + "-".join(names), load_soundstream(codec).config.sample_rate, make)


def tokens_of(
    waves: Iterator[tuple[Tensor, dict[str, Any]]],
    mulan: Path,
    w2vbert: Path,
    codec: Path | None,
    melody: Path | None = None,
) -> Shard:
    """Pieces -> a shard of their tokens, without their endings: who has heard pieces end would end too soon.

    Long ones are cut to parts of a minute, so that memory does not grow with them.
    """
    parts = parts_at(mulan, w2vbert, codec, melody)
    readers = {
        "codes": meaning.Reader(
            parts.codec.config.sample_rate, lambda wave_N: parts.codec.encode(wave_N[None, None])[0]
        ),
        "semantic": meaning.Reader(parts.semantic.sample_rate, lambda wave_N: parts.semantic.tokens(wave_N[None])),
        "mulan": meaning.Reader(parts.mulan.config.sample_rate, functools.partial(heard_as, parts.mulan)),
    }
    if parts.melody:
        readers["melody"] = meaning.Reader(parts.melody.config.sample_rate, functools.partial(melody_as, parts.melody))
    longest = round(LONGEST_SECONDS * parts.codec.config.sample_rate)
    mono = (
        part
        for wave_N, record in waves
        for part in wave_N[: round(len(wave_N) * body(record))].split(longest)
        if len(part) > parts.codec.config.sample_rate // 10
    )
    return meaning.meaning_shard(mono, parts.codec.config.sample_rate, readers, resampled)


def heard_as(mulan: MuLan, wave_N: Tensor) -> Tensor:
    """MuLan's tokens of a window every ``MULAN_HOP`` seconds: (K, W)."""
    window, hop = mulan.config.window, round(MULAN_HOP * mulan.config.sample_rate)
    starts = range(0, max(len(wave_N) - window, 0) + 1, hop)
    heard_WD = torch.stack([mulan.embed_blocks([wave_N[start : start + window]]) for start in starts])
    return mulan.quantise(heard_WD).T


def melody_as(encoder: MelodyEncoder, wave_N: Tensor) -> Tensor:
    """Its tokens of a window every ``meaning.MELODY_EVERY`` seconds, or of the frames of the tune: (K, W)."""
    if encoder.config.back:
        seconds = len(wave_N) / encoder.config.sample_rate
        return encoder.tune(wave_N, tune_starts(seconds, encoder.config.window_seconds))[None]
    return encoder.quantise(encoder.embed(wave_N, meaning.MELODY_EVERY)).T


def resampled(wave_N: Tensor, rate: int, wanted: int) -> Tensor:
    return torch.from_numpy(resample(wave_N[None].numpy(), rate, wanted)[0])
