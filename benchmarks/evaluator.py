"""``evaluator``: can its figures be trusted? Fréchet distance and FAD-infinity as sets grow, as sound gets worse.

The clips are held-out band pieces, heard by musicnn. Reference and clips are of one source, so an honest distance would
be 0: what is left is the bias of small sets, the reference's own included.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.linalg import sqrtm
from scipy.signal import butter, sosfilt

from benchmarks.held_out import HELD_OUT, RATE, SECONDS, excerpts
from benchmarks.prompts import REFERENCE
from benchmarks.report import Figure, Options, compared, note
from toccata.evaluation.frechet import distance, frechet_infinity
from toccata.evaluation.moments import Moments
from toccata.evaluation.musicnn import load_musicnn
from toccata.evaluation.table import Table

OURS = 7000  # pieces from here on are compared, and serve nothing else


@dataclass(frozen=True)
class Sizes:
    """Clips of the reference; numbers of clips to compare, the last of them all; draws of each; clips made worse."""

    reference: int
    counts: tuple[int, ...]
    draws: int
    worse: int


FULL, QUICK = Sizes(640, (40, 80, 160, 320, 640), 8, 160), Sizes(120, (30, 60, 120), 4, 40)


def run(options: Options) -> Iterator[Figure]:
    """Agreement with SciPy, drift with the number of clips, behaviour under noise and low-pass."""
    sizes = QUICK if options.quick else FULL
    reference = Table(heard([e.wave_N for e in excerpts(HELD_OUT, range(REFERENCE, REFERENCE + sizes.reference))]))
    waves = [e.wave_N for e in excerpts(HELD_OUT, range(OURS, OURS + sizes.counts[-1]))]
    ours = Table(heard(waves))
    yield agreement(reference.moments(), ours.moments())
    found = drift(ours, reference.moments(), sizes.counts, sizes.draws)
    yield from told(found)
    if options.picture:
        draw(found, options.picture)
        note(f"drew {options.picture}")
    yield from behaviour(waves[: sizes.worse], reference.moments())


def heard(waves: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """musicnn's embeddings of each wave."""
    return (load_musicnn().listen(wave_N, RATE).embedding_BD for wave_N in waves)


def agreement(a: Moments, b: Moments) -> Figure:
    """How far ours is from SciPy's matrix square root in float64."""
    root = sqrtm(a.covariance_DD @ b.covariance_DD)
    spreads = np.trace(a.covariance_DD) + np.trace(b.covariance_DD)
    theirs = float(np.square(a.mean_D - b.mean_D).sum() + spreads - 2 * np.trace(root).real)
    return compared("Fréchet distance, relative difference from SciPy's", abs(distance(a, b) / theirs - 1), "", 1e-6)


def drift(table: Table, reference: Moments, counts: Sequence[int], draws: int) -> dict[int, tuple[float, float]]:
    """For each number of clips: the mean Fréchet distance and FAD-infinity of that many, drawn by chance."""
    rng = np.random.default_rng(0)
    found = {}
    for count in counts:
        chosen = [rng.choice(table.clips, count, replace=False) for _ in range(draws if count < table.clips else 1)]
        plain = np.mean([distance(table.moments(clips), reference) for clips in chosen])
        limit = np.mean([frechet_infinity(table, reference, rng, clips).value for clips in chosen])
        found[count] = float(plain), float(limit)
    return found


def told(found: dict[int, tuple[float, float]]) -> Iterator[Figure]:
    """Each figure against that of all clips, and how far the first is from the last."""
    last = found[max(found)]
    for k, name in enumerate(("Fréchet distance", "FAD-infinity")):
        for count, values in found.items():
            yield compared(f"{name}, {count} clips", values[k], "", last[k], n=count)
        shift = abs(found[min(found)][k] - last[k])
        yield Figure(f"{name}, moved by the number of clips", shift, "", n=len(found))


def behaviour(waves: Sequence[np.ndarray], reference: Moments) -> Iterator[Figure]:
    """The distance as noise rises and highs go; each is to be farther than the one before (control: untouched)."""
    clean = distance(Table(heard(waves)).moments(), reference)
    for decibels in (-40, -30, -20, -10):
        worse = [noisy(wave_N, decibels, seed) for seed, wave_N in enumerate(waves)]
        value = distance(Table(heard(worse)).moments(), reference)
        yield Figure(f"Fréchet distance, noise at {decibels} dB", value, "", control=clean, n=len(waves))
    for hertz in (5000, 2500, 1250, 600):
        low_pass = butter(8, hertz, fs=RATE, output="sos")
        dull = [np.asarray(sosfilt(low_pass, wave_N), np.float32) for wave_N in waves]
        value = distance(Table(heard(dull)).moments(), reference)
        yield Figure(f"Fréchet distance, nothing above {hertz} Hz", value, "", control=clean, n=len(waves))


def noisy(wave_N: np.ndarray, decibels: float, seed: int) -> np.ndarray:
    """With white noise of so many dB relative to the wave's own root mean square."""
    noise = np.random.default_rng(seed).normal(size=len(wave_N))
    level = np.sqrt(np.square(wave_N).mean()) * 10 ** (decibels / 20)
    return (wave_N + level * noise).astype(np.float32)


def draw(found: dict[int, tuple[float, float]], path: Path) -> None:
    """Both figures over the number of clips."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Picture

    picture = Picture(figsize=(6, 3.4), layout="constrained")
    FigureCanvasAgg(picture)
    axes = picture.subplots()
    for k, (name, mark) in enumerate((("Fréchet distance", "o-"), ("FAD-infinity", "s-"))):
        axes.plot(list(found), [values[k] for values in found.values()], mark, label=name)
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(found), [str(count) for count in found])
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"clips of {SECONDS:g} s")
    axes.legend()
    picture.savefig(path, dpi=150)
