"""Multi-track MIDI pieces out of a game's WAD file, cut to a stretch of steady time and labelled by measuring it."""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toccata.corpus.instruments import INSTRUMENTS
from toccata.corpus.keyfinding import find_key, share_in_scale
from toccata.corpus.midifile import Part, Recording
from toccata.corpus.moods import measure, moods_of
from toccata.corpus.performance import perform
from toccata.corpus.score import Score, Section, Track
from toccata.corpus.theory import MINOR_MODES, pick
from toccata.errors import InputError

_METERS = ((4, 4), (3, 4), (6, 8))
_SLOWEST, _FASTEST = 50.0, 180.0
_ON_GRID = 0.85  # the share of onsets on sixteenths or triplets from which a piece keeps to its own tempo
_IN_SCALE = 0.8
_MOST_TRACKS = 10
_KITS = (0, 8, 16, 24, 25, 32, 40)
_NEAREST = {
    2: "bright piano", 15: "koto", 20: "church organ", 31: "distorted guitar", 37: "slap bass", 47: "pizzicato strings",
    51: "synth strings", 54: "voice oohs", 55: "brass section", 63: "synth brass", 76: "pan flute", 77: "whistle",
    86: "saw lead", 87: "saw lead", 88: "warm pad", 92: "halo pad", 93: "polysynth pad", 98: "celesta",
    99: "halo pad", 100: "polysynth pad", 112: "glockenspiel",
}  # fmt: skip
_LAST_TONAL = 112  # later programs are percussion and effects, but for the steel drums
_SUSTAINING = ("organ", "accordion", "strings", "choir", "brass", "woodwind", "synth")
_DRUM_KEYS = (27, 87)


def read_wad(path: Path, prefix: str = "D_") -> dict[str, bytes]:
    """The lumps of a WAD whose names begin with ``prefix`` (music, in Doom's). Raises InputError for other files."""
    data = path.read_bytes()
    if len(data) < 12 or data[:4] not in (b"IWAD", b"PWAD"):
        raise InputError(f"{path.name} is not a WAD file.")
    count, table = struct.unpack_from("<ii", data, 4)
    if count < 0 or table < 0 or table + 16 * count > len(data):
        raise InputError(f"{path.name} is cut short or damaged: its directory lies outside the file.")
    lumps: dict[str, bytes] = {}
    for i in range(count):
        at, size, raw = struct.unpack_from("<ii8s", data, table + 16 * i)
        name = raw.rstrip(b"\0").decode("ascii", "replace")
        if name.startswith(prefix) and 0 <= at <= at + size <= len(data):
            lumps[name.removeprefix(prefix)] = data[at : at + size]
    return lumps


def cut(rng: np.random.Generator, recording: Recording, seconds: float) -> Score:
    """Play a stretch of a recording, from a bar line on and for about ``seconds``, moved to a random key.

    Tempo and meter are the file's where its notes bear them out, the key is what its notes say. Raises InputError where
    no stretch is steady enough in time and key for its labels to be true.
    """
    for _ in range(6):
        found = _window(rng, recording, seconds)
        if found is not None:
            return _score(rng, recording, found)
    raise InputError(f"'{recording.title}' has no stretch of {seconds:.0f} seconds that keeps to one tempo and key.")


@dataclass(frozen=True)
class _Window:
    """Parts cut to a stretch and counted from its first beat."""

    parts: tuple[Part, ...]
    tempo: float
    meter: tuple[int, int]
    beats: float
    key: tuple[int, str]


def _window(rng: np.random.Generator, recording: Recording, seconds: float) -> _Window | None:
    meter_at = pick(rng, recording.meters)
    meter = meter_at[1]
    bar_beats = meter[0] * 4 / meter[1]
    total = int((recording.beats - meter_at[0]) / bar_beats)
    bpm = _value_at(recording.tempos, meter_at[0] + float(rng.random()) * total * bar_beats)
    bars = max(1, round(seconds * bpm / 60 / bar_beats))
    tempo = bpm / (1.5 if meter[1] == 8 else 1.0)
    if meter not in _METERS or total < bars or not _SLOWEST <= tempo <= _FASTEST:
        return None
    first = meter_at[0] + int(rng.integers(total - bars + 1)) * bar_beats
    end = first + bars * bar_beats
    if not _steady(recording, first, end, bpm, meter):
        return None
    parts = _playing(recording, first, end)
    if not parts or not _keeps_time(parts, meter, end - first):
        return None
    weights = _sounding(parts)
    key = find_key(weights)
    if share_in_scale(weights, *key) < _IN_SCALE:
        return None
    return _Window(parts, tempo, meter, end - first, key)


