"""The drummer: grooves, fills and crashes on the General MIDI drum keys."""

from dataclasses import dataclass

import numpy as np

from toccata.corpus.form import FormSection
from toccata.corpus.patterns import RawNote, loop_pattern, read_pattern
from toccata.corpus.theory import pick

KEYS = {
    "kick": 36, "snare": 38, "stick": 37, "clap": 39, "hat": 42, "pedal": 44, "open": 46, "ride": 51, "bell": 53,
    "crash": 49, "splash": 55, "tom1": 50, "tom2": 47, "tom3": 43, "tambourine": 54, "cowbell": 56, "bongo": 60,
    "low bongo": 61, "conga": 63, "mute conga": 62, "low conga": 64, "timbale": 65, "cabasa": 69, "maracas": 70,
    "clave": 75, "block": 76, "low block": 77, "shaker": 82, "triangle": 81, "agogo": 67, "low agogo": 68,
}  # fmt: skip
LEVELS = {"X": 1.1, "x": 0.92, "o": 0.72, "g": 0.42}
_VOICE_LEVEL = {"hat": 0.74, "ride": 0.74, "open": 0.78, "pedal": 0.6, "shaker": 0.7, "cabasa": 0.66, "maracas": 0.66,
                "tambourine": 0.7, "triangle": 0.6, "clave": 0.8, "stick": 0.9, "block": 0.75,
                    "low block": 0.75}  # fmt: skip

Groove = dict[str, str]

