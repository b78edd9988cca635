"""Chord players: comping, strumming, arpeggios, left-hand figures and pads, each a style written as patterns."""

from dataclasses import dataclass

from toccata.corpus.harmony import Harmony, Span, voice_chord
from toccata.corpus.patterns import Hit, RawNote, loop_pattern
from toccata.corpus.theory import nearest_pitch

Patterns = dict[int, tuple[str, ...]]


@dataclass(frozen=True)
class ChordStyle:
    """How a chord part plays.

    Patterns (by the meter's numerator) use: C, c chord (full, soft); D, d, u strum (accent, down, up); B, F bass note
    and the fifth below; P, p power chord and its muted root; 0-9 a note of the voicing, counted upwards.
    ``ring`` lets notes sound on until the chord changes, at most that many beats; ``spread`` is the strum's time in
    seconds a string; ``centre`` moves the voicing from the middle of the instrument's part, in semitones.
    """

    patterns: Patterns
    voices: int = 3
    centre: int = 0
    ring: float = 0.0
    spread: float = 0.0
    short: float = 0.92


_ARPEGGIO = {
    4: ("0.1.2.3.2.1.2.1.", "0.2.1.2.3.2.1.2.", "0.1.2.3.4.3.2.1.", "0.2.4.3.2.3.4.2."),
    3: ("0.1.2.3.2.1.", "0.2.1.3.2.1.", "0.1.2.4.3.2."),
    6: ("012321", "021321", "012434"),
    12: ("012321012321", "012345432321"),
}
_FAST = {
    4: ("0123432101234321", "0121312101213121", "0213243502132435", "3210321032103210"),
    3: ("012343210123", "012321012321"),
    6: ("012343210121", "012123234321"),
    12: ("012343210121012343210121",),
}
STYLES: dict[str, ChordStyle] = {
    "block": ChordStyle({4: ("C---------------", "C-------C-------"), 3: ("C-----------",), 6: ("C--C--", "C-----"),
        12: ("C-----C-----",)}),
    "quarters": ChordStyle({4: ("C-..C-..C-..C-..", "C---c---C---c---"), 3: ("C---c---c---",), 6: ("C--c--",),
        12: ("C--c--C--c--",)}),
    "eighths": ChordStyle({4: ("CcCcCcCc", "C-cc-cC-"), 3: ("CcCcCc",), 6: ("CccCcc",), 12: ("CccCccCccCcc",)}),
    "pad": ChordStyle({4: ("C---------------",), 3: ("C-----------",), 6: ("C-----",), 12: ("C-----------",)},
        voices=4, short=1.0),
    "high pad": ChordStyle({4: ("C---------------",), 3: ("C-----------",), 6: ("C-----",), 12: ("C-----------",)},
        voices=3, centre=9, short=1.0),
    "swing comp": ChordStyle({4: ("C--c....", "...C--..", "C..c..C.|...c....", "..C..c..", ".C-...c.|C-......"),
        3: ("C..c..", "..C-..")}, voices=4),
    "bossa comp": ChordStyle({4: ("C...C..c..C.C...", "C.C..C..C.C..C..", "C...C.C...c.C...")}, voices=4),
    "bossa guitar": ChordStyle({4: ("B.C.C..CF.C.C...", "B...C..CF..C..C.", "B.C..C..F.C.C...")}, voices=4),
    "lazy comp": ChordStyle({4: ("C------.........", "C-----....c--...", "....C---....c---",
        "C---..c-........|C-----..........")}, voices=4, spread=0.012),
    "stabs": ChordStyle({4: ("...C..C....C..C.", "..C...C...C...C.", "C..C..C.....C...", ".......C..C.....")},
        voices=4, centre=4),
    "house stabs": ChordStyle({4: ("C..C..C...C..C..", "..C...C...C...C.", "C..C..C.C..C..C.", "C...........C..C")},
        voices=4, centre=3),
    "skank": ChordStyle({4: ("..C...C...C...C.", "..Cc..Cc..Cc..Cc")}, centre=5, short=0.7),
    "bubble": ChordStyle({4: (".cC..cC..cC..cC.",)}, short=0.7),
    "funk guitar": ChordStyle({4: ("C..c..C..cC..c..", "..c.C.c...c.C..c", "c.cC..cC..c.C.c.")}, centre=7, short=0.6),
    "strum": ChordStyle({4: ("D---d-u-d-u-d-u-", "D---d-u-.-u-d-u-", "D---d-u-d---d-u-", "D-------d-u-d-u-"),
        3: ("D---d-u-d-u-", "D---d---d-u-"),
                         6: ("D-ud-u", "D--d-u", "D-dd-d"), 12: ("D--d-uD--d-u", "D-ud-uD-ud-u")}, voices=5,
                             centre=-4, ring=2, spread=0.011),
    "boom chick": ChordStyle({4: ("B...C...F...C...", "B...C.u.F...C.u."), 3: ("B---C---C---", "B---C---C-u-"),
        6: ("B.CF.C",)}, voices=4, ring=1),
    "oompah": ChordStyle({4: ("..C...C...C...C.", "....C.......C..."), 3: ("....C...C...",), 6: ("..C..C",)},
        short=0.8),
    "waltz piano": ChordStyle({3: ("B---C---C---", "B---C---c---", "B-------C---"), 4: ("B---C---C---C---",),
        6: ("B-CC-C",)}, ring=0, short=0.9),
    "stride": ChordStyle({4: ("B-C-F-C-", "B-C-B-C-"), 3: ("B-C-C-",), 12: ("B--C--F--C--",)}, voices=3, short=0.8),
    "alberti": ChordStyle({4: ("0212021202120212", "0.2.1.2.0.2.1.2."), 3: ("0.2.1.2.1.2.", "021212021212"),
        6: ("021212", "012121")}, centre=-5, short=1.0),
    "left hand": ChordStyle({4: ("B.1.2.3.2.1.2.1.", "B.2.3.2.B.2.3.2.", "B-1-3-2-", "B.0.2.1.3.2.1.0."),
        3: ("B.1.2.3.2.1.", "B-1-2-"), 6: ("B12321", "B21321"),
                             12: ("B12321B12321",)}, centre=-7, ring=3),
    "broken": ChordStyle({4: ("B---C---F---C---", "B-------C---C---", "B---C---........|B---C-------C---"),
        3: ("B---C---C---",), 6: ("B--C--", "B-CB-C"),
                          12: ("B--C--B--C--",)}, ring=2),
    "rolled": ChordStyle({4: ("C---------------", "C-------C-------"), 3: ("C-----------",), 6: ("C-----",),
        12: ("C-----C-----",)}, voices=5, ring=4, spread=0.035),
    "arpeggio": ChordStyle(_ARPEGGIO, short=1.0),
    "ringing": ChordStyle(_ARPEGGIO, ring=2.5, spread=0.0),
    "low ringing": ChordStyle(_ARPEGGIO, centre=-9, ring=3),
    "fast arpeggio": ChordStyle(_FAST, short=0.85),
    "slow ringing": ChordStyle({4: ("0---2---3---2---", "0---1---2---3---", "0-----2-----3---", "0---2---4---3---"),
        3: ("0---2---3---", "0---1---2---"),
                                6: ("0-2-3-", "0--2-3"), 12: ("0--1--2--3--",)}, ring=4),
    "fingerpick": ChordStyle({4: ("B.2.F.3.B.2.F.3.", "B.2.1.3.F.2.1.2.", "B..2F.3.B.2.F.3.", "B.1.2.3.F.3.2.1."),
        3: ("B.2.3.2.3.2.", "B.1.2.3.2.1."),
                              6: ("B12321", "B23123"), 12: ("B12321F12321",)}, voices=4, centre=-3, ring=2),
    "banjo roll": ChordStyle({4: ("0213421302134213", "2.314.2321.34.23", "0142014201420142"), 6: ("021342",),
        3: ("021342021342",)}, voices=4, centre=3, short=0.9),
    "montuno": ChordStyle({4: ("0.C..C.C..C.C.C.", "C.0C.C.0C.C.0.C.", "0.2.3C.2.3C.2.3.")}, voices=4, centre=4,
        short=0.8),
    "tango": ChordStyle({4: ("C...C...C...C.c.", "C..C..C.C...C...", "C...c...C...c...")}, short=0.6),
    "power": ChordStyle({4: ("P-------P-------", "P-P-P-P-P-P-P-P-", "P-.P-.P-P-.P-.P-", "P---P-P-P---P-P-"),
        6: ("P-PP-P",), 3: ("P---P-P-P-P-",), 12: ("P--P--P--P--",)}),
    "chug": ChordStyle({4: ("PpppPpppPpppPppp", "P.ppP.ppP.ppP-P-", "P.ppPpppP.ppP-P-", "P--ppp.pP--ppp.p"),
        3: ("PpppPpppPppp",), 6: ("PppPpp",)}),
    "shuffle guitar": ChordStyle({4: ("CcCcCcCc", "B-B-C-C-", "C-.cC-.c"), 12: ("C-cC-cC-cC-c", "B--C--B--C--")},
        centre=-2, short=0.85),
    "hymn": ChordStyle({4: ("C---C---C---C---", "C-------C---C---"), 3: ("C---C---C---", "C-------C---"),
        6: ("C--C--",)}, voices=4, centre=-3, short=0.98),
    "ostinato": ChordStyle({4: ("0.0.1.0.2.0.1.0.", "02120212", "01210121", "0010020100100201"),
        3: ("020121020121", "0.2.1.2.1.2."), 6: ("021021", "012102"),
                            12: ("012012012012",)}, short=0.7),
    "tremolo": ChordStyle({4: ("C-------C-------",), 3: ("C-----------",), 6: ("C-----",), 12: ("C-----C-----",)},
        voices=3, short=1.0),
    "drone": ChordStyle({4: ("B---------------",), 3: ("B-----------",), 6: ("B-----",), 12: ("B-----------",)},
        short=1.0),
    "fanfare": ChordStyle({4: ("C---C-CCC-------", "C-------C---C-C-", "C-----C-C-------"),
        3: ("C---C-C-C---", "C-------C---"), 6: ("C--C-C", "C-----"),
                           12: ("C-----C--C--",)}, centre=2, short=0.9),
    "horn hits": ChordStyle({4: ("C.............C.|..C.............", "......C.C.......", "C-.C............",
        "..............C-|C.......C.C....."),
                             12: ("C.........C.", "..C........."), 3: ("C.......C.C.",)}, centre=5, short=0.8),
}  # fmt: skip
_LEVELS = {"C": 1.0, "c": 0.78, "D": 1.06, "d": 0.9, "u": 0.72, "B": 0.98, "F": 0.9, "P": 1.05, "p": 0.72}


