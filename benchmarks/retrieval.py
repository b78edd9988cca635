"""``retrieval``: does a caption find its music among held-out pieces, and music its caption? Tokens, fusion, speed.

Captions are of a corpus that no recipe trains on. What is alike comes in any order, so saying nothing scores as chance
does.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.pool import Pool
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.held_out import HELD_OUT, RATE
from benchmarks.report import Figure, Options, compared, note
from benchmarks.retrieval_speed import speed
from toccata.corpus.band import labels, piece, sheet
from toccata.corpus.captions import Caption
from toccata.corpus.score import Score
from toccata.evaluation.musicnn import TAGS, load_musicnn
from toccata.hub import load_embedder
from toccata.search.embedder import Embedder

FIRST = 20_000  # pieces from here on are looked for here alone
LATE = 12.0
LONG_ENOUGH = 25.0
DETERMINED = 10  # a caption determines its piece where no more than so many of the pool fit it
_WORDS = (("up to 6 words", 0, 6), ("7 to 15 words", 7, 15), ("over 15 words", 16, 10**6))


@dataclass(frozen=True)
class Made:
    """A played piece: mono at 24 kHz (int16), what is said of it, what is true of it."""

    wave_N: np.ndarray
    captions: tuple[Caption, ...]
    labels: dict[str, Any]


@dataclass(frozen=True)
class Listed:
    """A piece as it is looked for: its embedding, that of its first 10 s, musicnn's tags, and what is said of it."""

    whole_D: Tensor
    first_D: Tensor
    tags_V: np.ndarray
    made: Made


def run(options: Options) -> Iterator[Figure]:
    """Ranks of captions and music in a pool; what tokens keep; fusion against the first 10 s; throughput."""
    model = load_embedder(*([options.model] if options.model else []), device=options.device)
    count, late = (150, 12) if options.quick else (1000, 100)
    workers = len(os.sched_getaffinity(0))
    # Spawned, because a fork of a process that runs threads may hang.
    with multiprocessing.get_context("spawn").Pool(workers) as playing:
        pool = listed(model, range(FIRST, FIRST + count), playing)
        found = late_captions(FIRST + count, late, playing)
        further = listed(model, list(found), playing)
    yield from finding(model, pool)
    yield from by_bare_tags(model, pool)
    yield from tokens(model, pool)
    yield from late_events(model, [*further, *pool], list(found.values()))
    yield from speed(model, options)


def listed(model: Embedder, indices: Sequence[int], playing: Pool) -> list[Listed]:
    """Held-out pieces, played on all cores and heard as they come; only their embeddings are kept."""
    found = []
    for made, tags_V in playing.imap(_tagged, indices):
        wave_N = torch.from_numpy(made.wave_N).float() / 32767
        whole_D, first_D = model.encoder.embed_audio([wave_N, wave_N[: 10 * RATE]], RATE).cpu()
        found.append(Listed(whole_D, first_D, tags_V, replace(made, wave_N=np.zeros(0, np.int16))))
        if len(found) % 50 == 0:
            note(f"{len(found)} of {len(indices)} pieces heard")
    return found


def late_captions(first: int, count: int, playing: Pool) -> dict[int, str]:
    """The first ``count`` pieces from ``first`` on of which a caption names an instrument that enters late: these.

    Of a hundred pieces about one is such.
    """
    found: list[tuple[int, str]] = []
    while len(found) < count:
        indices = range(first, first + 1000)
        found += [pair for pair in zip(indices, playing.map(late_caption, indices), strict=True) if pair[1]]
        first += 1000
    return dict(found[:count])


def late_caption(index: int) -> str:
    """A caption of a piece of 25 s or more that names an instrument which enters after 12 s; "" where there is none."""
    made = sheet(HELD_OUT, index)
    score = made.score
    end = max(score.seconds_at(note.start + note.duration) for track in score.tracks for note in track.notes)
    late = {name for name, at in entrances(score).items() if at > LATE}
    told = (c.text for c in made.captions if late & named_instruments(c))
    return next(told, "") if end >= LONG_ENOUGH else ""


def _tagged(index: int) -> tuple[Made, np.ndarray]:
    """A piece, and how likely each of musicnn's tags is."""
    torch.set_num_threads(1)
    made = _made(index)
    return made, load_musicnn().listen(made.wave_N.astype(np.float32) / 32767, RATE).tags_BV.mean(0)


