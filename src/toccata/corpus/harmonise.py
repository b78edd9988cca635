"""Finds chords for a given melody, by dynamic programming over a small stock of chords for each mode."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np

from toccata.corpus.patterns import RawNote
from toccata.corpus.theory import roman_chord

Bars = list[list[str]]

# What a chord costs before the melody has a say: folk harmony lives on few chords.
_STOCK: dict[str, dict[str, float]] = {
    "major": {"I": 0.0, "IV": 0.15, "V": 0.12, "vi": 0.25, "ii": 0.27, "iii": 0.5, "V7": 0.2},
    "minor": {"i": 0.0, "VII": 0.2, "iv": 0.15, "V": 0.2, "VI": 0.22, "III": 0.22, "v": 0.45, "V7": 0.28},
    "dorian": {"i": 0.0, "VII": 0.08, "IV": 0.18, "v": 0.35, "III": 0.28, "ii": 0.5},
    "mixolydian": {"I": 0.0, "VII": 0.08, "IV": 0.15, "v": 0.3, "ii": 0.35, "vi": 0.45},
    "lydian": {"I": 0.0, "II": 0.15, "V": 0.15, "vi": 0.3, "iii": 0.4},
    "phrygian": {"i": 0.0, "II": 0.12, "VII": 0.2, "iv": 0.25, "VI": 0.25, "III": 0.35},
}
_LEADS_HOME = {"V", "V7", "VII", "II", "v", "IV"}
_BACKWARDS = {(a, b) for a in ("V", "V7") for b in ("IV", "ii", "iv", "VII", "V") if a != b}
_CLASH = 1.6  # a strong note that the chord lacks
_CHANGE_INSIDE = 0.35
_AWAY_FROM_HOME = 1.5
_CADENCE = 0.2


def harmonise(
    rng: np.random.Generator, notes: Sequence[RawNote], bars: int, bar_beats: float, slots: int, key: tuple[int, str]
) -> Bars:
    """Roman numerals for a melody of ``bars`` bars: a list a bar of 1 to ``slots`` chords, which share it evenly.

    Strong notes get chords that hold them, chords change rather with the bar, phrases of four bars lean to the
    dominant, and the last bar comes home. ``key`` is (tonic, mode); ``rng`` tips what is nearly even.
    """
    stock = list(_STOCK[key[1]])
    taste = rng.uniform(0, 0.15, len(stock))
    beats = bar_beats / slots
    heard = [_heard(notes, i * beats, beats) for i in range(bars * slots)]
    own = np.array([[_cost(symbol, slot, key) for symbol in stock] for slot in heard]) + taste
    _shape(own, stock, slots)
    path = _cheapest(own, _moves(key[1]), slots)
    symbols = [stock[i] for i in path]
    return [_merged(symbols[i * slots : (i + 1) * slots]) for i in range(bars)]


def _heard(notes: Sequence[RawNote], start: float, beats: float) -> tuple[list[tuple[int, float]], int | None]:
    """The weighted pitch classes of a stretch, and the one with which it begins."""
    sounding: list[tuple[int, float]] = []
    first = None
    for note in notes:
        overlap = min(note.start + note.beats, start + beats) - max(note.start, start)
        if overlap <= 1e-6:
            continue
        at = note.start - start
        weight = 2.0 if at <= 1e-6 else 1.3 if at % (beats / 2) < 1e-6 else 0.8
        sounding.append((note.pitch % 12, overlap * weight))
        if at <= 1e-6:
            first = note.pitch % 12
    return sounding, first


def _cost(symbol: str, slot: tuple[list[tuple[int, float]], int | None], key: tuple[int, str]) -> float:
    classes = roman_chord(symbol, *key).pitch_classes
    sounding, first = slot
    total = sum(weight for _, weight in sounding) or 1.0
    outside = sum(weight for pitch_class, weight in sounding if pitch_class not in classes) / total
    return _STOCK[key[1]][symbol] + outside + (_CLASH if first is not None and first not in classes else 0.0)


def _shape(own: np.ndarray, stock: list[str], slots: int) -> None:
    """Home at both ends, a dominant before the close and at the half of each phrase."""
    home = np.array([symbol in ("I", "i") for symbol in stock])
    leading = np.array([symbol in _LEADS_HOME for symbol in stock])
    own[0, home] -= _CADENCE
    own[-1, ~home] += _AWAY_FROM_HOME
    if len(own) > slots:
        own[-slots - 1, leading] -= _CADENCE
    for i in range(4 * slots - 1, len(own) - 1, 4 * slots):
        own[i, leading] -= _CADENCE


@lru_cache(maxsize=8)
def _moves(mode: str) -> np.ndarray:
    """What it costs to go from one chord (row) to another."""
    stock = list(_STOCK[mode])
    return np.array([[0.05 if a == b else 0.25 if (a, b) in _BACKWARDS else 0.0 for b in stock] for a in stock])


def _cheapest(own: np.ndarray, moves: np.ndarray, slots: int) -> list[int]:
    """The path of least cost through the slots (Viterbi)."""
    inside = moves + _CHANGE_INSIDE * (1 - np.eye(len(moves))) - 0.05 * np.eye(len(moves))
    cost, came = own[0], []
    for i in range(1, len(own)):
        steps = cost[:, None] + (inside if i % slots else moves)
        came.append(steps.argmin(0))
        cost = steps.min(0) + own[i]
    path = [int(cost.argmin())]
    for back in reversed(came):
        path.append(int(back[path[-1]]))
    return path[::-1]


def _merged(symbols: list[str]) -> list[str]:
    return symbols[:1] if all(a == b for a, b in pairwise(symbols)) else symbols
