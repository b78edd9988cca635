"""Reads tunes in ABC notation: one melody in strains, as the old dance-tune books are transcribed.

It covers what those books use (keys and modes, accidentals, broken rhythm, tuplets, ties, repeats, first and second
endings, upbeats); grace notes, ornaments and fingerings are passed over, of a double stop the upper note is kept.
The notation is the ABC standard 2.1.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from toccata.corpus.patterns import RawNote
from toccata.errors import InputError


@dataclass(frozen=True)
class Strain:
    """A part of a tune that is played through. Notes are in quarter-note beats from the first full bar: those of an
    upbeat have negative times."""

    notes: tuple[RawNote, ...]
    bars: int


@dataclass(frozen=True)
class AbcTune:
    """A tune as written. ``signature`` is the sharps (above 0) or flats of its key, ``mode`` as its key line says."""

    title: str
    meter: tuple[int, int]
    cut: bool
    signature: int
    mode: str
    strains: tuple[Strain, ...]

    @property
    def tonic(self) -> int:
        """The pitch class (0 = C) that signature and mode name."""
        return (self.signature - _SHIFTS[self.mode]) * 7 % 12


_TOKEN = re.compile(
    r"""(?P<skip>"[^"]*"|![^!\n]*!|\{[^}]*\})
      | \[(?P<field>[A-Za-z]):(?P<value>[^\]]*)\]
      | (?P<bar>\[\||[:|]*\|[:|]*\]?|::+)\s*\[?(?P<bar_ending>\d)?(?:[,-]\d)*
      | \[(?P<ending>\d)(?:[,-]\d)*
      | \((?P<tuplet>\d)(?::(?P<into>\d?))?(?::(?P<count>\d?))?
      | \[(?P<chord>[^\]|]*)\](?P<chord_length>\d*/*\d*)
      | (?P<note>[\^=_]{0,2}[A-Ga-gxz][,']*)(?P<length>\d*/*\d*)
      | (?P<broken>>+|<+)
      | (?P<tie>-)""",
    re.X,
)
_NOTE = re.compile(r"([\^=_]{0,2})([A-Ga-g])([,']*)(\d*/*\d*)")
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ALTERS = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
_SHARPS = {"C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5, "F": -1}
_MODES = {
    "": ("major", 0), "maj": ("major", 0), "ion": ("major", 0), "m": ("minor", -3), "min": ("minor", -3),
    "aeo": ("minor", -3), "dor": ("dorian", -2), "mix": ("mixolydian", -1), "lyd": ("lydian", 1),
    "phr": ("phrygian", -4),
}  # fmt: skip
_SHIFTS = dict(_MODES.values())
_TUPLETS = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}


def split_tunes(text: str) -> list[str]:
    """The tunes of a book, each from its ``X:`` line on."""
    return [part for part in re.split(r"^(?=X:)", text.replace("\r", ""), flags=re.M) if part.startswith("X:")]


def read_abc(text: str) -> AbcTune:
    """Read one tune. Raises InputError for what is no tune, or is written in a way that this reader doesn't cover."""
    header: dict[str, str] = {}
    body: list[str] = []
    for raw in text.replace("\r", "").split("\n"):
        line = raw.split("%")[0].strip()
        found = re.match(r"([A-Za-z]):\s*(.*)", line)
        if found is None:
            body.append(line.rstrip("\\") if "K" in header else "")
        elif "K" not in header:
            header.setdefault(found[1], found[2].strip())
        elif found[1] in "KLMV":
            body.append(f"[{found[1]}:{found[2]}]")
    if "K" not in header or not any(body):
        raise InputError("This is not a tune in ABC notation: it needs a K: line and notes after it.")
    meter, cut = _meter(header.get("M", "C"))
    signature, mode = read_key(header["K"])
    reader = _Reader(Fraction(*meter) * 4, _unit(header.get("L"), meter), signature)
    strains = reader.read("\n".join(body))
    return AbcTune(header.get("T", "a tune").rstrip(" ."), meter, cut, signature, mode, strains)


def read_key(text: str) -> tuple[int, str]:
    """Sharps (flats below 0) and mode of a key line such as ``Ador``."""
    found = re.match(r"([A-G])([b#]?)\s*([A-Za-z]*)", text)
    mode = found[3].lower()[:3] if found else ""
    if found is None or mode not in _MODES or "=" in text or "^" in text or "_" in text:
        raise InputError(f"'{text}' is not a key that this reader knows, such as G, F#m or A dorian.")
    name, shift = _MODES[mode]
    return _SHARPS[found[1]] + 7 * {"b": -1, "#": 1, "": 0}[found[2]] + shift, name


def _meter(text: str) -> tuple[tuple[int, int], bool]:
    """The meter, and whether it counts half notes."""
    text = text.strip()
    if text in ("C", "C|"):
        return (4, 4), text == "C|"
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if found is None or not int(found[1]) or int(found[2]) not in (1, 2, 4, 8, 16):
        raise InputError(f"'{text}' is not a meter such as 6/8.")
    return (int(found[1]), int(found[2])), text == "2/2"


def _unit(text: str | None, meter: tuple[int, int]) -> Fraction:
    """The unit length in quarter notes."""
    if text is None:
        return Fraction(1, 2) if meter[0] / meter[1] >= 0.75 else Fraction(1, 4)
    found = re.match(r"1/(\d+)", text)
    if found is None or not int(found[1]):
        raise InputError(f"'{text}' is not a unit length such as 1/8.")
    return Fraction(4, int(found[1]))


def _length(text: str) -> Fraction:
    """``3``, ``3/2``, ``/2``, ``/`` or ``//`` as a number of units."""
    top, slashes, bottom = re.fullmatch(r"(\d*)(/*)(\d*)", text).groups()  # type: ignore[union-attr]
    under = int(bottom) if bottom else 2 ** len(slashes)
    if under == 0:
        raise InputError(f"'{text}' is not a length: it divides by nothing.")
    return Fraction(int(top or 1), under)


@dataclass
class _Sound:
    """A note (or, without a pitch, a rest) at ``start`` quarters into its bar."""

    start: Fraction
    length: Fraction
    pitch: int | None
    tied: bool = False


@dataclass
class _Bar:
    sounds: list[_Sound]
    length: Fraction


class _Reader:
    """Walks through a tune's body, bar by bar and strain by strain."""

    def __init__(self, bar_length: Fraction, unit: Fraction, signature: int) -> None:
        self._bar_length, self._unit, self._signature = bar_length, unit, signature
        self._sounds: list[_Sound] = []
        self._at = Fraction(0)
        self._altered: dict[str, int] = {}
        self._bars: list[_Bar] = []
        self._ending_at: int | None = None
        self._closed: list[tuple[list[_Bar], int | None]] = []
        self._tuplet, self._in_tuplet = Fraction(1), 0
        self._next_scale = Fraction(1)

    def read(self, body: str) -> tuple[Strain, ...]:
        for token in _TOKEN.finditer(body):
            self._take(token)
        self._end_strain()
        whole = [bars for bars, _ in self._closed if len(bars) > 1 or bars[0].length >= self._bar_length]
        strains = [self._strain(bars) for bars in whole]
        if not strains:
            raise InputError("This tune has no notes.")
        return tuple(strains)

    def _take(self, token: re.Match[str]) -> None:
        if token["field"]:
            self._change(token["field"], token["value"])
        elif token["bar"]:
            self._end_bar()
            if ":" in token["bar"] or "||" in token["bar"] or "]" in token["bar"] or token["bar"] == "[|":
                self._end_strain()
            self._open_ending(token["bar_ending"])
        elif token["ending"]:
            self._open_ending(token["ending"])
        elif token["tuplet"]:
            notes = int(token["tuplet"])
            into = int(token["into"]) if token["into"] else _TUPLETS.get(notes, 2)
            self._tuplet, self._in_tuplet = Fraction(into, max(1, notes)), int(token["count"] or notes)
        elif token["note"]:
            self._sound(token["note"], _length(token["length"]))
        elif token["chord"] is not None:
            self._chord(token["chord"], _length(token["chord_length"]))
        elif token["broken"] and self._sounds:
            self._break(token["broken"])
        elif token["tie"] and self._sounds:
            self._sounds[-1].tied = True

    def _change(self, field: str, value: str) -> None:
        if field == "K":
            self._signature = read_key(value)[0]
        elif field == "V" or (field == "M" and Fraction(*_meter(value)[0]) * 4 != self._bar_length):
            raise InputError("This reader takes tunes of one voice and one meter only.")
        elif field == "L":
            self._unit = _unit(value, (4, 4))

    def _sound(self, note: str, units: Fraction) -> None:
        """Put a note or rest at the present place, scaled by the tuplet and broken rhythm in force."""
        length = units * self._unit * self._next_scale
        self._next_scale = Fraction(1)
        if self._in_tuplet:
            length *= self._tuplet
            self._in_tuplet -= 1
        found = _NOTE.match(note)
        self._sounds.append(_Sound(self._at, length, self._pitch(found) if found else None))
        self._at += length

    def _chord(self, text: str, units: Fraction) -> None:
        notes = list(_NOTE.finditer(text))
        if notes:
            upper = max(notes, key=self._pitch)
            self._sound(upper[1] + upper[2] + upper[3], units * _length(upper[4]))

    def _break(self, signs: str) -> None:
        """``a>b``: the first is longer by half, the second shorter; ``<`` the other way round."""
        small = Fraction(1, 2 ** len(signs))
        first, second = (2 - small, small) if signs[0] == ">" else (small, 2 - small)
        last = self._sounds[-1]
        self._at += last.length * (first - 1)
        last.length *= first
        self._next_scale = second

    def _pitch(self, note: re.Match[str]) -> int:
        """MIDI pitch; an accidental holds for its letter until the bar ends."""
        accidental, letter, octaves = note[1], note[2], note[3]
        name = letter.upper()
        if accidental:
            self._altered[name] = _ALTERS.get(accidental, 0)
        alter = self._altered.get(name, _signed(name, self._signature))
        octave = (1 if letter.islower() else 0) + octaves.count("'") - octaves.count(",")
        return 60 + _STEPS[name] + alter + 12 * octave

    def _end_bar(self) -> None:
        if self._at:
            self._bars.append(_Bar(self._sounds, self._at))
        self._sounds, self._at, self._altered = [], Fraction(0), {}
        self._next_scale, self._in_tuplet = Fraction(1), 0

    def _open_ending(self, number: str | None) -> None:
        """A second ending takes the first one's place: the strain is written once, as it closes."""
        if number == "1":
            self._ending_at = len(self._bars)
        elif number is not None and self._closed and not self._bars and self._closed[-1][1] is not None:
            bars, at = self._closed.pop()
            self._bars = bars[:at]

    def _end_strain(self) -> None:
        self._end_bar()
        if self._bars:
            self._closed.append((self._bars, self._ending_at))
        self._bars, self._ending_at = [], None

    def _strain(self, bars: list[_Bar]) -> Strain:
        """Lay bars end to end. The first may be an upbeat and the last may lack what the next upbeat brings."""
        upbeat = bars[0].length if len(bars) > 1 and bars[0].length < self._bar_length else Fraction(0)
        full = bars[1:-1] if upbeat else bars[:-1]
        if any(bar.length != self._bar_length for bar in full) or bars[-1].length > self._bar_length:
            raise InputError("The bars of this tune are not all as long as its meter says.")
        sounds: list[_Sound] = []
        for i, bar in enumerate(bars):
            first = -upbeat if upbeat and i == 0 else (i - bool(upbeat)) * self._bar_length
            for sound in bar.sounds:
                sounds.append(_Sound(first + sound.start, sound.length, sound.pitch, sound.tied))
        return Strain(_joined(sounds), len(bars) - bool(upbeat))


def _signed(name: str, signature: int) -> int:
    """What the key signature does to a letter."""
    order = "FCGDAEB"
    return int(name in order[: max(0, signature)]) - int(signature < 0 and name in order[signature:])


def _joined(sounds: list[_Sound]) -> tuple[RawNote, ...]:
    """Notes without the rests; a tie joins two of one pitch (between two pitches it is a slur)."""
    kept: list[_Sound] = []
    for sound in sounds:
        last = kept[-1] if kept else None
        if last and last.tied and last.pitch == sound.pitch and last.start + last.length == sound.start:
            last.length, last.tied = last.length + sound.length, sound.tied
        elif sound.pitch is not None:
            kept.append(sound)
    return tuple(RawNote(float(s.start), float(s.length), s.pitch, 1.0) for s in kept if s.pitch is not None)
