"""The same melody as other sound: by the band, in another key and at another tempo, by one instrument, by a voice.

Shapes: N samples, J notes of the melody.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.signal import butter, sosfilt

from toccata.corpus.band import Sheet, sheet
from toccata.corpus.humming import VOICES, Tune, into_range
from toccata.corpus.instruments import INSTRUMENTS
from toccata.corpus.mixing import Room, reverberate
from toccata.corpus.render import render
from toccata.corpus.score import Note, Score, Track
from toccata.corpus.soundfonts import FONTS

# Goes up whenever the same seed would sound otherwise.
EDITION = 1
SECONDS = 9.0
_FEWEST_NOTES, _FEWEST_PITCHES, _LONGEST_REST = 10, 4, 2.0
_SOLOISTS = tuple(
    one
    for one in INSTRUMENTS.values()
    if one.family not in ("drums", "bass") and not one.name.endswith("pad") and one.name not in VOICES
)


@dataclass(frozen=True)
class Cover:
    """One rendition: mono float32 sound, when each note of the melody begins in it, and what gives the melody.

    ``sound`` is "band", an instrument's name, or one of ``humming.VOICES``.
    """

    wave_N: np.ndarray
    onsets_J: np.ndarray
    sound: str


@dataclass(frozen=True)
class Passage:
    """A stretch of a piece that has a melody: its score from beat ``first`` on, and the tune in seconds from there."""

    score: Score
    soundfont: str
    tune: Tune


def covers(seed: int, index: int, sample_rate: int) -> list[tuple[Cover, ...]]:
    """A melody of piece ``index`` of the endless corpus ``seed``, in four covers, and an impostor of it in two.

    Covers are the band's own, the band's in another key and at another tempo with another soloist, an instrument's
    alone, and a voice's. The impostor has the same rhythm and the opposite contour. Empty where the piece has no
    melody. A pure function of its arguments.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index, 1000)))
    found = passage(sheet(seed, index), rng)
    if found is None:
        return []
    true = (
        by_band(found, rng, sample_rate, 0, 1.0, None),
        by_band(found, rng, sample_rate, int(rng.integers(-6, 6)), _tempo(rng), _soloist(rng)),
        by_instrument(found.tune, rng, sample_rate),
        by_voice(found.tune, rng, sample_rate),
    )
    opposite = mirrored(found.tune)
    return [true, (by_instrument(opposite, rng, sample_rate), by_voice(opposite, rng, sample_rate))]


def passage(made: Sheet, rng: np.random.Generator) -> Passage | None:
    """About ``SECONDS`` of the piece from a random note of its melody on; None where no stretch has enough of one."""
    score, beats = made.score, SECONDS / made.score.seconds_per_beat
    line = melody_line(note for track in score.tracks if track.role == "melody" for note in track.notes)
    for first in rng.permutation([note.start for note in line]):
        notes = [note for note in line if first <= note.start < first + beats]
        rests = [b.start - a.start for a, b in pairwise(notes)]
        enough = len(notes) >= _FEWEST_NOTES and len({note.pitch for note in notes}) >= _FEWEST_PITCHES
        if enough and max(rests) * score.seconds_per_beat < _LONGEST_REST:
            start, end = float(first), min(notes[-1].start + notes[-1].duration, float(first) + beats)
            return Passage(_excerpt(score, start, end), made.soundfont, _in_seconds(notes, start, end, score))
    return None


def melody_line(notes: Iterable[Note]) -> list[Note]:
    """One note at a time: of those that begin together the highest, and none longer than until the next."""
    line: list[Note] = []
    for note in sorted(notes, key=lambda note: (note.start, -note.pitch)):
        if line and note.start - line[-1].start < 1e-6:
            continue
        if line and line[-1].start + line[-1].duration > note.start:
            line[-1] = replace(line[-1], duration=note.start - line[-1].start)
        line.append(note)
    return line


def mirrored(tune: Tune) -> list[tuple[float, float, float]]:
    """The tune upside down: what rose falls by as much."""
    middle = sum(pitch for *_, pitch in tune) / len(tune)
    return [(start, end, round(2 * middle) - pitch) for start, end, pitch in tune]


def by_band(
    found: Passage, rng: np.random.Generator, sample_rate: int, semitones: int, tempo: float, soloist: str | None
) -> Cover:
    """The whole band, ``semitones`` higher and ``tempo`` times as fast, its melody taken over by a ``soloist``."""
    score = replace(found.score, tempo=found.score.tempo * tempo)
    score = replace(score, tracks=tuple(_moved(track, semitones, soloist) for track in score.tracks))
    font = found.soundfont if soloist is None else str(rng.choice(sorted(FONTS)))
    onsets_J = np.array([start / tempo for start, *_ in found.tune])
    return Cover(render(score, rng, sample_rate, font).mix_CN.mean(0), onsets_J, "band")


