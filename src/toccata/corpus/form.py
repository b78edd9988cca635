"""The form of a piece: how its bars fall into intro, sections and ending."""

from dataclasses import dataclass

import numpy as np

from toccata.corpus.theory import pick

NAMES: dict[str, dict[str, str]] = {
    "song": {"A": "verse", "B": "chorus", "C": "bridge"},
    "jazz": {"A": "head", "B": "bridge", "C": "solo"},
    "classical": {"A": "theme", "B": "second theme", "C": "development"},
    "dance": {"A": "groove", "B": "drop", "C": "breakdown"},
    "folk": {"A": "first strain", "B": "second strain", "C": "interlude"},
    "blues": {"A": "verse", "B": "verse", "C": "solo"},
}
_ENERGY = {"intro": 0.84, "A": 0.94, "B": 1.06, "C": 0.86, "outro": 0.9, "ending": 1.0}
_PLANS = {
    1: ("A",),
    2: ("AA", "AB", "AB"),
    3: ("AAB", "ABA", "ABB", "AAB"),
    4: ("AABA", "ABAB", "AABB", "ABCB"),
    5: ("AABAB", "ABABB", "AABCB", "ABACA"),
    6: ("AABABB", "AABCAB", "ABABCB", "AABBAB"),
}


@dataclass(frozen=True)
class FormSection:
    """``bars`` bars from ``bar`` on; ``letter`` (A, B, C) names the material, ``energy`` (about 1) scales loudness."""

    name: str
    letter: str
    bar: int
    bars: int
    energy: float


def plan_form(rng: np.random.Generator, bars: int, kind: str) -> tuple[FormSection, ...]:
    """Split ``bars`` (1 or more) into sections; the last one is a one-bar ending on the tonic.

    ``kind`` is a key of ``NAMES``. Sections are whole phrases of 4 or 8 bars (12 in a blues); what is left over opens
    the piece as an intro of at most 4 bars, or closes it as an outro.
    """
    unit = 12 if kind == "blues" and bars > 12 else 8 if bars > 24 else 4
    count, spare = divmod(bars - 1, unit)
    if count == 0:
        count, unit, spare = min(1, spare), spare, 0
    intro, outro = min(spare, 4), max(0, spare - 4)
    letters = _letters(rng, count, kind)
    pieces = [("intro", "A", intro)] if intro else []
    for i, letter in enumerate(letters):
        name = NAMES[kind][letter]
        if i == 0 and not intro and count > 2 and kind != "blues" and rng.random() < 0.4:
            pieces.append(("intro", "A", unit))
        elif pieces and pieces[-1][0] == name and kind != "blues":
            pieces[-1] = (name, letter, pieces[-1][2] + unit)
        else:
            pieces.append((name, letter, unit))
    if outro:
        pieces.append(("outro", "A", outro))
    return _place([*pieces, ("ending", "A", 1)])


def _letters(rng: np.random.Generator, count: int, kind: str) -> str:
    if kind == "blues":
        return "ACABACAB"[:count] if count < 9 else "A" * count
    if count > 6:
        return ("AABBCABB" * (count // 8 + 1))[:count]
    return pick(rng, _PLANS[count]) if count else ""


def _place(pieces: list[tuple[str, str, int]]) -> tuple[FormSection, ...]:
    sections, bar = [], 0
    for name, letter, bars in pieces:
        energy = _ENERGY.get(name, _ENERGY[letter])
        sections.append(FormSection(name, letter, bar, bars, 1.02 if name == "solo" else energy))
        bar += bars
    return tuple(sections)
