"""Reads standard MIDI files: notes, programs, channel volumes, tempos and meters."""

import struct
from dataclasses import dataclass, field

from toccata.corpus.patterns import RawNote
from toccata.errors import InputError

_DRUM_CHANNEL = 9
_VOLUME = 7
_DATA_BYTES = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}
_SHORTEST = 0.05


@dataclass(frozen=True)
class Part:
    """One player: notes in quarter-note beats, ``level`` being velocity times channel volume, about 0-140."""

    program: int
    is_drums: bool
    notes: tuple[RawNote, ...]


@dataclass(frozen=True)
class Recording:
    """A MIDI file. ``tempos`` and ``meters`` are (beat, value) pairs, quarter notes a minute and (beats, unit)."""

    title: str
    parts: tuple[Part, ...]
    tempos: tuple[tuple[float, float], ...]
    meters: tuple[tuple[float, tuple[int, int]], ...]
    beats: float


@dataclass
class _Events:
    """What a file's tracks say, in ticks. A player is a (track, channel, program)."""

    notes: dict[tuple[int, int, int], list[tuple[int, int, int, float]]] = field(default_factory=dict)
    tempos: list[tuple[int, float]] = field(default_factory=list)
    meters: list[tuple[int, tuple[int, int]]] = field(default_factory=list)


def read_midi(data: bytes, title: str) -> Recording:
    """Read a file of format 0 or 1. Raises InputError for other bytes and for a file that is cut short or silent."""
    try:
        per_beat, chunks = _chunks(data)
        events = _Events()
        for number, chunk in enumerate(chunks):
            _read_track(chunk, number, events)
    except (IndexError, struct.error, ValueError):
        raise InputError(f"'{title}' is not a MIDI file, or is damaged.") from None
    if not events.notes:
        raise InputError(f"'{title}' has no notes.")
    parts = tuple(
        Part(program, channel == _DRUM_CHANNEL, _in_beats(notes, per_beat))
        for (_, channel, program), notes in events.notes.items()
    )
    end = max(note.start + note.beats for part in parts for note in part.notes)
    tempos = sorted((tick / per_beat, bpm) for tick, bpm in events.tempos)
    meters = sorted((tick / per_beat, meter) for tick, meter in events.meters)
    return Recording(title, parts, tuple(tempos) or ((0.0, 120.0),), tuple(meters) or ((0.0, (4, 4)),), end)


def _in_beats(notes: list[tuple[int, int, int, float]], per_beat: int) -> tuple[RawNote, ...]:
    return tuple(
        sorted(
            RawNote(start / per_beat, max((end - start) / per_beat, _SHORTEST), pitch, level)
            for start, end, pitch, level in notes
        )
    )


def _chunks(data: bytes) -> tuple[int, list[bytes]]:
    """Ticks a quarter note and the bytes of each track."""
    magic, size, form, _, division = struct.unpack_from(">4sIHHH", data)
    if magic != b"MThd" or form > 1 or not 0 < division < 0x8000:
        raise ValueError
    chunks, at = [], 8 + size
    while at < len(data):
        kind, size = struct.unpack_from(">4sI", data, at)
        if at + 8 + size > len(data):
            raise ValueError
        if kind == b"MTrk":
            chunks.append(data[at + 8 : at + 8 + size])
        at += 8 + size
    return division, chunks


def _read_track(data: bytes, number: int, events: _Events) -> None:
    """Walk through a track's events; running status repeats the last message's kind."""
    at = tick = status = 0
    programs, volumes = [0] * 16, [100] * 16
    sounding: dict[tuple[int, int], list[tuple[int, float]]] = {}
    while at < len(data):
        delta, at = _number(data, at)
        tick += delta
        if data[at] >= 0x80:
            status, at = data[at], at + 1
        if status >= 0xF0:
            kind, at = (data[at], at + 1) if status == 0xFF else (0, at)
            size, at = _number(data, at)
            _read_meta(kind, data[at : at + size], tick, events)
            at, status = at + size, 0
            continue
        message, channel = status & 0xF0, status & 0x0F
        values = data[at : at + _DATA_BYTES.get(message, 0)]
        if message not in _DATA_BYTES or len(values) < _DATA_BYTES[message]:
            raise ValueError
        at += len(values)
        if message == 0xC0:
            programs[channel] = values[0] & 127
        elif message == 0xB0 and values[0] == _VOLUME:
            volumes[channel] = values[1]
        elif message in (0x80, 0x90):
            key = (channel, values[0] & 127)
            if message == 0x90 and values[1]:
                volume = min(1.1, max(0.5, volumes[channel] / 100))
                sounding.setdefault(key, []).append((tick, values[1] * volume))
            elif sounding.get(key):
                start, level = sounding[key].pop(0)
                player = (number, channel, programs[channel])
                events.notes.setdefault(player, []).append((start, tick, key[1], level))


def _read_meta(kind: int, value: bytes, tick: int, events: _Events) -> None:
    if kind == 0x51:
        micros = int.from_bytes(value[:3], "big")
        if not micros:
            raise ValueError
        events.tempos.append((tick, 60e6 / micros))
    elif kind == 0x58:
        events.meters.append((tick, (value[0], 2 ** min(value[1], 6))))


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, and the place after it."""
    value = 0
    while True:
        value = value << 7 | data[at] & 127
        at += 1
        if data[at - 1] < 0x80:
            return value, at
