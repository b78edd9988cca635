"""Scales, chords and roman numerals: the vocabulary in which the band's harmony is written."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np

from toccata.errors import InputError

T = TypeVar("T")

SCALES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
}
MINOR_MODES = ("minor", "dorian", "phrygian")

QUALITIES: dict[str, tuple[int, ...]] = {
    "": (0, 4, 7), "m": (0, 3, 7), "5": (0, 7), "dim": (0, 3, 6), "aug": (0, 4, 8), "sus2": (0, 2, 7),
        "sus4": (0, 5, 7),
    "6": (0, 4, 7, 9), "m6": (0, 3, 7, 9), "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11), "m7": (0, 3, 7, 10),
    "m7b5": (0, 3, 6, 10), "dim7": (0, 3, 6, 9), "7sus4": (0, 5, 7, 10), "add9": (0, 4, 7, 14),
        "madd9": (0, 3, 7, 14),
    "9": (0, 4, 7, 10, 14), "maj9": (0, 4, 7, 11, 14), "m9": (0, 3, 7, 10, 14), "13": (0, 4, 10, 14, 21),
    "7b9": (0, 4, 7, 10, 13),
}  # fmt: skip

NOTE_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_NUMERALS = ("I", "II", "III", "IV", "V", "VI", "VII")
_ROMAN = re.compile(r"([b#]?)(VII|VI|IV|V|III|II|I|vii|vi|iv|v|iii|ii|i)([a-z0-9]*)(?:/(.+))?")


@dataclass(frozen=True)
class Chord:
    """A sounding chord: ``root`` and ``bass`` are pitch classes, ``intervals`` semitones above the root."""

    root: int
    intervals: tuple[int, ...]
    bass: int
    name: str

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        return tuple((self.root + step) % 12 for step in self.intervals)


def scale_classes(tonic: int, mode: str) -> tuple[int, ...]:
    """The seven pitch classes of a key, from the tonic up."""
    return tuple((tonic + step) % 12 for step in SCALES[mode])


@lru_cache(maxsize=16384)
def roman_chord(symbol: str, tonic: int, mode: str) -> Chord:
    """The chord that a roman numeral names in a key.

    A bare numeral follows the mode's own scale (``VI`` in A minor is F); ``b`` and ``#`` count from the major scale.
    Lower case is minor. ``V7/V`` is a secondary dominant,
        ``I/3`` and ``I/5`` are inversions (third or fifth in the bass).
    """
    match = _ROMAN.fullmatch(symbol)
    if match is None:
        raise InputError(f"'{symbol}' is not a roman numeral such as 'ii7', 'bVII' or 'V7/V'.")
    accidental, numeral, suffix, below = match.groups()
    degree = _NUMERALS.index(numeral.upper())
    steps = SCALES["major" if accidental else mode]
    root = tonic + steps[degree] + {"b": -1, "#": 1, "": 0}[accidental]
    if below and not below.isdigit():
        target = roman_chord(below, tonic, mode)
        root = target.root + SCALES["major"][degree]
    minor = numeral.islower() and not suffix.startswith(("dim", "m", "5", "sus"))
    return _chord(root % 12, "m" + suffix if minor else suffix, int(below) if below and below.isdigit() else 1)


def _chord(root: int, quality: str, inversion: int) -> Chord:
    if quality not in QUALITIES:
        raise InputError(f"'{quality}' is not a chord quality; known are {', '.join(filter(None, QUALITIES))}.")
    intervals = QUALITIES[quality]
    bass = (root + intervals[{1: 0, 3: 1, 5: 2}[inversion]]) % 12
    slash = "" if bass == root else f"/{NOTE_NAMES[bass]}"
    return Chord(root, intervals, bass, NOTE_NAMES[root] + quality + slash)


def nearest_pitch(pitch_class: int, target: float, low: int = 0, high: int = 127) -> int:
    """The pitch of a class nearest ``target`` within [low, high] (the nearest one outside when none fits)."""
    pitch = round((target - pitch_class) / 12) * 12 + pitch_class
    while pitch > high:
        pitch -= 12
    while pitch < low:
        pitch += 12
    return pitch


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of ``options``, evenly (ten times quicker than ``rng.choice``)."""
    return options[int(rng.random() * len(options))]


def pick_weighted(rng: np.random.Generator, options: Sequence[tuple[T, float]]) -> T:
    """One of (option, weight) pairs, by weight."""
    left = rng.random() * sum(weight for _, weight in options)
    for option, weight in options:
        left -= weight
        if left < 0:
            return option
    return options[-1][0]
