"""What each listener is asked, and in which order: everything equally often, everyone checked for attention."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

PAIRS, MOS = "pairs", "mos"
QUESTION, DAMAGED, IDENTICAL = "question", "damaged", "identical"
_A_CHECK_EVERY = 10


@dataclass(frozen=True)
class Question:
    """Of one prompt, the clips of two sets to compare, or of one to rate."""

    prompt: int
    sets: tuple[int, ...]


def questions(mode: str, prompts: int, sets: int) -> list[Question]:
    """All that can be asked: every pair of sets, or every set, of every prompt."""
    together = list(combinations(range(sets), 2 if mode == PAIRS else 1))
    return [Question(prompt, chosen) for prompt in range(prompts) for chosen in together]


def schedule(trials: int, checks: Sequence[str], rng: np.random.Generator) -> list[str]:
    """A listener's ``trials`` questions with attention checks among them: one in ten, of each of ``checks`` one at
    least, spread over the whole, at random places, never first."""
    wanted = max(len(checks), round(trials / _A_CHECK_EVERY)) if checks else 0
    order = list(rng.permutation(list(checks))) if checks else []
    kinds = [QUESTION] * trials
    for k in reversed(range(wanted)):
        first, last = 1 + k * trials // wanted, max(1 + k * trials // wanted, (k + 1) * trials // wanted)
        kinds.insert(int(rng.integers(first, last + 1)), str(order[k % len(order)]))
    return kinds


def choose(
    possible: Iterable[Question], asked: Counter[Question], mine: Sequence[Question], rng: np.random.Generator
) -> Question | None:
    """The question to ask next: of those that this listener has not had, one asked least often so far.

    Among equals one whose sets, then whose prompt were asked least often, then whose prompt this listener heard least
    often, then by chance. Who rates single clips first finishes a prompt that was begun, so that ratings of all sets
    can be paired. None where nothing is left.
    """
    left = [question for question in possible if question not in set(mine)]
    if not left:
        return None
    sets, prompts = Counter[tuple[int, ...]](), Counter[int]()
    for question, count in asked.items():
        sets[question.sets] += count
        prompts[question.prompt] += count
    heard = Counter(question.prompt for question in mine)

    def rank(place: int) -> tuple[float, ...]:
        question = left[place]
        begun = len(question.sets) == 1 and heard[question.prompt] > 0
        often = (asked[question], sets[question.sets], prompts[question.prompt], heard[question.prompt])
        return (not begun, *often, draw[place])

    draw = rng.random(len(left))
    return left[min(range(len(left)), key=rank)]


def on_the_right(shown: Sequence[bool], rng: np.random.Generator) -> bool:
    """Whether the first of two sets goes to the right: as often as to the left, which ``shown`` of them tells."""
    right = sum(shown)
    left = len(shown) - right
    return bool(rng.integers(2)) if left == right else right < left
