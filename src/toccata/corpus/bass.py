"""The bass player: styles as patterns of chord degrees, and a walking line."""

import numpy as np

from toccata.corpus.harmony import Harmony, Span
from toccata.corpus.patterns import RawNote, loop_pattern
from toccata.corpus.theory import nearest_pitch, pick

# R root, 3 third, 5 fifth, 7 seventh (or octave), 8 octave, a approach to the next root, g ghosted root.
# By the meter's numerator; each tuple offers variants.
PATTERNS: dict[str, dict[int, tuple[str, ...]]] = {
    "whole notes": {4: ("R---------------",), 3: ("R-----------",), 6: ("R-----",), 12: ("R-----R-----",)},
    "root": {4: ("R-------R-------", "R-----R-R-------", "R-------R-----a-"), 3: ("R-------5---", "R-----------"),
        6: ("R--R-.", "R--5-."),
             12: ("R----RR-----", "R--R--R--R--")},
    "root fifth": {4: ("R------.5------.", "R------.5-----a.", "R-..R-..5-..5-.."), 3: ("R-------....",),
        6: ("R-.5-.",), 12: ("R--5--R--5--",)},
    "eighths": {4: ("R.R.R.R.R.R.R.R.", "R-R-R-R-R-R-R-a-", "R-R-R-R-8-R-R-R-"), 3: ("R.R.R.R.R.R.", "R-R-R-R-R-a-"),
        6: ("RRRRRR",),
                12: ("R-RR-RR-RR-R",)},
    "octaves": {4: ("R.8.R.8.R.8.R.8.", "R-..8-R.R-..8-R.")},
    "offbeat": {4: ("..R-..R-..R-..R-", "..R-..R-..8-..R-")},
    "sixteenths": {4: (".RRR.RRR.RRR.RRR", "RRRRRRRRRRRRRRRR", ".R8R.R8R.R8R.R8R")},
    "boom bap": {4: ("R-----..R-..5-..", "R---...R--8-5-..", "R-....R-..R-7-5-", "R-----R.....a-..")},
    "bossa": {4: ("R-------5-----R-", "R-----..5-......", "R---..5-R---5---")},
    "tumbao": {4: ("R-....5-....8-..", "R-....5-----8-.." )},
    "reggae": {4: ("R---..R-3-5-....", "..R-R-..5---R-..", "R-..R-5-....3-R-", "R-.R-.5-R-....5-")},
    "funk": {4: ("R..gR.8...7.R.5.", "R.g.R..8..5.7.8.", "R...8.R...R.5.7.", "R.gR..R.8.7.5.R.")},
    "riff": {4: ("R.RR.R..R.RR.3.5", "R..R..R.R..R..5.", "R.RRR.RRR.RRR.35")},
    "sub": {4: ("R-------R---....", "R---------......", "R-------..R-....")},
    "waltz": {3: ("R---........", "R-------....")},
    "march": {4: ("R-..5-..R-..5-..", "R-..5-..R-..3-5-"), 6: ("R-.5-.",), 3: ("R-..5-..5-..",)},
    "two beat": {4: ("R-....5-R-....5-", "R-..R-..5-..5-..", "R-......5-......")},
    "habanera": {4: ("R--.R-..R--.R-..", "R----.5-R---5---")},
    "pedal": {4: ("R---------------",), 3: ("R-----------",), 6: ("R-----",), 12: ("R-----------",)},
    "shuffle": {4: ("R-R-5-5-", "R-3-5-6-", "R-R57-75"), 12: ("R-R5-R8-R5-R", "R--3--5--3--")},
    "drum and bass": {4: ("R-------R---R---", "R---..R-R---5---")},
}  # fmt: skip
STYLES = (*PATTERNS, "walking")
_SHORT = 0.85


