"""Four-part chorales as written: read from MusicXML, sung or played by four of a kind."""

import io
import zipfile
import zlib
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from toccata.corpus.instruments import INSTRUMENTS
from toccata.corpus.keyfinding import find_key
from toccata.corpus.moods import measure, moods_of
from toccata.corpus.patterns import RawNote
from toccata.corpus.performance import perform
from toccata.corpus.score import Score, Section, Track
from toccata.corpus.theory import pick
from toccata.errors import InputError

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_MODES = ("major", "minor", "dorian", "mixolydian")
_ROLES = ("melody", "counter", "counter", "bass")
_LEVELS = (1.0, 0.88, 0.88, 0.96)
_LEGATO = 0.97


class _Choir(NamedTuple):
    """Who takes the four parts, soprano first, and by how many semitones all of them are moved."""

    voices: tuple[str, str, str, str]
    move: int = 0
    loudness: int = 84


_CHOIRS = (
    _Choir(("choir", "choir", "choir", "choir"), 5),
    _Choir(("choir", "choir", "choir", "choir"), 5),
    _Choir(("church organ", "church organ", "church organ", "church organ"), loudness=80),
    _Choir(("violin", "violin", "viola", "cello")),
    _Choir(("string ensemble", "string ensemble", "string ensemble", "string ensemble"), loudness=80),
    _Choir(("trumpet", "trumpet", "trombone", "tuba"), loudness=90),
    _Choir(("trumpet", "french horn", "trombone", "tuba"), loudness=88),
    _Choir(("recorder", "recorder", "recorder", "recorder"), 24, 76),
    _Choir(("recorder", "recorder", "recorder", "clarinet"), 12, 76),
    _Choir(("oboe", "english horn", "clarinet", "bassoon"), loudness=80),
    _Choir(("flute", "clarinet", "clarinet", "bassoon"), loudness=80),
    _Choir(("soprano sax", "alto sax", "tenor sax", "baritone sax")),
    _Choir(("piano", "piano", "piano", "piano"), loudness=76),
)


@dataclass(frozen=True)
class Chorale:
    """Four voices, soprano first, in quarter-note beats from the first full bar.

    ``written`` is the (tonic, mode) that its key signature gives, where it says a mode.
    """

    title: str
    meter: tuple[int, int]
    voices: tuple[tuple[RawNote, ...], ...]
    bars: int
    written: tuple[int, str] | None

    @property
    def bar_beats(self) -> float:
        return self.meter[0] * 4 / self.meter[1]


def read_chorale(data: bytes, title: str) -> Chorale:
    """Read a compressed MusicXML file. Raises InputError for other files and for music that isn't in four parts."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            name = next(n for n in archive.namelist() if not n.startswith("META-INF"))
            root = ElementTree.fromstring(archive.read(name))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, StopIteration, ElementTree.ParseError):
        raise InputError(f"'{title}' is not a compressed MusicXML file.") from None
    parts = root.findall("part")
    if len(parts) != 4:
        raise InputError(f"'{title}' has {len(parts)} parts; a chorale has four.")
    try:
        read = [_read_part(part) for part in parts]
        written = _written_key(root)
    except (IndexError, KeyError, TypeError, ValueError, ZeroDivisionError):
        raise InputError(f"'{title}' is not written as MusicXML asks.") from None
    meters = {part.meter for part in read}
    if len(meters) != 1 or not meters <= {(4, 4), (3, 4)} or len({part.bars for part in read}) != 1:
        raise InputError(f"The four parts of '{title}' are not all in one meter of 4/4 or 3/4.")
    voices = tuple(tuple(note for note in part.notes if note.start >= 0) for part in read)
    if read[0].bars < 4 or not all(voices):
        raise InputError(f"'{title}' is too short for a chorale.")
    return Chorale(title, read[0].meter, voices, read[0].bars, written)


class _Part(NamedTuple):
    notes: list[RawNote]
    meter: tuple[int, int]
    bars: int


def _written_key(root: ElementTree.Element) -> tuple[int, str] | None:
    fifths, mode = root.findtext(".//key/fifths", ""), root.findtext(".//key/mode", "")
    if mode not in ("major", "minor"):
        return None
    return (int(fifths) * 7 + (9 if mode == "minor" else 0)) % 12, mode


def _read_part(part: ElementTree.Element) -> _Part:
    """One voice. Repeats are played once; a first bar that isn't full counts as an upbeat, before beat 0."""
    notes: list[RawNote] = []
    divisions, meter, at = 1, (0, 0), 0.0
    starts: list[float] = []
    for bar in part.findall("measure"):
        starts.append(at)
        for item in bar:
            if item.tag == "attributes":
                divisions = int(item.findtext("divisions", str(divisions)))
                if item.find("time") is not None:
                    found = (int(item.findtext("time/beats", "")), int(item.findtext("time/beat-type", "")))
                    if meter not in ((0, 0), found):
                        raise ValueError
                    meter = found
            elif item.tag in ("backup", "forward"):
                raise ValueError
            elif item.tag == "note" and item.find("grace") is None and item.find("chord") is None:
                beats = int(item.findtext("duration", "")) / divisions
                _add(notes, item, at, beats)
                at += beats
    return _from_first_bar(notes, meter, [*starts, at])