def _made(index: int) -> Made:
    played = piece(HELD_OUT, index, sample_rate=RATE)
    wave_N = np.round(played.mix_CN.mean(0).clip(-1, 1) * 32767).astype(np.int16)
    return Made(wave_N, played.captions, labels(played))


def entrances(score: Score) -> dict[str, float]:
    """When each instrument plays its first note, in seconds."""
    enters: dict[str, float] = {}
    for track in score.tracks:
        first = min((score.seconds_at(note.start) for note in track.notes), default=np.inf)
        enters[track.instrument] = min(enters.get(track.instrument, np.inf), float(first))
    return enters


def finding(model: Embedder, pool: list[Listed]) -> Iterator[Figure]:
    """R@1, R@10 and the median rank of every piece's longest caption, and by length; against a bag of tags."""
    captions = [max(one.made.captions, key=lambda caption: len(caption.text)) for one in pool]
    heard_BD, n = torch.stack([one.whole_D for one in pool]), len(pool)
    told_BD = model.embed_text([caption.text for caption in captions])
    by_text = ranks((told_BD @ heard_BD.T).numpy())
    by_tags = ranks(np.stack([tag_scores(caption.text, pool) for caption in captions]))
    by_music = ranks((heard_BD @ told_BD.T).numpy())
    for name, found in (("music by text", by_text), ("text by music", by_music)):
        for k in (1, 10):
            yield Figure(f"{name}, R@{k}", found.within(k), "share", control=k / n, n=n)
        yield Figure(f"{name}, median rank", found.median(), "", control=(n + 1) / 2, n=n)
    yield Figure("music by text, R@10, by a bag of musicnn's tags", by_tags.within(10), "share", control=10 / n, n=n)
    fitting = [sum(fits(caption.named, one.made.labels) for one in pool) for caption in captions]
    clear = np.flatnonzero(np.array(fitting) <= DETERMINED)
    if len(clear):
        metric = f"music by text, R@10, where at most {DETERMINED} pieces fit"
        found = Ranks(by_text.likelier_Q[clear], by_text.alike_Q[clear])
        yield compared(metric, found.within(10), "share", 0.6, 10 / n, len(clear))
    for name, least, most in _WORDS:
        firsts = [(i, one.made.captions[0].text) for i, one in enumerate(pool)]
        chosen = [(i, text) for i, text in firsts if least <= len(text.split()) <= most]
        if chosen:
            rows_BD = model.embed_text([text for _, text in chosen])
            found = ranks((rows_BD @ heard_BD.T).numpy(), [i for i, _ in chosen])
            yield Figure(f"music by text, R@10, {name}", found.within(10), "share", control=10 / n, n=len(chosen))


def by_bare_tags(model: Embedder, pool: list[Listed]) -> Iterator[Figure]:
    """Of the first ten for each piece's genre, first instruments and mood as bare tags: how many have all of them."""
    asked = [tags_of(one.made.labels) for one in pool]
    named = [{"genre": genre, "instruments": players, "moods": moods} for genre, players, moods in asked]
    true_QN = np.array([[fits(one, other.made.labels) for other in pool] for one in named])
    told_BD = model.embed_text([tag_line(*one) for one in asked])
    heard_BD = torch.stack([one.whole_D for one in pool])
    first_Q10 = (told_BD @ heard_BD.T).argsort(1, descending=True)[:, :10].numpy()
    there_Q = true_QN.sum(1)
    most_Q = there_Q.clip(max=10)
    right_Q = np.take_along_axis(true_QN, first_Q10, 1).sum(1)
    by_chance = float((10 / len(pool) * there_Q / most_Q).mean())
    metric = "bare tags (genre, two instruments, a mood): the first ten have them all, of as many as can"
    yield Figure(metric, float((right_Q / most_Q).mean()), "share", control=by_chance, n=len(pool))


def tags_of(true: dict[str, Any]) -> tuple[str, list[str], list[str]]:
    """A piece's genre, two of its instruments, a mood: what loosely labelled music is found by."""
    return true["genre"], list(true["instruments"])[:2], list(true["moods"])[:1]


def tag_line(genre: str, instruments: Sequence[str], moods: Sequence[str]) -> str:
    return ", ".join(tag.replace("_", " ") for tag in (genre, *instruments, *moods))