def play_chords(
    harmony: Harmony, style: ChordStyle, pattern: str, first: float, bars: int, bar_beats: float,
    centre: float, low: int, high: int, seconds_per_beat: float,
) -> list[RawNote]:  # fmt: skip
    """A chord part over ``bars`` bars from beat ``first``, voiced near pitch ``centre`` within [low, high]."""
    notes: list[RawNote] = []
    voicing: tuple[int, ...] = ()
    current: Span | None = None
    end = first + bars * bar_beats
    sustained = set(pattern) <= set("CD-|.B") and pattern.count("C") + pattern.count("D") <= 2
    for hit in _cut_at_changes(list(loop_pattern(pattern, bar_beats, first, bars)), harmony, end, sustained):
        span = harmony.at(hit.start)
        if span is not current:
            voicing = _fit(voice_chord(span.chord, style.voices, centre + style.centre, voicing), low, high)
            current = span
        beats = hit.beats * style.short
        if style.ring:
            beats = max(beats, min(style.ring, span.end - hit.start, end - hit.start))
        notes += _sound(hit, beats, span, voicing, style, (low, high), seconds_per_beat)
    return notes


def _cut_at_changes(hits: list[Hit], harmony: Harmony, end: float, sustained: bool) -> list[Hit]:
    """End every sound where its chord ends; sustained styles sound again on the new chord."""
    cut: list[Hit] = []
    for hit in hits:
        start, stop = hit.start, hit.start + hit.beats
        while start < stop - 1e-6:
            edge = min(stop, harmony.at(start).end, end)
            cut.append(Hit(start, edge - start, hit.token))
            if not sustained or edge <= start:
                break
            start = edge
    return cut


