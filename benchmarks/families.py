"""``families``: every model that ships and makes music, by every metric of the evaluator, beside one another.

The same held-out prompts, seeds and length for all, against the band's own pieces of these prompts. *Against* is what
the reference scores itself (its halves against each other, where a distance is asked for), *control* what other
prompts or pieces in their place would (white noise, where there is no such thing). The intervals are the evaluator's.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import toccata
from benchmarks.captions import Case, cases
from benchmarks.clips import generated
from benchmarks.held_out import HELD_OUT, RATE, SECONDS, excerpts
from benchmarks.prompts import SEED
from benchmarks.report import CACHE, Figure, Options, note
from toccata import hub
from toccata.clip import Clip
from toccata.evaluation.case import Score
from toccata.evaluation.ears import MusicnnJudge
from toccata.evaluation.hearing import Tell
from toccata.evaluation.run import evaluate
from toccata.evaluation.sets import Item

FULL, QUICK = 100, 16
FAMILIES = ("musicgen", "musiclm", "stable-audio", "mousai", "riffusion")
_AGAINST = ("reference", "reference's halves")
_CONTROL = ("shuffled", "noise", "one clip again and again")
_DRAWN = (
    "MuLan cycle consistency", "KL of labels, pairs", "FAD-infinity", "tempo as asked", "key as asked", "comes back",
)  # fmt: skip


def run(options: Options) -> Iterator[Figure]:
    """All metrics of all models (or of the one that is named), each with its interval."""
    asked = cases(QUICK if options.quick else FULL)
    band = excerpts(HELD_OUT, [case.index for case in asked])
    reference = items(asked, (one.wave_N for one in band))
    joint = hub.load_joint_judge(device=options.device)
    shipped = [known.name for known in hub.KNOWN if known.family in FAMILIES and known.here]
    scores: dict[str, dict[str, Score]] = {}
    for name in [options.model] if options.model else shipped:
        model = toccata.load(name, device=options.device)
        waves = generated(model, [case.text for case in asked], SECONDS, SEED)
        clips = items(asked, waves)
        report = evaluate(reference, clips, MusicnnJudge(), CACHE / "heard", quietly, joint=joint)
        for caution in report.notes:
            note(f"{name}: {caution}")
        for score in report.scores:
            scores.setdefault(score.metric, {})[name] = score
    for by_model in scores.values():
        for name, score in by_model.items():
            yield from figures(name, score)
    if options.picture:
        draw(scores, options.picture)
        note(f"drew {options.picture}")


def items(asked: Sequence[Case], waves: Iterable[np.ndarray]) -> list[Item]:
    """A wave_N for each case, as the evaluator takes them."""
    return [
        Item(str(case.index), prompt=case.text, seconds=SECONDS, sound=Clip(wave_N[None], RATE))
        for case, wave_N in zip(asked, waves, strict=True)
    ]


def figures(model: str, score: Score) -> Iterator[Figure]:
    """The score with what it is to be read beside, then half the width of its interval."""
    against, control = beside(score)
    ratio = score.value / against if against else None
    yield Figure(f"{score.metric}: {model}", score.value, score.unit, against, ratio, control, score.n)
    if score.low is not None and score.high is not None:
        half = (score.high - score.low) / 2
        yield Figure(f"{score.metric}: {model}, more or less", half, "95 % interval", n=score.n)


def beside(score: Score) -> tuple[float | None, float | None]:
    """What the reference scores, and what chance does."""
    against, control = (
        next((score.controls[name] for name in names if name in score.controls), None) for names in (_AGAINST, _CONTROL)
    )
    return against, control


def draw(scores: dict[str, dict[str, Score]], path: Path) -> None:
    """A panel a metric: each model with its interval, the reference (dashed), chance (dotted)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Picture

    chosen = {metric: scores[metric] for metric in _DRAWN if metric in scores}
    picture = Picture(figsize=(9, 4.6), layout="constrained")
    FigureCanvasAgg(picture)
    panels = picture.subplots(2, 3, squeeze=False).flat
    for axes, (metric, by_model) in zip(panels, chosen.items(), strict=False):
        names = list(by_model)
        for place, score in enumerate(by_model.values()):
            low, high = (score.value if end is None else end for end in (score.low, score.high))
            axes.plot([low, high], [place, place], color="tab:blue", linewidth=2)
            axes.plot(score.value, place, "o", color="tab:blue")
        for value, style in zip(beside(next(iter(by_model.values()))), ("--", ":"), strict=True):
            if value is not None:
                axes.axvline(value, linestyle=style, color="0.4", linewidth=1)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_title(metric, fontsize=9)
        axes.tick_params(axis="x", labelsize=8)
    picture.savefig(path, dpi=150)


@contextmanager
def quietly(label: str) -> Iterator[Tell]:
    note(label)
    yield lambda done, total: None