@dataclass(frozen=True)
class Ranks:
    """Of Q questions: how many of the pool are likelier than the right answer, and how many alike (itself too)."""

    likelier_Q: np.ndarray
    alike_Q: np.ndarray

    def within(self, k: int) -> float:
        """The share whose answer is among the first ``k``, where what is alike comes in any order."""
        return float(((k - self.likelier_Q) / self.alike_Q).clip(0, 1).mean())

    def median(self) -> float:
        """The middle place, from 1 on."""
        return float(np.median(self.likelier_Q + (self.alike_Q + 1) / 2))


def ranks(likeness_QN: np.ndarray, own: Sequence[int] | None = None) -> Ranks:
    """Where each row's ``own`` column (the diagonal) stands."""
    rows = np.arange(len(likeness_QN))
    mine_Q1 = likeness_QN[rows, rows if own is None else np.asarray(own)][:, None]
    return Ranks((likeness_QN > mine_Q1).sum(1), (likeness_QN == mine_Q1).sum(1))


def tag_scores(text: str, pool: list[Listed]) -> np.ndarray:
    """How likely musicnn finds the tags that a text holds in each piece (mean logarithm); 0 where it holds none."""
    said = f" {''.join(letter if letter.isalnum() else ' ' for letter in text.lower())} "
    held = [i for i, tag in enumerate(TAGS) if f" {tag} " in said]
    return np.array([np.log(one.tags_V[held] + 1e-4).mean() if held else 0.0 for one in pool])


def fits(named: dict[str, Any], true: dict[str, Any]) -> bool:
    """Whether all that a caption names is true of a piece."""
    checks: dict[str, Callable[[Any], bool]] = {
        "tempo": lambda bpm: abs(true["tempo"] - bpm) < 0.5,
        "tempo_range": lambda pace: pace[0] <= true["tempo"] <= pace[1],
        "key": lambda key: (true["tonic"], true["mode"]) == tuple(key),
        "mode": lambda mode: true["mode"] == mode,
        "meter": lambda meter: list(true["meter"]) == list(meter),
        "genre": lambda genre: true["genre"] == genre,
        "moods": lambda moods: set(moods) <= set(true["moods"]),
        "instruments": lambda names: set(names) <= set(true["instruments"]),
        "families": lambda families: set(families) <= set(true["families"]),
        "drums": lambda there: true["drums"] == there,
        "solo": lambda alone: (len(true["instruments"]) == 1) == alone,
    }
    return all(checks[name](value) for name, value in named.items() if name in checks)


def tokens(model: Embedder, pool: list[Listed]) -> Iterator[Figure]:
    """What tokens keep of an embedding, and how often a text's first one is its music's; nothing without tokens."""
    encoder: Any = model.encoder
    if not hasattr(encoder, "quantise"):
        note("this model has no tokens; their figures are left out")
        return
    heard_BD = torch.stack([one.whole_D for one in pool])
    told_BD = model.embed_text([max((c.text for c in one.made.captions), key=len) for one in pool])
    heard_BK, told_BK = encoder.quantise(heard_BD), encoder.quantise(told_BD)
    kept = float((encoder.dequantise(heard_BK) * heard_BD).sum(1).mean())
    yield compared("cosine of embeddings and what their tokens keep", kept, "", 0.95, n=len(pool))
    same_BB = told_BK[:, None, 0] == heard_BK[None, :, 0]
    own = float(same_BB.diagonal().float().mean())
    others = float((same_BB.sum() - same_BB.diagonal().sum()) / (same_BB.numel() - len(pool)))
    yield Figure("first token the same for a text and its music", own, "share", control=others, n=len(pool))


def named_instruments(caption: Caption) -> set[str]:
    named: Any = caption.named
    return set(named.get("instruments", ()))


def late_events(model: Embedder, pool: list[Listed], captions: list[str]) -> Iterator[Figure]:
    """``captions`` of the first of the pool name what enters late there: the whole piece against its first 10 s."""
    if not captions:
        note("no caption names an instrument that enters late")
        return
    told_BD = model.embed_text(captions)
    shares = []
    for rows in ([one.whole_D for one in pool], [one.first_D for one in pool]):
        shares.append(ranks((told_BD @ torch.stack(rows).T).numpy(), range(len(captions))).within(10))
    metric = "music by text, R@10, what is named enters after 12 s, against the first 10 s"
    yield compared(metric, shares[0], "share", shares[1], 10 / len(pool), len(captions))
