"""What an evaluation compares, and what it gives: a ``Case`` in, ``Score``s out.

Shapes: N clips, D dimensions.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from toccata.evaluation import alignment
from toccata.evaluation.ears import Embedding, JointJudge, Labeller
from toccata.evaluation.frechet import Limit, frechet_infinity, frechet_per_clip, frechet_spread
from toccata.evaluation.hearing import Hearing, Judge
from toccata.evaluation.intervals import bootstrap, wilson
from toccata.evaluation.moments import Moments, Statistics
from toccata.evaluation.table import Table

_SHIFTS = 10


@dataclass(frozen=True)
class Score:
    """One figure: ``low`` to ``high`` is its 95 % interval, ``controls`` the same measure of other things, ``how`` it
    was come by, in a sentence. ``better`` is lower, higher, or "" where neither is."""

    metric: str
    value: float
    n: int
    better: str
    how: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    controls: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """What is compared: ``reference`` is None where only its statistics are here; ``noise`` and ``silence`` are the
    controls. ``statistics`` is None where no Fréchet distance is asked for, ``labeller`` where musicnn tells labels."""

    reference: Hearing | None
    generated: Hearing
    noise: Hearing
    silence: Hearing
    embedding: Embedding
    statistics: Statistics | None = None
    joint: JointJudge | None = None
    seed: int = 0
    labeller: Labeller | None = None

    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    @cached_property
    def table(self) -> Table:
        return self.rows(self.generated)

    @cached_property
    def reference_table(self) -> Table | None:
        return self.rows(self.reference) if self.reference else None

    @property
    def moments(self) -> Moments:
        """Of the reference."""
        if self.statistics is None:
            raise ValueError("a Fréchet distance needs the reference's statistics")
        return self.statistics.moments

    def rows(self, hearing: Hearing) -> Table:
        return Table(hearing.found(self.embedding, "rows_ND"))

    @cached_property
    def limit(self) -> Limit:
        """FAD-infinity's line."""
        return frechet_infinity(self.table, self.moments, self.rng())

    @cached_property
    def per_clip(self) -> np.ndarray:
        return frechet_per_clip(self.table, self.moments)

    @cached_property
    def spread(self) -> float:
        return frechet_spread(self.table, self.moments, self.rng())

    @cached_property
    def text_fits(self) -> np.ndarray:
        return alignment.text_fit(*self.told(self.generated)) if self.joint else np.zeros(0)

    def told(self, hearing: Hearing) -> tuple[np.ndarray, np.ndarray]:
        """Joint embeddings of the clips, and of their prompts."""
        assert self.joint is not None
        audio_ND = np.concatenate(list(hearing.found(self.joint, "rows_ND")))
        return audio_ND, self.joint.joint.embed_text([item.prompt for item in hearing.items]).numpy()


def halves(clips: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The places of a set's clips, in two halves by chance."""
    order = rng.permutation(clips)
    return order[: clips // 2], order[clips // 2 :]


def stacked(hearing: Hearing, judge: Judge, name: str) -> np.ndarray:
    return np.stack(list(hearing.found(judge, name)))


def shuffled(places: np.ndarray, score: Callable[[np.ndarray], float], shifts: int = _SHIFTS) -> float:
    """The mean score when every clip gets another one's partner: the places moved round by some different steps."""
    steps = np.unique(np.linspace(1, len(places) - 1, shifts).round().astype(int)) if len(places) > 1 else [0]
    return float(np.mean([score(np.roll(places, step)) for step in steps]))


def mean_score(
    metric: str, values_N: np.ndarray, better: str, how: str, case: Case, unit: str, controls: dict[str, float]
) -> Score:
    """A mean with its interval; of a share, where values are 0 or 1, Wilson's: all alike is not all sure."""
    value = float(values_N.mean())
    low, high = wilson(value, len(values_N)) if unit == "share" else bootstrap(values_N, case.rng())
    return Score(metric, value, len(values_N), better, how, unit, low, high, controls)
