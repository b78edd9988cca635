"""The evaluation of one set against another, from top to bottom: what applies, listening, scores, what to beware of."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from toccata.clip import Clip
from toccata.errors import InputError
from toccata.evaluation import asked, clip_scores, set_scores
from toccata.evaluation.case import Case, Score, halves, stacked
from toccata.evaluation.ears import ChromaJudge, Embedding, JointJudge, Labeller, MusicnnJudge, PulseJudge, SoundJudge
from toccata.evaluation.frechet import LEAST_CLIPS, distance
from toccata.evaluation.hearing import Hearing, Judge, Tell, listen
from toccata.evaluation.moments import Statistics
from toccata.evaluation.sets import Item, pairs
from toccata.evaluation.table import Table

_NOISES = 8

METRICS: dict[str, Callable[[Case], Iterator[Score]]] = {
    "frechet": set_scores.frechet,
    "frechet-infinity": set_scores.frechet_limit,
    "frechet-clips": set_scores.frechet_clips,
    "kl": set_scores.label_divergence,
    "text": clip_scores.text,
    "chroma": clip_scores.chroma,
    "tempo": clip_scores.tempo,
    "key": clip_scores.key,
    "duration": clip_scores.duration,
    "structure": clip_scores.structure,
    "diversity": set_scores.diversity,
    "copies": clip_scores.copies,
    "guards": clip_scores.guards,
}
_FRECHET = {"frechet", "frechet-infinity", "frechet-clips"}

Progress = Callable[[str], AbstractContextManager[Tell]]


@dataclass(frozen=True)
class Report:
    """``scores`` of the clips in ``case``, and in ``notes`` what to beware of when they are read.

    ``left_out`` names the files that could not be heard, and why.
    """

    case: Case
    scores: tuple[Score, ...]
    notes: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def reference_clips(self) -> int:
        case = self.case
        return len(case.reference) if case.reference else case.statistics.clips if case.statistics else 0

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain values, for JSON."""
        return {
            "reference_clips": self.reference_clips,
            "generated_clips": len(self.case.generated),
            "left_out": list(self.left_out),
            "recipe": self.case.embedding.recipe,
            "seed": self.case.seed,
            "scores": [_rounded(asdict(score)) for score in self.scores],
            "notes": list(self.notes),
        }


def evaluate(
    reference: Sequence[Item] | Statistics,
    generated: Sequence[Item],
    embedding: Embedding,
    kept: Path,
    progress: Progress,
    metrics: Sequence[str] | None = None,
    joint: JointJudge | None = None,
    seed: int = 0,
    labeller: Labeller | None = None,
) -> Report:
    """Compare ``generated`` with ``reference``, by all metrics that these allow, or by those named.

    What was heard is kept in the folder ``kept``. Labels are musicnn's without another ``labeller``. A clip without
    prompt or labels takes those of the reference clip with its name. Raises ``InputError`` for a metric that was named
    and can't be told, and for too few clips.
    """
    statistics = reference if isinstance(reference, Statistics) else None
    originals = [] if isinstance(reference, Statistics) else list(reference)
    ours = inherited(generated, originals)
    wanted, notes = _wanted(metrics, None if statistics else originals, ours, joint, labeller)
    judges = _judges(wanted, embedding, joint, labeller)
    heard = []
    for label, items in (("listening to the reference", originals), ("listening to the clips", ours)):
        with progress(label) as tell:
            heard.append(listen(items, judges, kept, tell))
    noise, silence = (listen(items, judges, kept) for items in controls())
    case = Case(None if statistics else heard[0], heard[1], noise, silence, embedding, None, joint, seed, labeller)
    _check_count(case, wanted)
    if _FRECHET & set(wanted):
        case = replace(
            case, statistics=_fitting(statistics, embedding) if statistics else statistics_of(heard[0], case)
        )
    scores = []
    with progress("scoring") as tell:
        for done, metric in enumerate(wanted):
            scores += METRICS[metric](case)
            tell(done + 1, len(wanted))
    return Report(case, tuple(scores), (*notes, *_cautions(case)), heard[0].left_out + heard[1].left_out)


def statistics_of(hearing: Hearing, case: Case) -> Statistics:
    """The reference's, to compare with now and to keep; raises ``InputError`` for too few clips."""
    table = Table(hearing.found(case.embedding, "rows_ND"))
    one, other = (table.moments(half) for half in halves(table.clips, case.rng()))
    apart = distance(one, other) if min(one.count, other.count) > 1 else None
    return Statistics(table.moments(), table.clips, case.embedding.recipe, apart)


def inherited(generated: Sequence[Item], reference: Sequence[Item]) -> list[Item]:
    """The clips, those without prompt or labels with those of the reference clip of the same name."""
    known = {item.name: item for item in reference}
    return [
        replace(item, prompt=item.prompt or other.prompt, labels=item.labels or other.labels)
        if (other := known.get(item.name)) else item
        for item in generated
    ]  # fmt: skip


@lru_cache(maxsize=1)
def controls() -> tuple[list[Item], list[Item]]:
    """Ten seconds of white noise, 8 times, and of silence, twice: what no score should like."""
    rate, silence = 24_000, np.zeros((1, 240_000), np.float32)
    noises = [
        np.random.default_rng(seed).uniform(-0.17, 0.17, silence.shape).astype(np.float32) for seed in range(_NOISES)
    ]
    noise = [Item(f"noise {seed}", sound=Clip(wave, rate)) for seed, wave in enumerate(noises)]
    return noise, [Item(f"silence {k}", sound=Clip(silence, rate)) for k in range(2)]


