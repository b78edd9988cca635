"""Melodies: two-bar motifs repeated, varied and answered in phrases, and counter-melodies to them."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toccata.corpus.harmony import Harmony
from toccata.corpus.patterns import Hit, RawNote, read_pattern
from toccata.corpus.theory import MINOR_MODES, nearest_pitch, pick, pick_weighted, scale_classes

_PENTATONIC = {True: (0, 3, 5, 7, 10), False: (0, 2, 4, 7, 9)}
_BLUES = (0, 3, 5, 6, 7, 10)
COUNTERS = ("answer", "guide", "thirds")

# One bar of rhythm by the meter's numerator.
_PLAIN: dict[int, tuple[str, ...]] = {
    4: ("x-------", "x-----x-", "x---x---", "x---x-x-", "x-x-x---", "x--xx---", "x-x-x-x-", "x-x-x-xx", "x--xx-x-",
        "x-xxx---",
        "x---xxx-", "x-xxx-x-", "xxx-x---", "xxxxx-x-", "x-xxx-xx", "xxxxxxx-", "xxxxxxxx", "xxxxx---",
            "x-------x-x-x-x-",
        "x---xxx-x---x---", "x-xxx-x-x-x-x---", "xxxxx-x-xxxxx-x-", "x-x-xxx-x-x-xxx-", "xxxxxxxxxxxxx-x-"),
    3: ("x-----", "x---x-", "x-x-x-", "x--xx-", "x-xxx-", "x-xx--", "xxx-x-", "x-x---", "xxxxx-", "xxxxxx", "x---xx"),
    6: ("x-----", "x--x--", "x-xx--", "x-xx-x", "xxxx--", "x--xxx", "xxxx-x", "xxxxxx", "x-xxxx"),
    12: ("x-----x-----", "x-----x--x--", "x--x--x-----", "x-xx--x-x---", "x-xx-xx-----", "x-xx-xx-xx--",
        "xxxx--x-xx-x", "x--xxxx--x--",
         "xxxxxxxxxx--"),
}  # fmt: skip
_SYNCOPATED: dict[int, tuple[str, ...]] = {
    4: (
        "x--x----",
        "x--x--x-",
        "x-xx-x--",
        ".xx-x---",
        "x--x-xx-",
        "..x-x-xx",
        "..xxx-x-",
        "x-x-.xx-",
        "x-.xx-.x",
        "xx.x-x--",
        ".x.x-xx-",
        "xx-xx-x-",
        "x..x..x.x..x..x.",
        "x--x--x---x-x---",
        "..x-x-xxx--x----",
        "x-xx-xx-x-x-----",
        "x--x--x-x--x--x-",
    ),
    3: ("x--x--", ".xx-x-", "x-xx-x", "..x-xx", "x--xx-"),
    6: ("x-x-x-", ".xxx--", "x--.xx", "xx-xx-"),
    12: (".xxx--x-----", "x-xx-x--xx--", "..xx-xx-x---", "x--.xxx-xx--"),
}
_CADENCE: dict[int, tuple[str, ...]] = {
    4: ("x-------", "x---x-..", "x-x-x---", "x-xxx---", "x-----..", "x-x-x-.."),
    3: ("x-----", "x---..", "x-x---", "x-----"),
    6: ("x--x--", "x-xx--", "x----.", "xxxx-."),
    12: ("x-----x--...", "x-xx-x------", "x-----------"),
}
_PLANS = ("abac", "aabc", "abab", "aaac", "abcb")


_PICKUP: dict[int, tuple[str, ...]] = {
    4: ("x-----xx", "x---..xx", "x-----x-", "x---..x-", "x-------......xx"),
    3: ("x---xx", "x---x-", "x---.x"),
    6: ("x----x", "x---xx", "x--.xx"),
    12: ("x--------x-x", "x-----...x-x"),
}


@dataclass(frozen=True)
class MelodyStyle:
    """How a genre sings.

    ``rate`` is the wished notes a second (low, high), ``syncopation`` the share of syncopated bars, ``scale`` one of
    mode, pentatonic, blues; ``legato`` the sounding part of a note's length, ``leap`` how often it leaps.
    """

    rate: tuple[float, float] = (1.2, 2.4)
    syncopation: float = 0.3
    scale: str = "mode"
    legato: float = 0.9
    leap: float = 0.2


@dataclass(frozen=True)
class Cell:
    """A bar of melody: its rhythm, and for each onset the steps along the scale from the note before."""

    rhythm: str
    steps: tuple[int, ...]


Theme = tuple[Cell, ...]


def compose_theme(rng: np.random.Generator, style: MelodyStyle, numerator: int, rate: float) -> Theme:
    """Eight bars in two phrases: the second repeats the first and closes. ``rate`` is the wished onsets a bar."""
    plan = pick(rng, _PLANS)
    cells = {name: _cell(rng, style, numerator, rate) for name in "abc"}
    half = _rest_on(rng, style, (_PICKUP if rng.random() < 0.4 else _CADENCE)[numerator])
    close = _rest_on(rng, style, _CADENCE[numerator])
    opening = [cells[name] for name in plan[:3]]
    answer = list(opening)
    if rng.random() < 0.5:
        answer[2] = Cell(cells["b"].rhythm, _contour(rng, cells["b"].rhythm, style))
    return (*opening, half, *answer, close)


def _cell(rng: np.random.Generator, style: MelodyStyle, numerator: int, rate: float) -> Cell:
    table = (_SYNCOPATED if rng.random() < style.syncopation else _PLAIN)[numerator]
    weights = [(rhythm, 1 / (0.25 + (rhythm.count("x") - rate) ** 2)) for rhythm in table]
    rhythm = pick_weighted(rng, weights)
    return Cell(rhythm, _contour(rng, rhythm, style))


def _rest_on(rng: np.random.Generator, style: MelodyStyle, rhythms: tuple[str, ...]) -> Cell:
    rhythm = pick(rng, rhythms)
    return Cell(rhythm, _contour(rng, rhythm, style))


def embellish(rng: np.random.Generator, theme: Theme) -> Theme:
    """The theme as it returns: in some bars its first long note is divided by a neighbour note."""
    return tuple(_divide(cell, pick(rng, (-1, 1))) if rng.random() < 0.35 else cell for cell in theme)


def _divide(cell: Cell, step: int) -> Cell:
    at = cell.rhythm.find("x---")
    if at < 0:
        return cell
    index = cell.rhythm[:at].count("x") + 1
    after = (cell.steps[index] - step, *cell.steps[index + 1 :]) if index < len(cell.steps) else ()
    return Cell(cell.rhythm[:at] + "x-x-" + cell.rhythm[at + 4 :], (*cell.steps[:index], step, *after))


def _contour(rng: np.random.Generator, rhythm: str, style: MelodyStyle) -> tuple[int, ...]:
    """Mostly steps in one direction for a while; a leap turns round."""
    steps, direction = [], 1 if rng.random() < 0.5 else -1
    for _ in range(rhythm.count("x")):
        draw = rng.random()
        if draw < style.leap:
            steps.append(direction * (2 + int(rng.random() * 3)))
            direction = -direction
        elif draw < style.leap + 0.12:
            steps.append(0)
        else:
            steps.append(direction)
            direction = -direction if rng.random() < 0.3 else direction
    return tuple(steps)


def melodic_ladder(tonic: int, mode: str, scale: str, low: int, high: int) -> list[int]:
    """The pitches of a melodic scale (mode, pentatonic or blues) within [low, high]."""
    if scale == "mode":
        classes = set(scale_classes(tonic, mode))
    else:
        steps = _BLUES if scale == "blues" else _PENTATONIC[mode in MINOR_MODES]
        classes = {(tonic + step) % 12 for step in steps}
    return [pitch for pitch in range(low, high + 1) if pitch % 12 in classes]


def sing(
    theme: Theme, harmony: Harmony, ladder: list[int], first: float, bars: int, bar_beats: float, pulse: float,
    legato: float, last: int | None = None,
) -> list[RawNote]:  # fmt: skip
    """Perform a theme over ``bars`` bars from beat ``first``: chord tones where the pulse is strong, steps between.

    ``pulse`` is the felt beat in quarter notes, ``last`` the pitch to go on from. The section closes on a chord tone.
    """
    notes: list[RawNote] = []
    middle = (ladder[0] + ladder[-1]) / 2
    pitch = last if last is not None else int(middle)
    for bar in range(bars):
        cell = theme[bar % len(theme)] if bar < bars - 1 or bars < 3 else theme[-1]
        for i, hit in enumerate(read_pattern(cell.rhythm, bar_beats)):
            at = first + bar * bar_beats + hit.start
            step = cell.steps[i]
            if abs(pitch - middle) > 7 and (pitch > middle) == (step > 0):
                step = -step
            before, pitch = pitch, _move(ladder, pitch, step)
            if _is_strong(hit, pulse, bar_beats):
                pitch = _nearest_tone(harmony.at(at).chord.pitch_classes, pitch, ladder, before if step else None)
            else:
                pitch = _avoid_clash(harmony, at, pitch, ladder)
            level = 1.06 if hit.start == 0 else 1.0 if hit.start % pulse == 0 else 0.9
            notes.append(RawNote(at, hit.beats * legato, pitch, level))
    return notes


def _move(ladder: list[int], pitch: int, step: int) -> int:
    index = bisect_left(ladder, pitch) + step
    return ladder[max(0, min(index, len(ladder) - 1))]


def _is_strong(hit: Hit, pulse: float, bar_beats: float) -> bool:
    on_pulse = hit.start % pulse < 1e-6
    half = bar_beats / 2 if bar_beats % (2 * pulse) < 1e-6 else bar_beats
    return hit.start % half < 1e-6 or (on_pulse and hit.beats >= pulse) or hit.beats >= 2 * pulse


def _nearest_tone(classes: Sequence[int], pitch: int, ladder: list[int], leaving: int | None = None) -> int:
    """The chord tone nearest ``pitch`` on the ladder's reach, rather not the note that the line is ``leaving``."""
    tones = (nearest_pitch(c, pitch, ladder[0], ladder[-1]) for c in classes)
    return min(tones, key=lambda tone: abs(tone - pitch) + (3.5 if tone == leaving else 0))