def _fit(voicing: tuple[int, ...], low: int, high: int) -> tuple[int, ...]:
    shift = 0
    while voicing and min(voicing) + shift < low:
        shift += 12
    while voicing and max(voicing) + shift > high and min(voicing) + shift - 12 >= low:
        shift -= 12
    return tuple(sorted({min(p + shift, high) if p + shift <= high else p + shift - 12 for p in voicing}))


def _sound(
    hit: Hit,
    beats: float,
    span: Span,
    voicing: tuple[int, ...],
    style: ChordStyle,
    limits: tuple[int, int],
    seconds_per_beat: float,
) -> list[RawNote]:
    token, (low, high) = hit.token, limits
    level = _LEVELS.get(token, 0.92 if token == "0" else 0.84)
    if token in "BFPp":
        return [RawNote(hit.start, beats, pitch, level) for pitch in _low_pitches(token, span, voicing, low, high)]
    if token.isdigit():
        octave, index = divmod(int(token), len(voicing))
        pitch = voicing[index] + 12 * octave
        return [RawNote(hit.start, beats, pitch if pitch <= high else pitch - 12, level)]
    pitches = voicing[::-1][:3] if token == "u" else voicing
    step = style.spread / seconds_per_beat
    return [
        RawNote(hit.start + i * step, max(0.1, beats - i * step), pitch, level * (1 - 0.02 * i))
        for i, pitch in enumerate(pitches)
    ]


def _low_pitches(token: str, span: Span, voicing: tuple[int, ...], low: int, high: int) -> tuple[int, ...]:
    """Bass notes under a chord part, or a power chord in the guitar's low register."""
    if token in "Pp":
        root = nearest_pitch(span.chord.bass, low + 6, low, high)
        return (root,) if token == "p" else (root, root + 7, root + 12)
    if token == "F":
        fifth = next((s for s in span.chord.intervals if s in (6, 7, 8)), 7)
        return (nearest_pitch((span.chord.root + fifth) % 12, voicing[0] - 12, low, high),)
    return (nearest_pitch(span.chord.bass, voicing[0] - 10, low, max(low + 12, voicing[0] - 1)),)