def play_bass(
    rng: np.random.Generator,
    harmony: Harmony,
    pattern: str,
    first: float,
    bars: int,
    bar_beats: float,
    low: int,
    high: int,
) -> list[RawNote]:
    """A bass line over ``bars`` bars from beat ``first``; ``pattern`` is one of ``PATTERNS``' strings or ``"walking"``.

    Every chord change is met by the chord's bass note, within [low, high].
    """
    if pattern == "walking":
        return _walk(rng, harmony, first, bars, bar_beats, low, high)
    notes: list[RawNote] = []
    for hit in loop_pattern(pattern, bar_beats, first, bars):
        here, beats = harmony.at(hit.start), hit.beats
        root = _root(here, low, high)
        on_change = abs(hit.start - here.start) < 1e-6
        token = "R" if on_change and hit.token in "3578a" else hit.token
        beats = min(beats, here.end - hit.start)
        pitch = here.chord.bass if token in "Rg" else None
        pitch = root if pitch is not None else _degree(token, here, harmony.after(hit.start), root, low, high)
        level = 0.5 if token == "g" else 1.06 if on_change else 0.94
        notes.append(RawNote(hit.start, beats * (_SHORT if beats > 0.3 else 0.95), pitch, level))
    return _meet_changes(notes, harmony, first, first + bars * bar_beats, low, high)


def _root(span: Span, low: int, high: int) -> int:
    return nearest_pitch(span.chord.bass, low + 8, low, high)


def _degree(token: str, here: Span, there: Span, root: int, low: int, high: int) -> int:
    if token == "a":
        target = _root(there, low, high)
        return target - 1 if target > low else target + 2
    steps = here.chord.intervals
    interval = {"3": steps[1] if len(steps) > 2 else 7, "5": next((s for s in steps if s in (6, 7, 8)), 7),
                "6": 9, "7": steps[3] if len(steps) > 3 and steps[3] < 12 else 12, "8": 12}[token]  # fmt: skip
    pitch_class = (here.chord.root + interval) % 12 if token != "8" else root % 12
    return nearest_pitch(pitch_class, root + interval if root + interval <= high else root - 12 + interval, low, high)


def _meet_changes(
    notes: list[RawNote], harmony: Harmony, first: float, end: float, low: int, high: int
) -> list[RawNote]:
    """Sound the bass note where a chord arrives in the middle of a bar and the pattern was silent or holding."""
    onsets = {round(note.start, 4) for note in notes}
    starts = sorted(onsets)
    for span in harmony.spans:
        missing = first - 1e-6 <= span.start < end - 1e-6 and round(span.start, 4) not in onsets
        if missing:
            until = next((s for s in starts if s > span.start), end)
            notes.append(RawNote(span.start, min(until, span.end) - span.start, _root(span, low, high), 1.0))
    return notes


def _walk(
    rng: np.random.Generator, harmony: Harmony, first: float, bars: int, bar_beats: float, low: int, high: int
) -> list[RawNote]:
    """Quarter notes: the root on each change, chord tones and steps between, a semitone or fifth into the next root."""
    notes: list[RawNote] = []
    last = low + 9
    for i in range(round(bars * bar_beats)):
        beat = first + i
        here, there = harmony.at(beat), harmony.after(beat)
        inside = round(beat - here.start)
        left = round(here.end - beat)
        if inside == 0:
            pitch = nearest_pitch(here.chord.bass, (last + low + 9) / 2, low, high)
        elif left == 1 and there is not here:
            target = nearest_pitch(there.chord.bass, last, low, high)
            pitch = target + pick(rng, (-1, 1, -2, 7 if target + 7 <= high else -1))
        else:
            tones = here.chord.intervals[1:3] if inside % 2 else here.chord.intervals[:3]
            pitch = nearest_pitch((here.chord.root + pick(rng, tones)) % 12, last + pick(rng, (-2, 3)), low, high)
        last = min(max(pitch, low), high)
        notes.append(RawNote(beat, 0.9, last, 1.04 if inside == 0 else 0.95))
    return notes