def _avoid_clash(harmony: Harmony, at: float, pitch: int, ladder: list[int]) -> int:
    """Bend a scale note to an altered chord tone a semitone away (the leading tone over V7 in minor)."""
    classes = harmony.at(at).chord.pitch_classes[:4]
    if pitch % 12 in classes or not ladder[0] < pitch < ladder[-1]:
        return pitch
    for bend in (1, -1):
        if (pitch + bend) % 12 in classes[:1]:
            return pitch
    for bend in (1, -1):
        if (pitch + bend) % 12 in classes[1:2]:
            return pitch + bend
    return pitch


def play_counter(
    rng: np.random.Generator, kind: str, melody: list[RawNote], harmony: Harmony, ladder: list[int],
    first: float, bars: int, bar_beats: float,
) -> list[RawNote]:  # fmt: skip
    """A second voice of a kind in ``COUNTERS``: answers in the melody's gaps, slow guide tones, or thirds below."""
    if kind == "thirds" and melody:
        return _thirds(melody, ladder)
    if kind == "answer":
        return _answers(rng, harmony, ladder, first, bars, bar_beats)
    return _guide_tones(harmony, ladder, first, bars, bar_beats)


def _thirds(melody: list[RawNote], ladder: list[int]) -> list[RawNote]:
    notes = []
    for note in melody:
        index = bisect_left(ladder, note.pitch)
        below = ladder[max(0, min(index, len(ladder) - 1) - 2)]
        while below >= note.pitch:
            below -= 12
        notes.append(RawNote(note.start, note.beats, below if below >= ladder[0] else below + 12, note.level * 0.86))
    return notes


