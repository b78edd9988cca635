"""From progressions written in roman numerals to a chord timeline, and from chords to voicings."""

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from toccata.corpus.form import FormSection
from toccata.corpus.theory import MINOR_MODES, Chord, nearest_pitch, pick, roman_chord

Bars = list[list[str]]


@dataclass(frozen=True)
class Span:
    """One chord from beat ``start`` for ``beats`` quarter notes."""

    start: float
    beats: float
    chord: Chord

    @property
    def end(self) -> float:
        return self.start + self.beats


@dataclass(frozen=True)
class Harmony:
    """The chord timeline of a piece: spans in order, without gaps."""

    spans: tuple[Span, ...]
    starts: tuple[float, ...]

    def index_at(self, beat: float) -> int:
        return max(0, bisect_right(self.starts, beat + 1e-6) - 1)

    def at(self, beat: float) -> Span:
        return self.spans[self.index_at(beat)]

    def after(self, beat: float) -> Span:
        """The span that follows the one sounding at ``beat`` (the last one stays)."""
        return self.spans[min(self.index_at(beat) + 1, len(self.spans) - 1)]


def read_bars(progression: str) -> Bars:
    """``"I vi | ii7 V7"`` as [["I", "vi"], ["ii7", "V7"]]."""
    return [bar.split() for bar in progression.split("|")]


def starts_on_tonic(progression: str) -> bool:
    """Whether the first chord's root is the tonic."""
    first = progression.split()[0]
    return roman_chord(first, 0, "minor").root == 0


def choose_progressions(rng: np.random.Generator, options: tuple[str, ...]) -> dict[str, Bars]:
    """Progressions for the letters A, B and C; A begins on the tonic and C returns to A's or B's chords."""
    first = pick(rng, [text for text in options if starts_on_tonic(text)])
    others = [text for text in options if text != first] or [first]
    second = pick(rng, others)
    return {"A": read_bars(first), "B": read_bars(second), "C": read_bars(pick(rng, (first, second)))}


def lay_harmony(
    rng: np.random.Generator,
    form: tuple[FormSection, ...],
    progressions: dict[str, Bars],
    cadences: tuple[str, ...],
    key: tuple[int, str],
    bar_beats: float,
    spice: float,
) -> Harmony:
    """Chords for every bar of the form.

    The bar before the ending is a cadence, the ending is A's opening tonic chord. ``spice`` (0-1) is how often a
    phrase gets a secondary dominant or a borrowed chord; repeats of a letter get the same one.
    """
    tonic, mode = key
    coloured = {letter: _colour(rng, bars, mode, spice) for letter, bars in progressions.items()}
    total = form[-1].bar + form[-1].bars
    bars: Bars = []
    for section in form:
        cycle = coloured[section.letter]
        bars += [cycle[i % len(cycle)] for i in range(section.bars)]
    bars[0] = [progressions["A"][0][0]] if total < 3 else bars[0]
    bars[-1] = [progressions["A"][0][0].split("/")[0]]
    if total > 2:
        bars[-2] = pick(rng, cadences).split()
    return _spans(bars, tonic, mode, bar_beats)


def _colour(rng: np.random.Generator, bars: Bars, mode: str, spice: float) -> Bars:
    """Now and then lead into a bar by its own dominant, or darken the subdominant before the tonic."""
    bars = [list(bar) for bar in bars]
    for here, there in pairwise(bars):
        target = re.split(r"[^b#IViv]", there[0])[0]
        if len(here) > 1 or rng.random() > spice * 0.35:
            continue
        if mode not in MINOR_MODES and here[0][:2] == "IV" and target == "I":
            here.append("iv")
        elif target in ("ii", "vi", "V", "iv", "IV", "iii") and here[0][:2] not in ("V7", "v7"):
            here.append(f"V7/{target}")
    return bars


def _spans(bars: Bars, tonic: int, mode: str, bar_beats: float) -> Harmony:
    spans: list[Span] = []
    for i, bar in enumerate(bars):
        for start, beats, symbol in _share(bar, i * bar_beats, bar_beats):
            chord = roman_chord(symbol, tonic, mode)
            if spans and spans[-1].chord == chord and i != len(bars) - 1:
                spans[-1] = Span(spans[-1].start, spans[-1].beats + beats, chord)
            else:
                spans.append(Span(start, beats, chord))
    return Harmony(tuple(spans), tuple(span.start for span in spans))


def _share(bar: list[str], start: float, beats: float) -> list[tuple[float, float, str]]:
    """Split a bar among its chords: evenly, but 2 + 1 when two chords share three beats."""
    if len(bar) == 2 and beats == 3:
        return [(start, 2.0, bar[0]), (start + 2, 1.0, bar[1])]
    part = beats / len(bar)
    return [(start + i * part, part, symbol) for i, symbol in enumerate(bar)]


def voice_chord(chord: Chord, voices: int, centre: float, previous: tuple[int, ...] = ()) -> tuple[int, ...]:
    """Pitches of a close voicing, lowest first, near ``centre`` and moving least from ``previous``.

    More chord tones than voices: the fifth goes first, then the root. Fewer: the lowest is doubled above.
    """
    classes = list(chord.pitch_classes)
    if len(classes) > voices and len(classes) > 3:
        classes.pop(2)
    if len(classes) > voices:
        classes = classes[len(classes) - voices :]
    best: tuple[int, ...] = ()
    best_cost = float("inf")
    for first in classes:
        bottom = nearest_pitch(first, centre - 5)
        stack = _stack(bottom, sorted((c - first) % 12 for c in classes), voices)
        middle = sum(stack) / len(stack)
        cost = 0.6 * abs(middle - centre)
        if previous:
            cost += sum(min(abs(p - q) for q in previous) for p in stack) / len(stack) * 2
        if cost < best_cost:
            best, best_cost = stack, cost
    return best


def _stack(bottom: int, steps: list[int], voices: int) -> tuple[int, ...]:
    return tuple(bottom + steps[i % len(steps)] + 12 * (i // len(steps)) for i in range(voices))