def by_instrument(tune: Tune, rng: np.random.Generator, sample_rate: int) -> Cover:
    """One instrument alone, in another key, octave and room, at a tempo that wavers."""
    player = INSTRUMENTS[_soloist(rng)]
    moved = into_range(performed(tune, rng), player.low, player.high)
    notes = tuple(
        Note(start, end - start, int(np.clip(pitch, 0, 127)), int(rng.integers(60, 115))) for start, end, pitch in moved
    )
    alone = Score(60.0, (4, 4), 0, "major", "", (), (Track(player.name, "melody", notes),), (), (), moved[-1][1])
    wave_N = render(alone, rng, sample_rate, str(rng.choice(sorted(FONTS)))).mix_CN.mean(0)
    return Cover(_noisy(wave_N, rng), np.array([start for start, *_ in moved]), player.name)


def by_voice(tune: Tune, rng: np.random.Generator, sample_rate: int, kind: str | None = None) -> Cover:
    """Hummed, sung or whistled in another key at a tempo that wavers, in a room, through a cheap microphone."""
    kind = kind or str(rng.choice(sorted(VOICES)))
    give, low, high = VOICES[kind]
    moved = into_range(performed(tune, rng), low, high)
    wave_N = _noisy(_in_room(give(moved, rng, sample_rate), rng, sample_rate), rng)
    return Cover(wave_N, np.array([start for start, *_ in moved]), kind)


def performed(tune: Tune, rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """The tune in another key, at another tempo that wavers by a tenth, its notes held for longer or shorter."""
    semitones, tempo, held = int(rng.integers(-6, 6)), _tempo(rng), rng.uniform(0.6, 1.0)
    end = max(end for _, end, _ in tune)
    knots = np.linspace(0, end, max(round(end / 1.5), 2) + 1)
    pace = tempo * np.exp(rng.uniform(-0.1, 0.1, len(knots) - 1))
    moved = np.concatenate([[0.0], np.cumsum(np.diff(knots) / pace)])

    def at(seconds: float) -> float:
        return float(np.interp(seconds, knots, moved))

    return [(at(start), at(start) + held * (at(end) - at(start)), pitch + semitones) for start, end, pitch in tune]


def _tempo(rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(-0.22, 0.22)))  # 0.8 to 1.25


def _soloist(rng: np.random.Generator) -> str:
    return _SOLOISTS[rng.integers(len(_SOLOISTS))].name


def _excerpt(score: Score, first: float, last: float) -> Score:
    """The score between two beats; what sounds already is struck again at the first one."""
    tracks = []
    for track in score.tracks:
        notes = []
        for note in track.notes:
            begin = note.start if track.is_drums else max(note.start, first)
            end = min(note.start + note.duration, last)
            if first <= begin < last and end > begin:
                notes.append(replace(note, start=begin - first, duration=end - begin))
        tracks.append(replace(track, notes=tuple(notes)))
    return replace(score, tracks=tuple(tracks), sections=(), chords=(), beats=last - first)


def _in_seconds(notes: list[Note], first: float, last: float, score: Score) -> list[tuple[float, float, float]]:
    beat = score.seconds_per_beat
    return [((n.start - first) * beat, (min(n.start + n.duration, last) - first) * beat, float(n.pitch)) for n in notes]


def _moved(track: Track, semitones: int, soloist: str | None) -> Track:
    """A track in another key; drums stay, and a melody goes to the ``soloist`` in a register of its own."""
    if track.is_drums or not track.notes:
        return track
    notes = tuple(replace(note, pitch=int(np.clip(note.pitch + semitones, 0, 127))) for note in track.notes)
    if track.role != "melody" or soloist is None:
        return replace(track, notes=notes)
    player = INSTRUMENTS[soloist]
    tune = into_range([(n.start, n.duration, n.pitch) for n in notes], player.low, player.high)
    notes = tuple(
        replace(note, pitch=int(np.clip(pitch, 0, 127))) for note, (*_, pitch) in zip(notes, tune, strict=True)
    )
    return replace(track, instrument=soloist, notes=notes)


def _in_room(wave_N: np.ndarray, rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Some of a room's answer added, the lows and highs that a cheap microphone doesn't hear taken away."""
    room = Room(rng.uniform(0.15, 1.0), rng.uniform(0, 0.02), rng.uniform(0.2, 0.9))
    wet = 10 ** (rng.uniform(-30, -8) / 20)
    heard_N = wave_N + wet * reverberate(wave_N, room, rng, sample_rate).mean(0)
    band = (rng.uniform(40, 150), min(rng.uniform(3500, 7500), 0.45 * sample_rate))
    heard_N = np.asarray(sosfilt(butter(2, band, "bandpass", fs=sample_rate, output="sos"), heard_N))
    return (10 ** (rng.uniform(-20, 0) / 20) * heard_N).astype(np.float32)


def _noisy(wave_N: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """With hiss, 20 to 60 dB below the sound."""
    size = np.sqrt(np.mean(wave_N**2)) * 10 ** (rng.uniform(-60, -20) / 20)
    return np.clip(wave_N + size * rng.standard_normal(len(wave_N)), -1, 1).astype(np.float32)
