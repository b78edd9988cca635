"""Captions of a score, worded as people word prompts: from three words to three sentences, and true.

A caption is planned first (which facts it names), then drafted: a small grammar of templates, filled slot by slot from
the vocabulary in ``phrases`` and ``wording``, that never says what the score's traits don't hold.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import numpy as np

from toccata.corpus import clauses, wording
from toccata.corpus.draft import Draft
from toccata.corpus.english import lower, mistype, polish, sentence, title
from toccata.corpus.score import Score
from toccata.corpus.traits import Traits, traits_of


@dataclass(frozen=True)
class Caption:
    """``text``, and in ``named`` the labels that it names, for judging.

    Keys of ``named``, each there only if the text says it: ``tempo`` (bpm), ``tempo_range`` (low, high; for words such
    as slow), ``key`` (tonic 0-11, mode), ``mode``, ``meter`` (n, d), ``genre``, ``moods``, ``instruments`` and
    ``families`` (tuples of the names in the module ``instruments``), ``drums`` (whether there are any) and ``solo``
    (whether one player is all).
    """

    text: str
    named: dict[str, object]


@dataclass(frozen=True)
class _Style:
    """A way of writing: its share of captions, the chance of naming each fact, and at most how many facts."""

    write: Callable[[Draft], str]
    share: float
    chances: dict[str, float]
    most: int = 12


def describe(score: Score, rng: np.random.Generator, count: int = 5) -> tuple[Caption, ...]:
    """``count`` different captions of ``score``, each naming a random part of its labels, truthfully."""
    traits = traits_of(score)
    dice = Random(int(rng.integers(2**63)))
    found: dict[str, Caption] = {}
    while len(found) < count:
        caption = _caption(traits, dice)
        found.setdefault(caption.text, caption)
    return tuple(found.values())


def _caption(traits: Traits, dice: Random) -> Caption:
    style = dice.choices(_STYLES, [style.share for style in _STYLES])[0]
    plan = _plan(traits, style, dice)
    while True:
        draft = Draft(traits, plan, dice)
        text = style.write(draft)
        if draft.named and len(text.split()) >= 3:
            break
        plan = plan | {dice.choice(("instruments", "genre", "mood", "bpm", "pace", "drums"))}
    if dice.random() < 0.02:
        text = mistype(text, dice)
    return Caption(text, draft.named)


def _plan(traits: Traits, style: _Style, dice: Random) -> frozenset[str]:
    """The facts to name: drums that are there are mentioned more than drums that aren't, odd meters more than 4/4."""
    bias = {
        "drums": 1.45 if "drums" in traits.holds else 0.6,
        "meter": 0.2 if traits.score.meter == (4, 4) else 1.5,
        "ensemble": 2.5 if "solo" in traits.holds else 1.0,
        "form": 1.0 if "form" in traits.holds else 0.0,
        "swing": 1.0 if "swing" in traits.holds else 0.0,
        "voices": 1.0 if "no voices" in traits.holds else 0.0,
    }
    facts = [fact for fact, chance in style.chances.items() if dice.random() < chance * bias.get(fact, 1.0)]
    dice.shuffle(facts)
    kept = facts[: style.most] or ["instruments"]
    halves = {"tempo": ("bpm", "pace"), "key": ("key", "key", "key", "mode")}
    return frozenset(dice.choice(halves[fact]) if fact in halves else fact for fact in kept)


def _fragment(draft: Draft) -> str:
    return _casual(clauses.noun_phrase(draft, draft.todo), draft.dice)


def _phrase(draft: Draft) -> str:
    return _casual(clauses.noun_phrase(draft, draft.todo, "@" if draft.flip(0.2) else ""), draft.dice)


def _tags(draft: Draft) -> str:
    separator = draft.dice.choices((", ", " / ", " - ", " + "), (20, 1, 1, 1))[0]
    text = polish(separator.join(clauses.tags(draft)))
    return text if draft.flip(0.3) else lower(text)


def _sentence(draft: Draft) -> str:
    return _prose_case([_framed(draft, wording.OPENERS, draft.todo)], draft.dice, neat=0.75)


