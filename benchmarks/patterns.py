"""``patterns``: MusicGen's interleaving patterns, trained alike on the band at a small size (the paper's table 3).

Every pattern gets the same pieces, optimiser steps and sampling; what differs is the layout. Runs lie under
runs/bench/patterns and go on where they stopped. Without ``--quick`` this takes an hour on a CPU; a GPU trains longer.
"""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.captions import cases
from benchmarks.held_out import HELD_OUT, RATE, excerpts
from benchmarks.prompts import REFERENCE, embedded
from benchmarks.report import CACHE, Figure, Options
from toccata.evaluation.frechet import frechet_distance
from toccata.evaluation.musicnn import load_musicnn
from toccata.models.musicgen.config import tiny
from toccata.models.musicgen.pipeline import load_pipeline
from toccata.nn.codebooks import PATTERNS
from toccata.recipes.musicgen import MusicGenRecipe, train

NAMES = ("parallel", "partial-delay", "delay", "partial-flattening", "coarse-first", "flattening")
SEED = 9000


@dataclass(frozen=True)
class Sizes:
    """Optimiser steps of each pattern, pieces in each step, clips to judge, and shards of music to learn from."""

    steps: int
    batch: int
    clips: int
    shards: int


GPU, FULL, QUICK = Sizes(6000, 16, 200, 160), Sizes(1000, 8, 100, 40), Sizes(40, 8, 12, 2)


def run(options: Options) -> Iterator[Figure]:
    """Fréchet distance (musicnn's embedding) and KL of its tags for each pattern, beside steps for 30 s of music."""
    sizes = QUICK if options.quick else FULL if options.device == "cpu" else GPU
    asked = cases(sizes.clips)
    band = [e.wave_N for e in excerpts(HELD_OUT, [case.index for case in asked])]
    others = [e.wave_N for e in excerpts(HELD_OUT, range(REFERENCE, REFERENCE + sizes.clips))]
    wanted, reference = tags(band), embedded(others)
    yield Figure("Fréchet distance, band (the floor)", frechet_distance(embedded(band), reference), "", n=len(band))
    for name in NAMES:
        clips = _clips(name, sizes, [case.text for case in asked], options.device)
        yield Figure(f"Fréchet distance, {name}", frechet_distance(embedded(clips), reference), "", n=len(clips))
        divergence = kl_of_tags(wanted, tags(clips))
        shuffled = kl_of_tags(np.roll(wanted, 1, axis=0), tags(clips))
        yield Figure(f"KL of tags, {name}", divergence, "nats", control=shuffled, n=len(clips))
        yield Figure(f"steps for 30 s, {name}", float(PATTERNS[name](4, 750).shape[1]), "steps", n=1)


def _clips(name: str, sizes: Sizes, prompts: Sequence[str], device: str) -> list[np.ndarray]:
    out = CACHE / "patterns" / f"{name}-{sizes.steps}"
    recipe = MusicGenRecipe(
        out=out, preset="tiny", pattern=name, steps=sizes.steps, batch=sizes.batch, word_steps=100,
        first_shards=sizes.shards, shards=sizes.shards, device=device,
    )  # fmt: skip
    with contextlib.redirect_stdout(sys.stderr):  # a benchmark's own stdout is for figures
        train(recipe)
    model = load_pipeline(out / "model", device)
    seconds = tiny().window_seconds
    made = (model.generate(text, seconds=seconds, seed=SEED + i) for i, text in enumerate(prompts))
    return [clip.samples.mean(0) for clip in made]


def tags(waves: Sequence[np.ndarray]) -> np.ndarray:
    """musicnn's tags of each wave as a distribution: (N, 50), rows sum to 1."""
    found = np.stack([load_musicnn().listen(wave, RATE).tags_BV.mean(0) for wave in waves]) + 1e-6
    return found / found.sum(1, keepdims=True)


def kl_of_tags(wanted_NV: np.ndarray, made_NV: np.ndarray) -> float:
    """Mean divergence in nats of what was made from the piece that the prompt describes."""
    return float((wanted_NV * np.log(wanted_NV / made_NV)).sum(1).mean())
