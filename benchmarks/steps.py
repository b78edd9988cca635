"""``steps``: what Stable Audio's music is worth, and how long it takes, by the number of steps.

stable-audio-mini with guidance, and its student without, on the same held-out prompts and seeds as ``families``,
against the band's own pieces of these prompts. How long ten seconds of stereo take is timed in turn, after load.
"""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.captions import cases
from benchmarks.clips import generated
from benchmarks.families import beside, items, quietly
from benchmarks.held_out import HELD_OUT, SECONDS, excerpts
from benchmarks.load import clocks, foreign
from benchmarks.prompts import SEED
from benchmarks.report import CACHE, Figure, Options, compared
from benchmarks.stable_models import STUDENT, stable_audio
from benchmarks.streaming import CORES, PROMPT, memory_grown, take_cores
from toccata import hub
from toccata.evaluation.ears import MusicnnJudge
from toccata.evaluation.run import evaluate
from toccata.models.stable_audio.pipeline import StableAudio

TIMED, AIM = 10.0, 2.0  # seconds of music, seconds of work


@dataclass(frozen=True)
class Sizes:
    """How many prompts, by how many steps; the ``rounds`` that are timed; seconds of the ``long`` stream."""

    prompts: int
    many: tuple[int, ...]
    few: tuple[int, ...]
    rounds: int
    long: int


FULL, QUICK = Sizes(60, (100, 25, 8), (8, 4, 2), 5, 300), Sizes(12, (25, 8), (8,), 2, 60)


@dataclass(frozen=True)
class Way:
    """A model run in so many ``steps``."""

    name: str
    model: StableAudio
    steps: int


def run(options: Options) -> Iterator[Figure]:
    """Seconds of work, Fréchet distance, divergence of labels and fit to the words, of each way; then a long stream."""
    if options.device == "cpu":
        take_cores(CORES)
    before, sizes = clocks(), QUICK if options.quick else FULL
    ways = ways_of(options, sizes)
    yield from timed(ways, sizes.rounds)
    last = ways[-1].model
    yield memory_grown(last, sizes.long)
    yield foreign(before)
    yield from judged(ways, sizes.prompts, options.device)


def ways_of(options: Options, sizes: Sizes) -> list[Way]:
    """The model's, then its student's: that named with --against, or the one that ships."""
    model = stable_audio("steps", options)
    found = [Way(f"{steps} steps, guidance {model.config.sampling.guidance:g}", model, steps) for steps in sizes.many]
    student = stable_audio("steps", options, options.against or STUDENT)
    return [*found, *(Way(f"{steps} steps, distilled", student, steps) for steps in sizes.few)]


def timed(ways: list[Way], rounds: int) -> Iterator[Figure]:
    """Seconds of work for ten of stereo, the median of ``rounds`` in which all take turns, after one to warm up."""
    times: dict[str, list[float]] = {way.name: [] for way in ways}
    for number in range(rounds + 1):
        for way in ways:
            began = time.perf_counter()
            way.model.generate(PROMPT, TIMED, number, steps=way.steps)
            if number:
                times[way.name].append(time.perf_counter() - began)
    for name, found in times.items():
        yield compared(f"work for {TIMED:g} s of stereo: {name}", statistics.median(found), "s", AIM, n=rounds)


def judged(ways: list[Way], prompts: int, device: str) -> Iterator[Figure]:
    """Each metric of each way, beside what the band's own pieces score and what chance does."""
    asked, joint = cases(prompts), hub.load_joint_judge(device=device)
    band = excerpts(HELD_OUT, [case.index for case in asked])
    reference = items(asked, (one.wave_N for one in band))
    for way in ways:
        waves = generated(way.model, [case.text for case in asked], SECONDS, SEED, steps=way.steps)
        wanted = ("frechet", "kl", "text")
        report = evaluate(reference, items(asked, waves), MusicnnJudge(), CACHE / "heard", quietly, wanted, joint)
        for score in report.scores:
            against, control = beside(score)
            ratio = score.value / against if against else None
            yield Figure(f"{score.metric}: {way.name}", score.value, score.unit, against, ratio, control, score.n)
