"""The house band: any number of pieces with exact labels, each a pure function of a seed and its index."""

from dataclasses import dataclass

import numpy as np

from toccata.corpus.captions import Caption, describe
from toccata.corpus.composer import compose
from toccata.corpus.instruments import INSTRUMENTS
from toccata.corpus.render import render
from toccata.corpus.score import Note, Score, Track
from toccata.corpus.tunes import draw_source, tune
from toccata.errors import InputError

# Goes up whenever the same seed would sound or read otherwise, so that no corpus mixes two bands.
EDITION = 2
_MUSESCORE_SHARE = 0.6

_DRUM_CHANNELS = (
    {35, 36},
    {31, 37, 38, 39, 40, 56, 58, 75, 76, 77},
    {42, 44, 46, 54, 69, 70, 71, 72, 73, 74, 82},
    {41, 43, 45, 47, 48, 50, 60, 61, 62, 63, 64, 65, 66, 67, 68, 78, 79, 86, 87},
    {49, 51, 52, 53, 55, 57, 59, 80, 81},
)
ROLL_WIDTH = 24 + len(_DRUM_CHANNELS)


@dataclass(frozen=True)
class Sheet:
    """A piece before it is played: its score, five true captions, and the soundfont that is to play it."""

    score: Score
    captions: tuple[Caption, ...]
    soundfont: str
    playing: np.random.SeedSequence


@dataclass(frozen=True)
class Piece:
    """A played piece. ``mix_CN``, the ``stems`` (named "0 melody flute") and ``room_CN`` are float32 (2, samples);
    stems and room add up to the mix."""

    score: Score
    captions: tuple[Caption, ...]
    soundfont: str
    mix_CN: np.ndarray
    stems: dict[str, np.ndarray]
    room_CN: np.ndarray
    sample_rate: int


def sheet(seed: int, index: int, seconds: float | None = None, sources: tuple[str, ...] = ("composer",)) -> Sheet:
    """Compose and caption piece ``index`` of the endless corpus ``seed``, about ``seconds`` long (None: it varies).

    With more ``sources`` (of ``tunes.SOURCES``) some pieces are arranged from them; all others stay as they are.
    """
    if seed < 0 or index < 0:
        raise InputError("A piece's seed and index must not be negative.")
    composing, captioning, choosing, playing, drawing = np.random.SeedSequence(seed, spawn_key=(index,)).spawn(5)
    source, rng = draw_source(np.random.default_rng(drawing), sources), np.random.default_rng(composing)
    score = compose(rng, seconds) if source == "composer" else tune(source, rng, seconds)
    soundfont = "musescore-general" if np.random.default_rng(choosing).random() < _MUSESCORE_SHARE else "fluidr3-mono"
    return Sheet(score, describe(score, np.random.default_rng(captioning)), soundfont, playing)


def piece(
    seed: int, index: int, seconds: float | None = None, sample_rate: int = 24000,
    sources: tuple[str, ...] = ("composer",),
) -> Piece:  # fmt: skip
    """Compose, caption, play and mix piece ``index`` of the endless corpus ``seed`` (``sources``: see ``sheet``).

    The same arguments give the same samples, whatever was made before. Raises InputError for a negative seed or index,
    a rate outside 8-48 kHz, an unknown source, or a soundfont or collection that can't be had.
    """
    return play(sheet(seed, index, seconds, sources), sample_rate)


def play(made: Sheet, sample_rate: int) -> Piece:
    """Play a sheet at ``sample_rate`` Hz."""
    rendering = render(made.score, np.random.default_rng(made.playing), sample_rate, made.soundfont)
    return Piece(
        made.score, made.captions, made.soundfont, rendering.mix_CN, rendering.stems, rendering.room_CN, sample_rate
    )


def labels(made: Piece) -> dict[str, object]:
    """Everything known about a piece, ready for JSON: see ``sheet_labels``."""
    return sheet_labels(made, made.mix_CN.shape[1] / made.sample_rate)


def sheet_labels(made: Sheet | Piece, seconds: float) -> dict[str, object]:
    """Labels of a piece whose sound lasts ``seconds``. Times are in seconds, ``tonic`` is 0-11 from C, ``melody`` lists
    [start, end, MIDI pitch], ``captions`` say in ``named`` which labels they name."""
    score = made.score
    players = [track.instrument for track in score.tracks]
    return {
        "seconds": round(seconds, 4),
        "tempo": score.tempo,
        "meter": list(score.meter),
        "key": score.key,
        "tonic": score.tonic,
        "mode": score.mode,
        "genre": score.genre,
        "moods": list(score.moods),
        "instruments": list(dict.fromkeys(players)),
        "families": list(dict.fromkeys(INSTRUMENTS[name].family for name in players)),
        "drums": any(track.is_drums for track in score.tracks),
        "sections": [
            {"name": s.name, "start": _time(score, s.start), "end": _time(score, s.start + s.beats)}
            for s in score.sections
        ],
        "chords": [[_time(score, beat), name] for beat, name in score.chords],
        "melody": [
            [_time(score, note.start), _time(score, note.start + note.duration), note.pitch]
            for track in score.tracks if track.role == "melody" for note in track.notes
        ],
        "soundfont": made.soundfont,
        "source": score.source,
        "captions": [{"text": caption.text, "named": caption.named} for caption in made.captions],
    }  # fmt: skip


def score_roll(score: Score, frame_rate: float, frames: int) -> np.ndarray:
    """What sounds in each frame: float32 (frames, 29) of zeros and ones.

    Columns 0-11 are the pitch classes (0 = C) that bass tracks hold, 12-23 those of the other tracks, 24-28 the onsets
    of kick, snare or clap, hat or shaker, tom or hand drum, cymbal.
    """
    roll_TD = np.zeros((frames, ROLL_WIDTH), np.float32)
    for track in score.tracks:
        for note in track.notes:
            column = _drum_column(note) if track.is_drums else _pitch_column(track, note)
            first = round(score.seconds_at(note.start) * frame_rate)
            last = first if track.is_drums else round(score.seconds_at(note.start + note.duration) * frame_rate) - 1
            roll_TD[first : max(first, last) + 1, column] = 1
    return roll_TD


def _pitch_column(track: Track, note: Note) -> int:
    return note.pitch % 12 + (0 if track.role == "bass" else 12)


def _drum_column(note: Note) -> int:
    """The channel of a General MIDI drum key; what has none of its own counts as a hat."""
    return 24 + next((k for k, keys in enumerate(_DRUM_CHANNELS) if note.pitch in keys), 2)


def _time(score: Score, beat: float) -> float:
    return round(score.seconds_at(beat), 4)