def _request(draft: Draft) -> str:
    held = _hold_back(draft, {"mood": 0.3, "bpm": 0.35, "key": 0.5, "meter": 0.4, "form": 1.0})
    parts = [_framed(draft, wording.REQUESTS, draft.todo - held, some="some")]
    return _prose_case(parts + clauses.remarks_on_it(draft, held, room=1, should=True), draft.dice, neat=0.6)


def _prose(draft: Draft) -> str:
    """One to three sentences: what it is, who plays what, how it goes."""
    held = _hold_back(draft, {
        "mood": 0.45, "pace": 0.3, "bpm": 0.5, "key": 0.65, "meter": 0.5, "instruments": 0.8, "drums": 0.75,
        "form": 1.0,
    })  # fmt: skip
    parts = [_framed(draft, wording.OPENERS, draft.todo - held)]
    if held & draft.todo & {"instruments", "drums"}:
        draft.new_sentence()
        parts.append(clauses.scene(draft))
    return _prose_case(parts + clauses.remarks_on_it(draft, held, room=3 - len(parts)), draft.dice, neat=0.88)


def _hold_back(draft: Draft, chances: dict[str, float]) -> set[str]:
    """The planned facts that are left for a later sentence."""
    return {fact for fact, chance in chances.items() if fact in draft.todo and draft.flip(chance)}


def _framed(draft: Draft, frames: tuple[str, ...], facts: set[str], some: str = "") -> str:
    """A noun phrase put into a frame such as "make me {one}"."""
    frame = draft.pick(frames)
    one = "{one}" in frame
    noun = clauses.noun_phrase(draft, facts, "@" if one else "", some if one else "")
    return frame.replace("{one}" if one else "{bare}", noun)


def _casual(text: str, dice: Random) -> str:
    """Fragments come mostly in small letters, sometimes with a capital or a full stop, now and then as a title."""
    text = polish(text)
    forms: tuple[Callable[[str], str], ...] = (lower, lambda t: t[:1].upper() + t[1:], sentence, title)
    return dice.choices(forms, (55, 28, 11, 6))[0](text)


def _prose_case(parts: list[str], dice: Random, neat: float) -> str:
    """Sentences with capitals and full stops, or, with a chance of 1 - ``neat``, as typed in a hurry."""
    cleaned = [polish(part) for part in parts if part]
    if dice.random() < neat:
        return " ".join(map(sentence, cleaned))
    return lower(". ".join(part.rstrip("?") for part in cleaned))


_STYLES = (
    _Style(_fragment, 0.22, {
        "instruments": 0.42, "genre": 0.45, "mood": 0.4, "tempo": 0.4, "key": 0.07, "drums": 0.3, "ensemble": 0.06,
        "meter": 0.05,
    }, most=3),
    _Style(_tags, 0.12, {
        "instruments": 0.75, "genre": 0.75, "mood": 0.5, "tempo": 0.6, "key": 0.25, "drums": 0.4, "ensemble": 0.1,
        "meter": 0.1, "swing": 0.1, "voices": 0.1,
    }),
    _Style(_phrase, 0.24, {
        "instruments": 0.7, "genre": 0.6, "mood": 0.45, "tempo": 0.55, "key": 0.2, "drums": 0.5, "ensemble": 0.12,
        "meter": 0.12, "swing": 0.12, "voices": 0.03, "use": 0.08,
    }, most=5),
    _Style(_request, 0.1, {
        "instruments": 0.7, "genre": 0.6, "mood": 0.48, "tempo": 0.55, "key": 0.2, "drums": 0.5, "ensemble": 0.1,
        "meter": 0.1, "voices": 0.04, "use": 0.2, "form": 0.05,
    }, most=6),
    _Style(_sentence, 0.1, {
        "instruments": 0.8, "genre": 0.6, "mood": 0.48, "tempo": 0.55, "key": 0.2, "drums": 0.45, "ensemble": 0.12,
        "meter": 0.12, "swing": 0.12, "use": 0.1,
    }, most=6),
    _Style(_prose, 0.22, {
        "instruments": 0.92, "genre": 0.75, "mood": 0.65, "tempo": 0.68, "key": 0.42, "drums": 0.6, "ensemble": 0.15,
        "meter": 0.2, "swing": 0.15, "voices": 0.03, "use": 0.1, "form": 0.35,
    }),
)  # fmt: skip