def _add(notes: list[RawNote], item: ElementTree.Element, at: float, beats: float) -> None:
    """Take up a note; a tie's second half lengthens the first."""
    if item.find("rest") is not None:
        return
    pitch = 12 * (int(item.findtext("pitch/octave", "")) + 1) + _STEPS[item.findtext("pitch/step", "")]
    pitch += round(float(item.findtext("pitch/alter", "0")))
    tied = any(tie.get("type") == "stop" for tie in item.findall("tie"))
    if tied and notes and notes[-1].pitch == pitch:
        notes[-1] = notes[-1]._replace(beats=notes[-1].beats + beats)
    else:
        notes.append(RawNote(at, beats, pitch, 1.0))


def _from_first_bar(notes: list[RawNote], meter: tuple[int, int], starts: list[float]) -> _Part:
    """Count from the first full bar on. Bars that a repeat sign divides must add up again."""
    bar_beats = meter[0] * 4 / meter[1]
    upbeat = starts[1] if starts[1] < bar_beats - 1e-6 else 0.0
    bars = ceil((starts[-1] - upbeat) / bar_beats - 1e-6)
    moved = [note._replace(start=note.start - upbeat) for note in notes]
    return _Part(moved, meter, bars)


def set_chorale(rng: np.random.Generator, chorale: Chorale, seconds: float) -> Score:
    """Play a chorale, in a random key and by a random group, for about ``seconds`` (to the nearest bar).

    A longer one sings another verse; a shorter one takes the last phrases, so that it closes where the chorale does.
    """
    tempo = float(round(rng.uniform(60, 98)))
    bars = max(2, round(seconds * tempo / 60 / chorale.bar_beats))
    choir, move = _choose_choir(rng, chorale)
    voices = [_last_bars(voice, chorale, bars) for voice in chorale.voices]
    beats = bars * chorale.bar_beats
    tracks = tuple(
        Track(name, role, perform(rng, _shaped(voice, level, move), choir.loudness, 0.006, 60 / tempo, beats, (0.5, 1)))
        for name, role, level, voice in zip(choir.voices, _ROLES, _LEVELS, voices, strict=True)
    )
    if not all(track.notes for track in tracks):
        raise InputError(f"'{chorale.title}' has a voice that rests too long.")
    written, mode = key_of(chorale)
    return Score(
        tempo=tempo, meter=chorale.meter, tonic=(written + move) % 12, mode=mode, genre="hymn",
        moods=moods_of(measure(tracks, tempo, mode, beats * 60 / tempo, 0.5)), tracks=tracks,
        sections=_verses(chorale, bars), chords=(), beats=beats, source=f"chorale: {chorale.title} (J. S. Bach)",
    )  # fmt: skip


def key_of(chorale: Chorale) -> tuple[int, str]:
    """Tonic (0-11) and mode, from all voices, the last note of the bass and the key signature."""
    weights = [0.0] * 12
    for voice in chorale.voices:
        for note in voice:
            weights[note.pitch % 12] += note.beats
    return find_key(weights, chorale.voices[3][-1].pitch % 12, _MODES, chorale.written)


def _choose_choir(rng: np.random.Generator, chorale: Chorale) -> tuple[_Choir, int]:
    """A group and a move to a random key such that every voice stays in its instrument's range."""
    fitting = [
        (choir, moves)
        for choir in _CHOIRS
        if (moves := [m for m in range(choir.move - 6, choir.move + 6) if _fits(chorale, choir, m)])
    ]
    if not fitting:
        raise InputError(f"'{chorale.title}' lies outside the range of every group.")
    choir, moves = pick(rng, fitting)
    return choir, pick(rng, moves)


def _fits(chorale: Chorale, choir: _Choir, move: int) -> bool:
    return all(
        INSTRUMENTS[name].low <= min(n.pitch for n in voice) + move
        and max(n.pitch for n in voice) + move <= INSTRUMENTS[name].high
        for name, voice in zip(choir.voices, chorale.voices, strict=True)
    )


def _last_bars(voice: tuple[RawNote, ...], chorale: Chorale, bars: int) -> list[RawNote]:
    """The last ``bars`` bars of as many verses as it takes, the very last note held to the end of its bar."""
    verse = chorale.bars * chorale.bar_beats
    end = bars * chorale.bar_beats
    kept: list[RawNote] = []
    for i in range(-(-bars // chorale.bars), 0, -1):
        first = end - i * verse
        kept += [
            note._replace(start=first + note.start, beats=min(note.beats, end - first - note.start))
            for note in voice
            if first + note.start >= -1e-6
        ]
    if kept and kept[-1].start >= end - chorale.bar_beats:
        kept[-1] = kept[-1]._replace(beats=end - kept[-1].start)
    return kept


def _shaped(voice: list[RawNote], level: float, move: int) -> list[RawNote]:
    return [note._replace(pitch=note.pitch + move, level=level, beats=note.beats * _LEGATO) for note in voice]


def _verses(chorale: Chorale, bars: int) -> tuple[Section, ...]:
    """One section a verse; the first may be a verse's last part."""
    first, verses = bars % chorale.bars, bars // chorale.bars
    lengths = ([first] if first else []) + [chorale.bars] * verses
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    return tuple(
        Section("verse", start * chorale.bar_beats, length * chorale.bar_beats)
        for start, length in zip(starts, lengths, strict=True)
    )
