"""A listening test's answers put together: who was attentive, which set was preferred, and how sure that is."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from toccata.evaluation.answers import Answer, Answers
from toccata.evaluation.intervals import bootstrap
from toccata.evaluation.listening import LEVEL, answers_needed, bradley_terry, holm, linked, signed_rank
from toccata.evaluation.trials import DAMAGED, PAIRS, QUESTION

_STRONG = 2
_SAME_WITHIN = 40
ASPECTS = ("quality", "relevance")


@dataclass(frozen=True)
class Rater:
    """One listener: ``failed`` are the kinds of attention checks failed; ``left_out`` where there is any."""

    rater: str
    answers: int
    checks: int
    failed: tuple[str, ...]

    @property
    def left_out(self) -> bool:
        return bool(self.failed)


@dataclass(frozen=True)
class Pair:
    """Two sets compared: ``difference`` is the mean answer, above 0 where ``first`` is better; ``p`` is the signed-rank
    test's, ``p_holm`` corrected; ``missing`` how many answers more would show this difference at 80 % power."""

    first: str
    second: str
    about: str
    answers: int
    first_wins: int
    second_wins: int
    difference: float | None
    p: float | None
    p_holm: float | None
    missing: int | None

    @property
    def significant(self) -> bool:
        return self.p_holm is not None and self.p_holm < LEVEL