def _wanted(
    metrics: Sequence[str] | None,
    reference: list[Item] | None,
    generated: list[Item],
    joint: JointJudge | None,
    labeller: Labeller | None,
) -> tuple[list[str], list[str]]:
    """The metrics to take, and a note for each that was not asked for by name and can't be told."""
    if unknown := [name for name in metrics or () if name not in METRICS]:
        raise InputError(f"there is no metric {unknown[0]!r}; choose from {', '.join(METRICS)}")
    wanted, notes = [], []
    for name in METRICS if metrics is None else dict.fromkeys(metrics):
        why = why_not(name, reference, generated, joint, labeller)
        if why and metrics is not None:
            raise InputError(f"{name} can't be told: {why}")
        if why:
            notes.append(f"{name} is left out: {why}")
        else:
            wanted.append(name)
    return wanted, notes


def why_not(
    metric: str,
    reference: list[Item] | None,
    generated: list[Item],
    joint: JointJudge | None,
    labeller: Labeller | None = None,
) -> str | None:
    """Why a metric can't be told from these sets (``reference`` is None for statistics); None where it can."""
    match metric:
        case "kl" if reference is None:
            return "the reference is statistics only"
        case "kl" if labeller is None and find_spec("musicnn") is None:
            return "the judge musicnn is not installed (pip install --no-deps musicnn==0.1.0, or --labels)"
        case "chroma" if len(pairs(generated, reference or [])) < 2:
            return "no two clips have the names of reference clips"
        case "text" if not all(item.prompt for item in generated):
            return "not every clip has a prompt (--prompts)"
        case "text" if joint is None:
            return "no joint encoder was given"
        case "tempo" if not any(asked.tempo_in(item.prompt, item.labels) for item in generated):
            return "no prompt or label names a tempo"
        case "key" if not any(asked.key_in(item.prompt, item.labels) for item in generated):
            return "no prompt or label names a key"
        case "duration" if not any(item.seconds for item in generated):
            return "nobody says how long the clips should be"
    return None


def _judges(
    wanted: Sequence[str], embedding: Embedding, joint: JointJudge | None, labeller: Labeller | None
) -> list[Judge]:
    """Those whose verdict the metrics need; the sound itself is always looked at."""
    names = set(wanted)
    found: list[Judge] = [SoundJudge()]
    if names & (_FRECHET | {"diversity"}):
        found.append(embedding)
    if "kl" in names:
        labeller = labeller or MusicnnJudge()
        # What hears both is listened to once.
        if not (embedding in found and embedding.recipe == labeller.recipe):
            found.append(labeller)
    if "text" in names and joint:
        found.append(joint)
    if "chroma" in names:
        found.append(ChromaJudge())
    if names & {"tempo", "key"}:
        found.append(PulseJudge())
    return found


def _check_count(case: Case, wanted: Sequence[str]) -> None:
    sets = [("the reference", case.reference), ("the set to evaluate", case.generated)]
    for what, hearing in sets:
        if hearing is not None and not len(hearing):
            why = f"; the first: {hearing.left_out[0]}" if hearing.left_out else ""
            raise InputError(f"none of the clips of {what} can be heard{why}")
        if hearing is not None and len(hearing) < LEAST_CLIPS and _FRECHET & set(wanted):
            clips = "1 clip" if len(hearing) == 1 else f"{len(hearing)} clips"
            raise InputError(
                f"{what} has {clips} that can be heard, too few for a Fréchet distance, which compares how the"
                f" sets spread; give at least {LEAST_CLIPS}, better hundreds, or ask for other --metrics"
            )


def _fitting(statistics: Statistics, embedding: Embedding) -> Statistics:
    """``statistics``, whose recipe must be the embedding's."""
    theirs, ours = statistics.recipe, embedding.recipe
    for name in sorted(theirs.keys() | ours.keys()):
        if theirs.get(name) != ours.get(name):
            raise InputError(
                f"the reference's statistics were made with {name.replace('_', ' ')} {theirs.get(name)}, here it is"
                f" {ours.get(name)}; choose --embedding as it was then, or make the statistics again"
            )
    return statistics


def _cautions(case: Case) -> Iterator[str]:
    """What a reader would want to know before believing the figures."""
    sets = {"reference": case.reference, "generated": case.generated}
    heard = {what: hearing for what, hearing in sets.items() if hearing}
    rates = {
        what: Counter(stacked(hearing, SoundJudge(), "sample_rate").astype(int)) for what, hearing in heard.items()
    }
    if len({rate for counts in rates.values() for rate in counts}) > 1:
        told = "; ".join(f"{what} {', '.join(f'{n} at {rate:,} Hz' for rate, n in sorted(counts.items()))}"
                         for what, counts in rates.items())  # fmt: skip
        yield f"sample rates differ ({told}): every judge resamples to its own rate, and what a low rate lacks counts"
    spans = {what: stacked(hearing, SoundJudge(), "seconds") for what, hearing in heard.items()}
    low, high = min(s.min() for s in spans.values()), max(s.max() for s in spans.values())
    if high > 1.1 * low:
        told = "; ".join(
            f"{what} {s.min():.1f} to {s.max():.1f} s, median {np.median(s):.1f}" for what, s in spans.items()
        )
        yield f"lengths differ ({told}): clips are heard whole, so a longer one gives more windows and weighs more"
    if case.statistics:
        width = len(case.moments.mean_D)
        for what, count in (("reference", case.moments.count), ("generated", case.table.moments().count)):
            if count < 2 * width:
                yield (
                    f"the {what} set has {count} windows in {width} dimensions: compare its Fréchet distance only with"
                    " those of as many clips, and FAD-infinity with care"
                )


def _rounded(value: Any) -> Any:
    """Six significant digits."""
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return float(f"{value:.6g}") if isinstance(value, float) else value