def _answers(
    rng: np.random.Generator, harmony: Harmony, ladder: list[int], first: float, bars: int, bar_beats: float
) -> list[RawNote]:
    """A short run of chord tones in the second half of every second or fourth bar."""
    every = pick(rng, (2, 4))
    count = pick(rng, (2, 3, 4))
    direction = pick(rng, (-1, 1))
    notes = []
    for bar in range(bars):
        if bar % every != every - 1 and bars > 1:
            continue
        start = first + (bar + 0.5) * bar_beats
        pitch = ladder[len(ladder) // 2]
        for i in range(count):
            at = start + i * bar_beats / 8
            pitch = _nearest_tone(
                harmony.at(at).chord.pitch_classes, _move(ladder, pitch, 2 * direction if i else 0), ladder
            )
            notes.append(RawNote(at, bar_beats / (8 if i < count - 1 else 4), pitch, 0.86))
    return notes


def _guide_tones(harmony: Harmony, ladder: list[int], first: float, bars: int, bar_beats: float) -> list[RawNote]:
    end = first + bars * bar_beats
    pitch = ladder[len(ladder) // 2]
    notes = []
    for span in harmony.spans:
        start, stop = max(span.start, first), min(span.end, end)
        while start < stop - 1e-6:
            beats = min(bar_beats, stop - start)
            pitch = _nearest_tone(span.chord.pitch_classes[1:], pitch, ladder)
            notes.append(RawNote(start, beats * 0.97, pitch, 0.84))
            start += beats
    return notes
