"""Rhythm written as text: one character a step, ``-`` holds the last sound, ``.`` rests.

A bar's length alone sets its step: sixteen characters over four beats are sixteenths. ``|`` divides bars.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple


class Hit(NamedTuple):
    """A token of a pattern: onset and length in beats from the pattern's start."""

    start: float
    beats: float
    token: str


class RawNote(NamedTuple):
    """A note before it is played: exact time in beats, MIDI pitch, and a loudness of about 0.3-1.2."""

    start: float
    beats: float
    pitch: int
    level: float


@lru_cache(maxsize=4096)
def read_pattern(pattern: str, beats: float) -> tuple[Hit, ...]:
    """The hits of one bar laid over ``beats`` quarter notes."""
    step = beats / len(pattern)
    hits: list[Hit] = []
    for i, token in enumerate(pattern):
        if token == "-" and hits:
            last = hits[-1]
            hits[-1] = Hit(last.start, (i + 1) * step - last.start, last.token)
        elif token not in ".-":
            hits.append(Hit(i * step, step, token))
    return tuple(hits)


def loop_pattern(pattern: str, bar_beats: float, first: float, bars: int) -> Iterator[Hit]:
    """Repeat a pattern, whose bars are divided by ``|``, over ``bars`` bars from beat ``first`` on, cut at the end."""
    parts = pattern.split("|")
    for bar in range(bars):
        offset = first + bar * bar_beats
        for hit in read_pattern(parts[bar % len(parts)], bar_beats):
            yield Hit(offset + hit.start, hit.beats, hit.token)
