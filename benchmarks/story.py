"""``story``: does the music of a story turn to each new text in time, and does its tempo or key carry over?

MuLan hears windows of five seconds. After a change the new text should be nearer than the old one; the control is the
same piece (text and seed) that goes on without the change. Tempo and key are librosa's; their control are the parts of
all other stories.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import toccata
from benchmarks.halves import own_and_others, tempo_and_key
from benchmarks.held_out import RATE
from benchmarks.report import Figure, Options, compared
from toccata.audio.resample import resample
from toccata.clip import Clip
from toccata.hub import load_embedder
from toccata.prompt import Prompt
from toccata.search.embedder import Embedder

PART = 25.0  # seconds that each text holds
WITHIN = 15.0  # seconds after a change in which the music is to turn
WINDOW = 5.0
SEED = 50_000
TEXTS = (
    "calm solo piano", "techno with a driving beat and synth bass", "a string quartet, slow and sad",
    "funk with slap bass, drums and brass", "gentle nylon-string guitar", "a church organ playing a chorale",
    "80s synth pop with drums", "jazz trio with piano, upright bass and brushed drums", "a harp and a flute, dreamy",
    "heavy rock with distorted guitars and drums", "an accordion waltz", "lo-fi hip hop beat with electric piano",
)  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """How many stories of two texts."""

    stories: int


FULL, QUICK = Sizes(12), Sizes(4)


@dataclass(frozen=True)
class Told:
    """A story, how it sounds, and how its first text sounds if it is told for as long."""

    texts: tuple[str, str]
    story_N: np.ndarray
    plain_N: np.ndarray


def run(options: Options) -> Iterator[Figure]:
    """Changes that are followed in time, how far the similarities move, and what carries over."""
    model: Any = toccata.load(*([options.model] if options.model else []), device=options.device)
    count = (QUICK if options.quick else FULL).stories
    stories = [told(model, texts, SEED + i) for i, texts in enumerate(pairs(count))]
    judge = load_embedder(device=options.device)
    curves = [similarities(judge, story.story_N, story.texts) for story in stories]
    plain = [similarities(judge, story.plain_N, story.texts) for story in stories]
    yield from turned(curves, plain)
    yield from carried([story.story_N for story in stories])
    if options.picture:
        draw(stories[0].texts, curves[0], options.picture)


def pairs(count: int) -> list[tuple[str, str]]:
    """Texts that follow one another, each text as often first as second."""
    n = len(TEXTS)
    return [(TEXTS[i % n], TEXTS[(i + 1 + 4 * (i // n)) % n]) for i in range(count)]


def told(model: Any, texts: tuple[str, str], seed: int) -> Told:
    prompts = Prompt.story({0: texts[0], PART: texts[1]}), texts[0]
    story_N, plain_N = (_mono(model.generate(prompt, seconds=2 * PART, seed=seed)) for prompt in prompts)
    return Told(texts, story_N, plain_N)


def _mono(clip: Clip) -> np.ndarray:
    return resample(clip.samples.mean(0, keepdims=True), clip.sample_rate, RATE)[0]


def similarities(judge: Embedder, wave_N: np.ndarray, texts: Sequence[str]) -> np.ndarray:
    """Cosine of each window, one a second, with each text: (windows, texts)."""
    size, step = round(WINDOW * RATE), RATE
    starts = range(0, len(wave_N) - size + 1, step)
    windows = [Clip(wave_N[None, start : start + size], RATE) for start in starts]
    return judge.similarity(texts, windows).T.numpy()


def turned(curves: Sequence[np.ndarray], plain: Sequence[np.ndarray]) -> Iterator[Figure]:
    """By the windows of the last five seconds before the time is over, beside those of the piece without a change."""
    last = round(PART + WITHIN - WINDOW)
    first = round(PART - WINDOW)
    n = len(curves)

    def nearer(found: Sequence[np.ndarray]) -> float:
        return float(np.mean([curve[last, 1] > curve[last, 0] for curve in found]))

    def moved(found: Sequence[np.ndarray], text: int) -> float:
        return float(np.mean([curve[last, text] - curve[first, text] for curve in found]))

    yield compared(
        f"new text nearer than the old {WITHIN:g} s after a change", nearer(curves), "share", 1.0, nearer(plain), n
    )
    yield Figure("similarity to the new text, gained", moved(curves, 1), "cosine", control=moved(plain, 1), n=n)
    yield Figure("similarity to the old text, gained", moved(curves, 0), "cosine", control=moved(plain, 0), n=n)
    seconds = [_seconds(curve) for curve in curves]
    yield Figure("until the new text is nearer (median; no turn counts as never)", float(np.median(seconds)), "s", n=n)


def _seconds(curve: np.ndarray) -> float:
    """From the change to the end of the first window of those from which on the new text stays nearer."""
    after = curve[round(PART - WINDOW) :]
    older = np.flatnonzero(after[:, 1] <= after[:, 0])
    first = older[-1] + 1 if len(older) else 0
    return float(first) if first < len(after) else np.inf


def carried(waves: Sequence[np.ndarray]) -> Iterator[Figure]:
    """Tempo and key of the parts before and after the change, and either of them."""
    cut = round(PART * RATE)
    before, after = [wave[:cut] for wave in waves], [wave[cut:] for wave in waves]
    tempo, key = tempo_and_key(before, after)
    for name, kept_NN in (("tempo", tempo), ("key", key), ("tempo or key", np.maximum(tempo, key))):
        own, others = own_and_others(kept_NN)
        yield Figure(f"{name} carried over a change", own, "share", control=others, n=len(waves))


def draw(texts: Sequence[str], curve: np.ndarray, target: Path) -> None:
    """Similarity to each text over time, at the middle of each window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Picture

    picture = Picture(figsize=(8, 3.2), layout="constrained")
    FigureCanvasAgg(picture)
    axes = picture.subplots()
    seconds = np.arange(len(curve)) + WINDOW / 2
    for text, values in zip(texts, curve.T, strict=True):
        axes.plot(seconds, values, label=text)
    axes.axvline(PART, color="0.6", linewidth=1, label="the text changes")
    axes.set_xlabel("seconds")
    axes.set_ylabel("MuLan's cosine")
    axes.legend(frameon=False, fontsize=8)
    picture.savefig(target, dpi=150)