def _value_at(changes: tuple[tuple[float, float], ...], beat: float) -> float:
    return next((value for at, value in reversed(changes) if at <= beat + 1e-6), changes[0][1])


def _steady(recording: Recording, first: float, end: float, bpm: float, meter: tuple[int, int]) -> bool:
    """Whether tempo and meter stay what they are throughout."""
    tempos = [_value_at(recording.tempos, first), *(v for at, v in recording.tempos if first < at < end)]
    meters = [m for at, m in recording.meters if first < at < end]
    return all(abs(v / bpm - 1) < 0.005 for v in tempos) and all(m == meter for m in meters)


def _playing(recording: Recording, first: float, end: float) -> tuple[Part, ...]:
    """The parts that are heard, cut to the stretch: at least three, in every bar's length of it."""
    parts = []
    for part in recording.parts:
        if not part.is_drums and _instrument(part.program) is None:
            continue
        notes = tuple(
            note._replace(start=max(0.0, note.start - first), beats=min(note.beats, end - note.start))
            for note in part.notes
            if first - 0.03 <= note.start < end - 0.1
        )
        if len(notes) >= 3:
            parts.append(Part(part.program, part.is_drums, notes))
    parts.sort(key=lambda part: -sum(note.beats * note.level for note in part.notes))
    onsets = {int(note.start // 4) for part in parts for note in part.notes}
    pitched = sum(not part.is_drums for part in parts)
    full = len(onsets) >= (end - first) // 4 and pitched >= 2
    return tuple(parts[:_MOST_TRACKS]) if full else ()


def _keeps_time(parts: tuple[Part, ...], meter: tuple[int, int], beats: float) -> bool:
    """Whether the notes fall on the grid that tempo and meter claim, strongest on its beats, and repeat by its bars."""
    onsets = np.array([note.start for part in parts for note in part.notes])
    on_grid = np.minimum(_distance(onsets, 0.25), _distance(onsets, 1 / 3)) < 0.04
    beat = 1.5 if meter[1] == 8 else 1.0
    on_beat, between = (_distance(onsets, beat) < 0.06).sum(), (_distance(onsets + beat / 2, beat) < 0.06).sum()
    return bool(on_grid.mean() >= _ON_GRID and on_beat > between and _repeats(parts, meter, beats))


def _distance(onsets: np.ndarray, step: float) -> np.ndarray:
    return np.abs(onsets - np.round(onsets / step) * step)


def _repeats(parts: tuple[Part, ...], meter: tuple[int, int], beats: float) -> bool:
    """Whether what is struck comes again a bar later rather than a beat more or less than a bar later."""
    step = 0.25
    hits = np.zeros((128 + len(parts), int(beats / step) + 1))
    for i, part in enumerate(parts):
        for note in part.notes:
            row = note.pitch if part.is_drums else 128 + i
            hits[row, round(note.start / step)] = 1
    bar = round(meter[0] * 4 / meter[1] / step)
    beat = 6 if meter[1] == 8 else 4
    shifts = [shift for shift in (bar - beat, bar, bar + beat) if shift < hits.shape[1] // 2]
    same = {shift: float((hits[:, shift:] * hits[:, :-shift]).sum()) / (hits.shape[1] - shift) for shift in shifts}
    return bar in same and same[bar] >= max(same.values()) * 0.999


def _sounding(parts: tuple[Part, ...]) -> list[float]:
    """How long each pitch class sounds; bass notes count twice."""
    weights = [0.0] * 12
    for part in parts:
        for note in part.notes if not part.is_drums else ():
            weights[note.pitch % 12] += min(note.beats, 4.0) * (2.0 if note.pitch < 48 else 1.0)
    return weights


def _instrument(program: int) -> str | None:
    """The band's instrument for a General MIDI program: itself, or the nearest of its kind; None for an effect."""
    if program in _NEAREST:
        return _NEAREST[program]
    tonal = {sound.program: name for name, sound in INSTRUMENTS.items() if name != "drums"}
    if program > _LAST_TONAL:
        return tonal.get(program)
    return tonal[min(tonal, key=lambda known: (known // 8 != program // 8, abs(known - program)))]


def _score(rng: np.random.Generator, recording: Recording, window: _Window) -> Score:
    move = int(rng.integers(-5, 7))
    tempo = float(round(window.tempo * rng.uniform(0.95, 1.05)))
    spb = 60 / tempo / (1.5 if window.meter[1] == 8 else 1.0)
    tonic, mode = (window.key[0] + move) % 12, window.key[1]
    tracks = []
    for part, role in zip(window.parts, _roles(window.parts), strict=True):
        name = "drums" if part.is_drums else _instrument(part.program) or "piano"
        raw = [note._replace(pitch=_placed(note.pitch, name, move)) for note in part.notes]
        kit = part.program if part.is_drums and part.program in _KITS else 0
        tracks.append(Track(name, role, perform(rng, raw, 1.0, 0.0, spb, window.beats, (0.5, 1.0)), kit))
    played = tuple(track for track in tracks if track.notes)
    return Score(
        tempo=tempo, meter=window.meter, tonic=tonic, mode=mode, genre=_genre(played, mode),
        moods=moods_of(measure(played, tempo, mode, window.beats * spb, 0.5)), tracks=played,
        sections=(Section("theme", 0.0, window.beats),), chords=(), beats=window.beats,
        source=f"midi: {recording.title} (Freedoom)",
    )  # fmt: skip


def _placed(pitch: int, name: str, move: int) -> int:
    """A moved pitch, brought into the instrument's range by octaves; drum keys stay where they are."""
    if name == "drums":
        return min(max(pitch, _DRUM_KEYS[0]), _DRUM_KEYS[1])
    sound, pitch = INSTRUMENTS[name], pitch + move
    while pitch > sound.high:
        pitch -= 12
    while pitch < sound.low:
        pitch += 12
    return pitch


def _roles(parts: tuple[Part, ...]) -> list[str]:
    """A role for each part, from its register, how many notes sound at once, and how fast they come.

    The melody is the highest clear single line; where there is none, nobody has it. Without a bass instrument the
    lowest line has the bass.
    """
    roles = [_role(part) for part in parts]
    low = [i for i, role in enumerate(roles) if role in ("counter", "arpeggio") and _mean_pitch(parts[i]) < 48]
    if low and "bass" not in roles:
        roles[min(low, key=lambda i: _mean_pitch(parts[i]))] = "bass"
    lines = [i for i, role in enumerate(roles) if role == "counter"]
    if lines:
        roles[max(lines, key=lambda i: _mean_pitch(parts[i]) + _mean_level(parts[i]) / 8)] = "melody"
    return roles


def _role(part: Part) -> str:
    if part.is_drums:
        return "drums"
    name = _instrument(part.program) or ""
    beats = sum(note.beats for note in part.notes)
    spread = max(note.start + note.beats for note in part.notes) - part.notes[0].start
    single = len({round(note.start, 2) for note in part.notes}) / len(part.notes)
    if INSTRUMENTS[name].family == "bass":
        return "bass"
    held = beats / len(part.notes) > (2 if single < 0.75 else 3) and INSTRUMENTS[name].family in _SUSTAINING
    if held or single < 0.75:
        return "pad" if held else "chords"
    return "arpeggio" if len(part.notes) / max(spread, 1.0) > 2.8 else "counter"


def _mean_pitch(part: Part) -> float:
    return sum(note.pitch for note in part.notes) / len(part.notes)


def _mean_level(part: Part) -> float:
    return sum(note.level for note in part.notes) / len(part.notes)


def _genre(tracks: tuple[Track, ...], mode: str) -> str:
    """Metal or rock where distorted guitars and drums lead, else simply game music."""
    heavy = sum(len(t.notes) for t in tracks if t.instrument in ("distorted guitar", "overdriven guitar"))
    tonal = sum(len(t.notes) for t in tracks if not t.is_drums)
    if heavy < 0.4 * tonal or not any(track.is_drums for track in tracks):
        return "game music"
    return "metal" if mode in MINOR_MODES and any(t.instrument == "distorted guitar" for t in tracks) else "rock"
