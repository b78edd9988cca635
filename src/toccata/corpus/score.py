"""What the composer writes and the renderer plays: a score with exact labels.

Time is in quarter-note beats inside a score; ``Score.seconds_at`` turns beats into seconds.
"""

from dataclasses import dataclass

MODES = ("major", "minor", "dorian", "mixolydian", "lydian", "phrygian")
TONICS = ("C", "C sharp", "D", "E flat", "E", "F", "F sharp", "G", "A flat", "A", "B flat", "B")


@dataclass(frozen=True)
class Note:
    """A note: onset and length in quarter-note beats, MIDI pitch 0-127 (a General MIDI drum key on a drum track)."""

    start: float
    duration: float
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Track:
    """One player. ``role`` is one of melody, counter, chords, arpeggio, pad, bass, drums.

    ``instrument`` is a name in ``instruments.INSTRUMENTS``; a drum track's ``kit`` is a General MIDI drum-kit program
    (0 standard, 8 room, 16 power, 24 electronic, 25 TR-808, 32 jazz, 40 brush).
    """

    instrument: str
    role: str
    notes: tuple[Note, ...]
    kit: int = 0

    @property
    def is_drums(self) -> bool:
        return self.role == "drums"


@dataclass(frozen=True)
class Section:
    """A stretch of the form (intro, verse, chorus, bridge, solo, breakdown, outro, ...), in beats."""

    name: str
    start: float
    beats: float


@dataclass(frozen=True)
class Score:
    """A piece with its exact labels.

    ``tempo`` counts quarter notes a minute, except in compound meters (6/8, 12/8), where it counts dotted quarters:
    what a listener taps. ``tonic`` is a pitch class 0-11 (0 = C). ``chords`` are (beat, name) pairs.
    """

    tempo: float
    meter: tuple[int, int]
    tonic: int
    mode: str
    genre: str
    moods: tuple[str, ...]
    tracks: tuple[Track, ...]
    sections: tuple[Section, ...]
    chords: tuple[tuple[float, str], ...]
    beats: float
    swing: float = 0.5
    source: str = "composed"

    @property
    def seconds_per_beat(self) -> float:
        """Length of a quarter note in seconds."""
        return 60 / self.tempo / (1.5 if self.meter[1] == 8 else 1.0)

    @property
    def seconds(self) -> float:
        return self.beats * self.seconds_per_beat

    def seconds_at(self, beat: float) -> float:
        return beat * self.seconds_per_beat

    @property
    def key(self) -> str:
        return f"{TONICS[self.tonic]} {self.mode}"
