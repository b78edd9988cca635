"""``semantic``: what do semantic tokens tell of the score, beside the codec's, and how soon are they predicted?

Of each token it is counted what sounds with it in pieces of another seed; the share of the score's entropy that this
takes away in held-out pieces is what the token tells. The control is told the tokens of the next piece.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.held_out import CALIBRATION, HELD_OUT, RATE
from benchmarks.report import Figure, Options, compared
from toccata.audio.resample import resample
from toccata.codecs.soundstream import SoundStream, load_soundstream
from toccata.corpus.band import piece, score_roll
from toccata.encoders.semantic import SemanticTokens, load_semantic
from toccata.errors import InputError
from toccata.hub import BUNDLED

SECONDS = 30.0
PARTS = {"bass notes": slice(0, 12), "other notes": slice(12, 24), "drums": slice(24, 29)}
PRIOR = 4.0  # as many frames of the usual score stand beside what was counted


@dataclass(frozen=True)
class Sizes:
    """How many pieces to count in, and to be judged by."""

    counted: int
    judged: int


FULL, QUICK = Sizes(256, 64), Sizes(48, 16)


@dataclass(frozen=True)
class Piece:
    """Tokens of one piece by their kind, (T,), and what the score says of the same frames, (T, 29)."""

    tokens: dict[str, np.ndarray]
    roll_TD: np.ndarray


def run(options: Options) -> Iterator[Figure]:
    """For each kind of tokens: what they tell, how many are used, how well the next follows from the last."""
    sizes = QUICK if options.quick else FULL
    folder = Path(options.model) if options.model else BUNDLED / "w2vbert-mini"
    if not folder.is_dir():
        raise InputError(f"there is no w2v-BERT in {folder}; name the folder of a trained one with --model")
    semantic = load_semantic(folder)
    codec = load_soundstream(None)
    counted = heard(CALIBRATION, sizes.counted, semantic, codec)
    judged = heard(HELD_OUT, sizes.judged, semantic, codec)
    vocabularies = {"semantic tokens": semantic.vocabulary, "the codec's first level": codec.config.vocabulary}
    for kind, vocabulary in vocabularies.items():
        yield from told(kind, vocabulary, counted, judged)
        yield from predicted(kind, vocabulary, counted, judged)


def heard(seed: int, count: int, semantic: SemanticTokens, codec: SoundStream) -> list[Piece]:
    """The first half minute of pieces, as both hear it."""
    return [_heard(seed, index, semantic, codec) for index in range(count)]


@torch.no_grad()
def _heard(seed: int, index: int, semantic: SemanticTokens, codec: SoundStream) -> Piece:
    made = piece(seed, index, sample_rate=RATE)
    wave_N = made.mix_CN.mean(0)[: round(SECONDS * RATE)].astype(np.float32)
    slow_1N = torch.from_numpy(resample(wave_N[None], RATE, semantic.sample_rate))
    codes_T = codec.encode(torch.from_numpy(wave_N)[None, None], 1)[0, 0]
    rate = codec.config.frame_rate
    tokens = {"semantic tokens": _at_rate(semantic.tokens(slow_1N)[0], semantic.frame_rate, rate),
              "the codec's first level": codes_T.numpy()}  # fmt: skip
    frames = min(map(len, tokens.values()))
    roll_TD = score_roll(made.score, rate, frames)
    return Piece({kind: rows[:frames] for kind, rows in tokens.items()}, roll_TD)


def _at_rate(tokens_T: Tensor, rate: float, wanted: float) -> np.ndarray:
    """The token that holds at each frame of another rate."""
    frames = int(len(tokens_T) * wanted / rate)
    return tokens_T.numpy()[(np.arange(frames) * rate / wanted).astype(int)]


def told(kind: str, vocabulary: int, counted: Sequence[Piece], judged: Sequence[Piece]) -> Iterator[Figure]:
    """The share of the entropy of each part of the score that the tokens take away."""
    tokens_T, roll_TD = _joined(kind, counted)
    usual_D = roll_TD.mean(0)
    sums_VD = np.zeros((vocabulary, roll_TD.shape[1]))
    np.add.at(sums_VD, tokens_T, roll_TD)
    times_V = np.bincount(tokens_T, minlength=vocabulary)
    likely_VD = ((sums_VD + PRIOR * usual_D) / (times_V[:, None] + PRIOR)).clip(1e-3, 1 - 1e-3)
    own_T, truth_TD = _joined(kind, judged)
    other_T = np.roll(own_T, len(judged[0].roll_TD))
    for name, part in PARTS.items():
        least = _entropy(
            np.broadcast_to(usual_D.clip(1e-3, 1 - 1e-3)[part], truth_TD[:, part].shape), truth_TD[:, part]
        )
        shares = [1 - _entropy(likely_VD[rows_T][:, part], truth_TD[:, part]) / least for rows_T in (own_T, other_T)]
        yield Figure(f"{kind} tell of {name}", shares[0], "of the entropy", control=shares[1], n=len(judged))


def _joined(kind: str, pieces: Sequence[Piece]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([p.tokens[kind] for p in pieces]), np.concatenate([p.roll_TD for p in pieces])


def _entropy(likely_TD: np.ndarray, truth_TD: np.ndarray) -> float:
    """Binary cross-entropy, in nats a frame and column."""
    return float(-np.where(truth_TD > 0.5, np.log(likely_TD), np.log1p(-likely_TD)).mean())


def predicted(kind: str, vocabulary: int, counted: Sequence[Piece], judged: Sequence[Piece]) -> Iterator[Figure]:
    """How many of the tokens come up, and what the next one costs who knows the last, beside who knows nothing."""
    pairs = np.concatenate([np.stack([p.tokens[kind][:-1], p.tokens[kind][1:]]) for p in counted], axis=1)
    often_V = np.bincount(pairs[1], minlength=vocabulary) + 0.5
    alone_V = often_V / often_V.sum()
    follows_VV = np.zeros((vocabulary, vocabulary))
    np.add.at(follows_VV, tuple(pairs), 1)
    follows_VV = (follows_VV + PRIOR * alone_V) / (follows_VV.sum(1, keepdims=True) + PRIOR)
    before_T, after_T = np.concatenate([np.stack([p.tokens[kind][:-1], p.tokens[kind][1:]]) for p in judged], axis=1)
    used = len(np.unique(_joined(kind, judged)[0])) / vocabulary
    yield compared(f"{kind} that come up", used, "share", 1.0, n=len(judged))
    cost, usual = -np.log(follows_VV[before_T, after_T]).mean(), -np.log(alone_V[after_T]).mean()
    yield Figure(f"{kind}: the next one from the last", float(cost), "nats", control=float(usual), n=len(judged))