@dataclass(frozen=True)
class Verdict:
    mode: str
    sets: tuple[dict[str, Any], ...]
    pairs: tuple[Pair, ...]
    raters: tuple[Rater, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        pairs = [asdict(pair) | {"significant": pair.significant} for pair in self.pairs]
        raters = [asdict(rater) | {"left_out": rater.left_out} for rater in self.raters]
        left_out = [rater.rater for rater in self.raters if rater.left_out]
        return {
            "mode": self.mode, "sets": list(self.sets), "pairs": pairs, "raters": raters,
            "raters_left_out": len(left_out), "left_out": left_out, "notes": list(self.notes),
        }  # fmt: skip


def verdict(answers: Answers, seed: int = 0) -> Verdict:
    """What the answers say; raters who failed an attention check are counted and left out."""
    everything, names = answers.all(), answers.design.names
    raters = check(everything)
    kept_raters = {rater.rater for rater in raters if not rater.left_out}
    kept = [one for one in everything if one.trial.kind == QUESTION and one.trial.rater in kept_raters]
    notes = [
        f"{rater.rater} was left out: {len(rater.failed)} of {rater.checks} attention checks failed"
        for rater in raters
        if rater.left_out
    ]
    if unchecked := sum(not rater.checks for rater in raters):
        notes.append(f"{unchecked} raters stopped before their first attention check; their answers count")
    if answers.design.mode == PAIRS:
        sets, more = _preferred(kept, names)
        differences = {("text", pair): [_of(one) for one in kept if one.trial.sets == pair] for pair in _pairs(names)}
    else:
        sets, more = _opinions(kept, names, np.random.default_rng(seed)), []
        differences = {(about, pair): _differences(kept, about, pair) for about in ASPECTS for pair in _pairs(names)}
    return Verdict(answers.design.mode, tuple(sets), _tested(differences, names), tuple(raters), (*notes, *more))


def check(everything: Sequence[Answer]) -> list[Rater]:
    """Every rater with their attention checks.

    Of two clips, the one under noise must not be preferred, or called equal; neither of two equal ones strongly. Of
    clips rated alone, the one under noise must be rated below what it was without; the same one again within 40 of 100.
    """
    of_rater: dict[str, list[Answer]] = defaultdict(list)
    for one in everything:
        of_rater[one.trial.rater].append(one)
    raters = []
    for rater, said in of_rater.items():
        before = {(one.trial.prompt, one.trial.sets): one for one in said if one.trial.kind == QUESTION}
        checks = [one for one in said if one.trial.kind != QUESTION]
        failed = tuple(one.trial.kind for one in checks if not _passed(one, before))
        raters.append(Rater(rater, len(said) - len(checks), len(checks), failed))
    return raters


def _passed(one: Answer, before: dict[tuple[int, tuple[int, ...]], Answer]) -> bool:
    if one.preference is not None:
        return one.preference > 0 if one.trial.kind == DAMAGED else abs(one.preference) < _STRONG
    first, again = before[one.trial.prompt, one.trial.sets].said.quality, one.said.quality
    assert first is not None
    assert again is not None
    return again < first if one.trial.kind == DAMAGED else abs(again - first) <= _SAME_WITHIN


def _of(one: Answer) -> int:
    assert one.preference is not None
    return one.preference


def _pairs(names: Sequence[str]) -> list[tuple[int, int]]:
    return list(combinations(range(len(names)), 2))


def _preferred(kept: list[Answer], names: Sequence[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Wins and Bradley-Terry scores; no preference is half a win for each."""
    wins_SS, ties_SS = np.zeros((2, len(names), len(names)))
    for one in kept:
        i, j = one.trial.sets
        better, other = (i, j) if _of(one) >= 0 else (j, i)
        (wins_SS if _of(one) else ties_SS)[better, other] += 1
    sets: list[dict[str, Any]] = [
        {
            "set": name, "answers": int((wins_SS + wins_SS.T + ties_SS + ties_SS.T)[k].sum()),
            "wins": int(wins_SS[k].sum()), "losses": int(wins_SS[:, k].sum()),
            "no_preference": int((ties_SS + ties_SS.T)[k].sum()),
        }
        for k, name in enumerate(names)
    ]  # fmt: skip
    wins_SS += (ties_SS + ties_SS.T) / 2
    if not linked(wins_SS + wins_SS.T):
        missing = "some sets were not compared with the others yet, so none has a score; collect more answers"
        return [told | dict.fromkeys(("score", "low", "high")) for told in sets], [missing]
    strengths = bradley_terry(wins_SS)
    for k, told in enumerate(sets):
        scores = (strengths.scores_S, strengths.low_S, strengths.high_S)
        told |= {name: round(float(one[k]), 6) for name, one in zip(("score", "low", "high"), scores, strict=True)}
    alone = "a set won or lost all of its comparisons; a tie was added to each pair, so that its score has a bound"
    return sets, [] if strengths.bounded else [alone]


def _opinions(kept: list[Answer], names: Sequence[str], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Mean opinion scores with intervals, as if every rating stood alone."""
    sets = []
    for k, name in enumerate(names):
        mine = [one.said for one in kept if one.trial.sets == (k,)]
        told: dict[str, Any] = {"set": name, "answers": len(mine)}
        for about in ASPECTS:
            values = np.array([getattr(said, about) for said in mine], float)
            low, high = bootstrap(values, rng) if len(mine) else (None, None)
            told |= {about: float(values.mean()) if len(mine) else None, f"{about}_low": low, f"{about}_high": high}
        sets.append(told)
    return sets


def _differences(kept: list[Answer], about: str, pair: tuple[int, int]) -> list[int]:
    """The ratings of two sets by one rater for one prompt, one less the other."""
    ratings = {(one.trial.rater, one.trial.prompt, one.trial.sets[0]): getattr(one.said, about) for one in kept}
    both = [(rater, prompt) for rater, prompt, chosen in ratings if chosen == pair[0]]
    return [
        ratings[*heard, pair[0]] - ratings[*heard, pair[1]] for heard in both if (*heard, pair[1]) in ratings
    ]  # fmt: skip


def _tested(differences: dict[tuple[str, tuple[int, int]], list[int]], names: Sequence[str]) -> tuple[Pair, ...]:
    tested = {key: signed_rank(values) for key, values in differences.items() if values}
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
    pairs = []
    for key, values in differences.items():
        needed = answers_needed(values, len(differences)) if values else None
        pairs.append(
            Pair(
                names[key[1][0]], names[key[1][1]], key[0], len(values),
                sum(value > 0 for value in values), sum(value < 0 for value in values),
                float(np.mean(values)) if values else None, tested.get(key), corrected.get(key),
                None if needed is None else max(0, needed - len(values)),
            )
        )  # fmt: skip
    return tuple(pairs)
