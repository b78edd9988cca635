"""Reads SoundFont 3 files: presets, their zones and the Vorbis samples behind them.

Source: SoundFont Technical Specification 2.01 (zones, generators, modulators); version 3 differs in that a sample is an
Ogg Vorbis stream and its loop counts from the sample's own start. Read are the modulators that follow a note's key and
velocity; what the house band never uses is not: LFOs, controllers, effect sends.
"""

import io
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from toccata.errors import InputError

_BAG = np.dtype([("gen", "<u2"), ("mod", "<u2")])
_GEN = np.dtype([("oper", "<u2"), ("amount", "<i2")])
_MOD = np.dtype([("source", "<u2"), ("dest", "<u2"), ("amount", "<i2"), ("by", "<u2"), ("transform", "<u2")])
_PRESET = np.dtype([("name", "S20"), ("program", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("rest", "V12")])
_INSTRUMENT = np.dtype([("name", "S20"), ("bag", "<u2")])
_SAMPLE = np.dtype([
    ("name", "S20"), ("start", "<u4"), ("end", "<u4"), ("loop_start", "<u4"), ("loop_end", "<u4"), ("rate", "<u4"),
    ("pitch", "u1"), ("correction", "i1"), ("link", "<u2"), ("type", "<u2"),
])  # fmt: skip
_TABLES = {
    "phdr": _PRESET, "pbag": _BAG, "pmod": _MOD, "pgen": _GEN,
    "inst": _INSTRUMENT, "ibag": _BAG, "imod": _MOD, "igen": _GEN, "shdr": _SAMPLE,
}  # fmt: skip

# Generators, by their numbers in the specification.
START, LOOP_START, LOOP_END, START_COARSE = 0, 2, 3, 4
CUTOFF, RESONANCE, MOD_TO_CUTOFF, PAN = 8, 9, 11, 17
MOD_DELAY, MOD_ATTACK, MOD_HOLD, MOD_DECAY, MOD_SUSTAIN = 25, 26, 27, 28, 29
DELAY, ATTACK, HOLD, DECAY, SUSTAIN, RELEASE = 33, 34, 35, 36, 37, 38
INSTRUMENT, KEYS, VELOCITIES, ATTENUATION, COARSE_TUNE, FINE_TUNE = 41, 43, 44, 48, 51, 52
SAMPLE, LOOP_MODE, SCALE_TUNING, EXCLUSIVE, ROOT, _COUNT = 53, 54, 56, 57, 58, 61

_DEFAULTS = np.zeros(_COUNT, np.int64)
_DEFAULTS[[DELAY, ATTACK, HOLD, DECAY, RELEASE, MOD_DELAY, MOD_ATTACK, MOD_HOLD, MOD_DECAY]] = -12000
_DEFAULTS[[CUTOFF, SCALE_TUNING, ROOT]] = 13500, 100, -1
_DEFAULTS[[KEYS, VELOCITIES]] = 127 << 8
_NOTHING_ADDED = np.zeros(_COUNT, np.int64)
_NOTHING_ADDED[[KEYS, VELOCITIES]] = 127 << 8
_OF_INSTRUMENTS_ONLY = [START, LOOP_START, LOOP_END, START_COARSE, KEYS, VELOCITIES, SAMPLE, LOOP_MODE, EXCLUSIVE, ROOT]

_VELOCITY, _KEY = 2, 3
_Modulators = dict[tuple[int, int, int], int]
_VELOCITY_ATTENUATES: _Modulators = {(0x502, ATTENUATION, 0): 960}


class Envelope(NamedTuple):
    """Times in seconds; ``sustain`` is dB below the peak for loudness, 0-1 of the peak for the filter."""

    delay: float
    attack: float
    hold: float
    decay: float
    sustain: float
    release: float = 0.0


class Articulation(NamedTuple):
    """How a zone sounds at one key and velocity: pitch against the sample's own, loudness, and a low-pass filter that
    ``sweep`` moves by ``sweep_cents`` (cutoff in cents above 8.176 Hz)."""

    cents: float
    attenuation_db: float
    cutoff: float
    resonance_db: float
    sweep_cents: float
    loudness: Envelope
    sweep: Envelope


@dataclass(frozen=True, eq=False)
class Zone:
    """One sample over a range of keys and velocities. ``pan`` is -0.5 (left) to 0.5, loop points are in samples.

    ``shaded`` says that velocity changes more than the loudness.
    """

    sample: int
    keys: tuple[int, int]
    velocities: tuple[int, int]
    start: int
    loop: tuple[int, int] | None
    pan: float
    exclusive: int
    root: int
    generators: tuple[int, ...]
    modulators: tuple[tuple[int, int, int, int], ...]

    @cached_property
    def shaded(self) -> bool:
        return any(
            amount and dest != ATTENUATION and _VELOCITY in (source & 127, by & 127)
            for source, dest, by, amount in self.modulators
        )

    def covers(self, pitch: int, velocity: int) -> bool:
        return self.keys[0] <= pitch <= self.keys[1] and self.velocities[0] <= velocity <= self.velocities[1]

    @lru_cache(maxsize=65536)  # noqa: B019 - zones live as long as their font, which is kept anyway
    def articulate(self, pitch: int, velocity: int) -> Articulation:
        g = [float(amount) for amount in self.generators]
        g[ATTENUATION] *= 0.4  # players of the format agree on this share of what the specification states
        for source, dest, by, amount in self.modulators:
            g[dest] += amount * _follow(source, pitch, velocity) * (_follow(by, pitch, velocity) if by else 1.0)
        return Articulation(
            cents=(pitch - self.root) * g[SCALE_TUNING] + 100 * g[COARSE_TUNE] + g[FINE_TUNE],
            attenuation_db=g[ATTENUATION] / 10,
            cutoff=g[CUTOFF],
            resonance_db=min(max(g[RESONANCE] / 10, 0), 96),
            sweep_cents=g[MOD_TO_CUTOFF],
            loudness=Envelope(*(_seconds(g[k]) for k in (DELAY, ATTACK, HOLD, DECAY)),
                              sustain=min(max(g[SUSTAIN] / 10, 0), 100), release=_seconds(g[RELEASE])),
            sweep=Envelope(*(_seconds(g[k]) for k in (MOD_DELAY, MOD_ATTACK, MOD_HOLD, MOD_DECAY)),
                           sustain=1 - min(max(g[MOD_SUSTAIN] / 1000, 0), 1)),
        )  # fmt: skip


class SoundFont:
    """A SoundFont 3 file in memory. Melodic presets are in bank 0, drum kits in bank 128.

    Raises InputError when the file isn't a SoundFont 3.
    """

    def __init__(self, path: Path) -> None:
        self._data = path.read_bytes()
        found = {name: (at, size) for _, start, length in _chunks(self._data, 12, len(self._data))
                 for name, at, size in _chunks(self._data, start + 4, start + length)}  # fmt: skip
        if self._data[:4] != b"RIFF" or self._data[8:12] != b"sfbk" or not {*_TABLES, "ifil", "smpl"} <= found.keys():
            raise InputError(f"{path} is not a SoundFont file; delete it so that a whole one is fetched.")
        if struct.unpack_from("<H", self._data, found["ifil"][0])[0] != 3:
            raise InputError(f"{path} is not a SoundFont 3 file (.sf3), the only kind read here.")
        self._waves = found["smpl"][0]
        self._tables = {
            name: np.frombuffer(self._data, kind, found[name][1] // kind.itemsize, found[name][0])
            for name, kind in _TABLES.items()
        }
        self._presets = {
            (int(head["bank"]), int(head["program"])): index for index, head in enumerate(self._tables["phdr"][:-1])
        }
        self._read: dict[int, tuple[Zone, ...]] = {}

    def zones(self, bank: int, program: int) -> tuple[Zone, ...]:
        """The zones of a preset; for a program or kit that the font lacks, those of its bank's first."""
        index = self._presets.get((bank, program), self._presets.get((bank, 0), 0))
        if index not in self._read:
            self._read[index] = self._preset(index)
        return self._read[index]

    def wave(self, sample: int) -> tuple[np.ndarray, int]:
        """Decode one sample: float32 (samples,) in [-1, 1] and its rate in Hz."""
        head = self._tables["shdr"][sample]
        stream = self._data[self._waves + int(head["start"]) : self._waves + int(head["end"])]
        wave, _ = soundfile.read(io.BytesIO(stream), dtype="float32")
        return wave, int(head["rate"])

    def _zones(
        self, level: str, index: int, base: np.ndarray, moved: _Modulators
    ) -> list[tuple[np.ndarray, _Modulators]]:
        """The zones of a preset or an instrument: generators and modulators, each laid over the global zone's."""
        letter, last = ("p", INSTRUMENT) if level == "phdr" else ("i", SAMPLE)
        heads, bags = self._tables[level], self._tables[letter + "bag"]
        zones: list[tuple[np.ndarray, _Modulators]] = []
        first = int(heads[index]["bag"])
        for bag in range(first, int(heads[index + 1]["bag"])):
            rows = self._tables[letter + "gen"][bags[bag]["gen"] : bags[bag + 1]["gen"]]
            rows = rows[rows["oper"] < _COUNT]
            generators = base.copy()
            generators[rows["oper"]] = rows["amount"]
            modulators = moved | _followers(self._tables[letter + "mod"][bags[bag]["mod"] : bags[bag + 1]["mod"]])
            if last in rows["oper"]:
                zones.append((generators, modulators))
            elif bag == first:
                base, moved = generators, modulators
        return zones

    def _preset(self, index: int) -> tuple[Zone, ...]:
        zones = [
            self._zone(added, more, generators, modulators)
            for added, more in self._zones("phdr", index, _NOTHING_ADDED, {})
            for generators, modulators in self._zones("inst", added[INSTRUMENT], _DEFAULTS, _VELOCITY_ATTENUATES)
        ]
        return tuple(z for z in zones if z.keys[0] <= z.keys[1] and z.velocities[0] <= z.velocities[1])

    def _zone(self, added: np.ndarray, more: _Modulators, generators: np.ndarray, modulators: _Modulators) -> Zone:
        keys = _overlap(added[KEYS], generators[KEYS])
        velocities = _overlap(added[VELOCITIES], generators[VELOCITIES])
        added = added.copy()
        added[_OF_INSTRUMENTS_ONLY] = 0
        g = generators + added
        head = self._tables["shdr"][g[SAMPLE]]
        g[FINE_TUNE] += int(head["correction"])
        loop = (int(head["loop_start"] + g[LOOP_START]), int(head["loop_end"] + g[LOOP_END]))
        merged = {key: modulators.get(key, 0) + more.get(key, 0) for key in {**modulators, **more}}
        return Zone(
            sample=int(g[SAMPLE]),
            keys=keys,
            velocities=velocities,
            start=int(g[START] + 32768 * g[START_COARSE]),
            loop=loop if g[LOOP_MODE] & 1 and loop[1] - loop[0] > 1 else None,
            pan=min(max(int(g[PAN]) / 1000, -0.5), 0.5),
            exclusive=int(g[EXCLUSIVE]),
            root=int(g[ROOT]) if g[ROOT] >= 0 else int(head["pitch"]),
            generators=tuple(g.tolist()),
            modulators=tuple((*key, amount) for key, amount in merged.items() if amount),
        )


def _chunks(data: bytes, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    while start + 8 <= end:
        (size,) = struct.unpack_from("<I", data, start + 4)
        yield data[start : start + 4].decode("latin-1"), start + 8, size
        start += 8 + size


def _followers(rows: np.ndarray) -> _Modulators:
    """The modulators that a note's key and velocity drive."""
    return {
        (int(m["source"]), int(m["dest"]), int(m["by"])): int(m["amount"])
        for m in rows
        if m["source"] & 0xFF in (_VELOCITY, _KEY) and m["by"] & 0xFF in (0, _VELOCITY, _KEY) and m["dest"] < _COUNT
    }


def _follow(source: int, pitch: int, velocity: int) -> float:
    """A modulator source's value: -1 to 1 where it is bipolar, else 0 to 1."""
    x = min(max((velocity if source & 127 == _VELOCITY else pitch) / 127, 0), 1)
    x = 1 - x if source & 0x100 else x
    curve = source >> 10
    if curve == 1:
        x = _concave(x)
    elif curve == 2:
        x = 1 - _concave(1 - x)
    elif curve == 3:
        x = float(x >= 0.5)
    return 2 * x - 1 if source & 0x200 else x


def _concave(x: float) -> float:
    return 1.0 if x >= 0.996 else min(-400 / 960 * math.log10(1 - x), 1.0)


def _seconds(timecents: float) -> float:
    return 0.0 if timecents <= -12000 else 2.0 ** (min(timecents, 8000) / 1200)


def _overlap(a: int, b: int) -> tuple[int, int]:
    return max(int(a) & 0xFF, int(b) & 0xFF), min(int(a) >> 8, int(b) >> 8)