# Each groove: by the meter's numerator, the patterns for calm (first) and lively (last) sections.
GROOVES: dict[str, dict[int, tuple[Groove, ...]]] = {
    "boom bap": {4: (
        {"kick": "X......x..x.....|X......x..xx....", "snare": "....X.......X..g", "hat": "x.o.x.o.x.o.x.o."},
        {"kick": "X.x.......x..x..|X.x....x..x.....", "snare": "....X..g.g..X...", "hat": "x.o.x.o.x.o.x.oo"},
        {"kick": "X..x......x.....|X..x...x..x.....", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x.",
            "open": "..............o."},
    )},
    "swing": {
        4: ({"ride": "X.XgX.Xg", "pedal": "..x...x.", "kick": "o...o..."},
            {"ride": "X.XoX.Xo", "pedal": "..x...x.", "kick": "o...o...", "snare": "...g...g|.g....o."}),
        3: ({"ride": "x.xox.", "pedal": "..x...", "kick": "o.....", "snare": ".....g"},),
    },
    "brushes": {
        4: ({"snare": "g.o.g.o.g.o.g.o.", "pedal": "....x.......x...", "kick": "o.......o......."},
            {"ride": "x...x..ox...x..o", "pedal": "....x.......x...", "snare": "g.......g.....g.",
                "kick": "o.......g......."}),
        3: ({"snare": "g.o.g.o.g.o.", "pedal": "....x...x...", "kick": "x..........."},),
    },
    "bossa": {4: (
        {"kick": "X...o...X...o...", "stick": "o..o..o...o..o..", "hat": "X.o.x.o.X.o.x.o."},
        {"kick": "X...o..oX...o..o", "stick": "..o.o..o..o..o..", "hat": "X.o.X.o.X.o.X.o.",
            "shaker": "XoooXoooXoooXooo"},
    )},
    "shuffle": {
        4: ({"kick": "X...x...", "snare": "..X...X.", "hat": "xoxoxoxo"},
            {"kick": "X..xX...", "snare": ".gX..gXg", "ride": "xoxoxoxo"}),
        12: ({"kick": "X....xX.....", "snare": "...X.....X..", "hat": "xooxooxooxoo"},
             {"kick": "X.....X..x..", "snare": "...X.....X.g", "ride": "xooxooxooxoo"}),
    },
    "rock": {
        4: ({"kick": "X.......X.x.....", "snare": "....X.......X...", "hat": "X.o.x.o.X.o.x.o."},
            {"kick": "X.....x.X.......", "snare": "....X.......X...", "hat": "X.o.x.o.X.o.x.o."},
            {"kick": "X.x.....X.x.....", "snare": "....X.......X..g", "ride": "X.o.x.o.X.o.x.o."},
            {"kick": "X......xX.x.....", "snare": "....X.......X...", "open": "X...x...X...x..."}),
        6: ({"kick": "X....x", "snare": "...X..", "hat": "xooxoo"},
            {"kick": "X.x...", "snare": "...X..", "ride": "xooxoo"}),
        12: ({"kick": "X....xX.....", "snare": "...X.....X..", "hat": "xooxooxooxoo"},),
        3: ({"kick": "X.....x.....", "snare": "....X...X...", "hat": "x.o.x.o.x.o."},),
    },
    "metal": {4: (
        {"kick": "X.XXX.XXX.XXX.XX", "snare": "....X.......X...", "open": "X...X...X...X..."},
        {"kick": "XxxxXxxxXxxxXxxx", "snare": "....X.......X...", "ride": "X...X...X...X..."},
        {"kick": "X.xxX.x.X.xxX.xx", "snare": "....X.......X...", "open": "X.x.X.x.X.x.X.x."},
    )},
    "half time": {4: (
        {"kick": "X.....x.........", "snare": "........X.......", "hat": "x.o.x.o.x.o.x.o."},
        {"kick": "X..x......x.....", "snare": "........X.......", "ride": "x...x...x...x..."},
    )},
    "pop": {
        4: ({"kick": "X.......X.......", "snare": "....X.......X...", "hat": "x.o.x.o.x.o.x.o."},
            {"kick": "X.....x.X.......", "snare": "....X.......X...", "clap": "....x.......x...",
                "hat": "xoxoxoxoxoxoxoxo"},
            {"kick": "X..x....X.x.....", "snare": "....X.......X...", "hat": "x.o.x.o.x.o.x.o.",
                "tambourine": "....x.......x..."}),
        6: ({"kick": "X.....", "snare": "...X..", "hat": "xooxoo"},),
        12: ({"kick": "X.....X.....", "snare": "...X.....X..", "hat": "xooxooxooxoo"},),
        3: ({"kick": "X...........", "snare": "....o...x...", "hat": "x.o.x.o.x.o."},),
    },
    "funk": {4: (
        {"kick": "X..x..x...x..x..", "snare": "....X..g.g..X..g", "hat": "xoxoxoxoxoxoxoxo"},
        {"kick": "X.x.....x.x..x..", "snare": "....X..g.g.gX...", "hat": "x.xox.xox.xox.x.",
            "open": "..............x."},
        {"kick": "X..x....X.x.....", "snare": "....X..g....X.g.", "hat": "xoxoxoxoxoxoxoxo",
            "cowbell": "x...x...x...x..."},
    )},
    "one drop": {4: (
        {"kick": "........X.......", "stick": "........X.......", "hat": "x.o.x.o.x.o.x.oo"},
        {"kick": "X...x...X...x...", "stick": "........X.....g.", "hat": "x.o.x.o.x.o.x.o."},
        {"kick": "X.......X.......", "snare": "........X.......", "hat": "..x...x...x...x."},
    )},
    "house": {4: (
        {"kick": "X...X...X...X...", "hat": "..x...x...x...x."},
        {"kick": "X...X...X...X...", "clap": "....X.......X...", "open": "..x...x...x...x.",
            "shaker": "oxoooxoooxoooxoo"},
        {"kick": "X...X...X...X...", "clap": "....X.......X...", "hat": "oo.ooo.ooo.ooo.o",
            "open": "..x...x...x...x."},
    )},
    "techno": {4: (
        {"kick": "X...X...X...X...", "hat": "..x...x...x...x."},
        {"kick": "X...X...X...X...", "hat": "o.x.o.x.o.x.o.xo", "clap": "....x.......x...",
            "low block": "......o.......o."},
        {"kick": "X...X...X...X...", "open": "..x...x...x...x.", "hat": "xoooxoooxoooxooo",
            "clap": "....x.......x..."},
    )},
    "electro": {4: (
        {"kick": "X...X...X...X...", "snare": "....X.......X...", "hat": "x.o.x.o.x.o.x.o."},
        {"kick": "X...X...X...X...", "snare": "....X.......X...", "hat": "oooooooooooooooo",
            "open": "..x...x...x...x."},
        {"kick": "X.......X.......", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
    )},
    "trap": {4: (
        {"kick": "X.......o.x.....", "snare": "........X.......", "hat": "X.o.X.o.X.o.X.o."},
        {"kick": "X...x.....x.x...", "clap": "........X.......", "hat": "X.o.X.ooX.o.Xooo"},
    )},
    "breakbeat": {4: (
        {"kick": "X.x.....X.......", "snare": "....X.......X..g", "hat": "X.g.X.g.X.g.X.g."},
        {"kick": "X.......x.o.....", "snare": "....X.......X...", "ride": "X...X...X...X...",
         "hat": "..o...o...o...o."},
    )},
    "country": {4: (
        {"kick": "X.......X.......", "snare": "....x.......x...", "hat": "x.o.x.o.x.o.x.o."},
        {"kick": "X.......X.......", "snare": "g.ggX.ggg.ggX.gg"},
    ), 3: ({"kick": "X...........", "snare": "....o...o...", "hat": "x.o.x.o.x.o."},)},
    "salsa": {4: (
        {"conga": "x.......x.....xx", "mute conga": "..x.x.x...x.x...", "clave": "x..x..x...x.x...",
            "cowbell": "x...x...x...x...",
         "kick": "x.....x.x.....x."},
        {"conga": "......xx......xx", "mute conga": "x.x.x...x.x.x...", "timbale": "x.xxx.xxx.x.x.xx",
            "cowbell": "x.x.x.x.x.x.x.x.",
         "clave": "..x.x...x..x..x.", "kick": "x.....x.x.....x."},
    )},
    "calypso": {4: (
        {"kick": "X...x...X...x...", "snare": "...o..x....o..x.", "maracas": "XoooXoooXoooXooo",
            "cowbell": "X...x...X...x..."},
        {"kick": "X...x...X...x...", "snare": "..oox.o...oox.oo", "maracas": "X.o.X.o.X.o.X.o.",
            "open": "..o...o...o...o."},
    )},
    "tango": {4: ({"kick": "X..o..x.X...x...", "stick": "x...x...x...x.oo"},)},
    "march": {4: (
        {"kick": "X.......X.......", "snare": "X.ooX.ooX.ooX.o."},
        {"kick": "X...x...X...x...", "snare": "x.xxx.oox.xxx.x.", "pedal": "....x.......x..."},
    ), 6: ({"kick": "X..x..", "snare": "x.xx.x"}, {"kick": "X..x..", "snare": "xooxox"})},
    "waltz": {3: (
        {"kick": "X...........", "hat": "....x...x..."},
        {"kick": "X...........", "snare": "....o...o...", "triangle": "........x..."},
        {"kick": "X...........", "tambourine": "....x...x..."},
    )},
    "celtic": {
        4: ({"kick": "X.......X.......", "low bongo": "x.ooxoo.x.ooxoox", "tambourine": "....x.......x..."},),
        6: ({"kick": "X..o..", "low bongo": "x.oxoo", "tambourine": "...x.."},
            {"kick": "X..X..", "low bongo": "xooxoo", "tambourine": "x..x.."}),
    },
    "epic": {
        4: ({"kick": "X.....x.X.x.....", "tom3": "X..x..x.X..x..x.", "snare": "............xooo"},
            {"kick": "X...X...X...X...", "tom3": "X.xxX.xxX.xxX.xx", "tom2": "......x.......x.",
                "snare": "....X.......X..."}),
        3: ({"kick": "X...........", "tom3": "X...x.x.x...", "snare": "........x.oo"},),
        6: ({"kick": "X..x..", "tom3": "XooXoo"},),
    },
    "light percussion": {
        4: ({"shaker": "x.o.x.o.x.o.x.o.", "kick": "x.......x......."},
            {"shaker": "xoooxoooxoooxooo", "kick": "x.......x.......", "tambourine": "....x.......x..."}),
        3: ({"shaker": "x.o.x.o.x.o.", "kick": "x..........."},),
        6: ({"shaker": "xooxoo", "kick": "x....."},),
    },
    "hand drums": {4: (
        {"conga": "x..x..x.....x.x.", "low conga": "........x.......", "shaker": "x.o.x.o.x.o.x.o."},
        {"bongo": "x.oox.oox.oox.oo", "low bongo": "......x.......x.", "low conga": "x.......x.......",
            "maracas": "x.x.x.x.x.x.x.x."},
    )},
}  # fmt: skip

# Fills over the last two beats (or the last half of a compound bar); {} plays the groove through.
_FILLS: dict[str, tuple[Groove, ...]] = {
    "loud": (
        {"snare": "xxxx....", "tom1": "....xx..", "tom3": "......Xx", "kick": "x......."},
        {"tom1": "xxx.....", "tom2": "...xxx..", "tom3": "......XX"}, {"snare": "..x.xxXX", "kick": "x..x...."},
        {"snare": "x.xxx.XX"}, {"tom2": "x.x.....", "tom3": "....x.x.", "snare": "X.......", "kick": "..x...x."},
    ),
    "soft": ({"snare": "....o.ox"}, {"stick": "....x.x."}, {"snare": "..g.o.x."},
        {"tom2": "....o.o.", "tom3": ".....o.o"}),
    "hand": ({"bongo": "xxx.x...", "low bongo": "...x.xxx"}, {"conga": "..xx....", "low conga": "....x.xx"},
        {"timbale": "x.xxx.xX"}),
    "machine": ({"clap": "....x.xx"}, {"snare": "xxxxXXXX"}, {"snare": "x...x.xX", "kick": "x......."}),
    "none": ({},),
}  # fmt: skip


@dataclass(frozen=True)
class DrumStyle:
    """What a drummer keeps to: a groove, a kind of fill, and whether crashes mark sections."""

    groove: str
    fill: str = "soft"
    crash: bool = True


def play_drums(
    rng: np.random.Generator, style: DrumStyle, form: tuple[FormSection, ...], numerator: int, bar_beats: float
) -> list[RawNote]:
    """The drum part of a whole form: a groove a letter, fills at section ends, a last hit on the ending."""
    grooves = GROOVES[style.groove][numerator]
    first = int(rng.random() * max(1, len(grooves) - 1))
    chosen = {"A": grooves[first], "B": grooves[-1], "C": grooves[first]}
    notes: list[RawNote] = []
    for i, section in enumerate(form):
        start = section.bar * bar_beats
        if section.name == "ending":
            notes += [RawNote(start, 1.0, KEYS["kick"], 1.0), *([_crash(start, 1.0)] if style.crash else [])]
            continue
        fill = pick(rng, _FILLS[style.fill]) if section.bars > 1 or i else {}
        end = start + section.bars * bar_beats
        cut = end - bar_beats / 2 if fill else end
        notes += _groove(chosen[section.letter], section, bar_beats, cut)
        notes += _fill(fill, cut, bar_beats / 2) if fill else []
        if style.crash and i and section.letter != "C":
            notes.append(_crash(start, 0.9))
    return notes


def _groove(groove: Groove, section: FormSection, bar_beats: float, cut: float) -> list[RawNote]:
    notes = []
    for voice, pattern in groove.items():
        gain = _VOICE_LEVEL.get(voice, 1.0) * section.energy
        for hit in loop_pattern(pattern, bar_beats, section.bar * bar_beats, section.bars):
            if hit.start < cut - 1e-6:
                notes.append(RawNote(hit.start, 0.25, KEYS[voice], LEVELS[hit.token] * gain))
    return notes


def _fill(fill: Groove, start: float, beats: float) -> list[RawNote]:
    return [
        RawNote(start + hit.start, 0.25, KEYS[voice], LEVELS[hit.token])
        for voice, pattern in fill.items()
        for hit in read_pattern(pattern, beats)
    ]


def _crash(start: float, level: float) -> RawNote:
    return RawNote(start, 1.5, KEYS["crash"], level)
