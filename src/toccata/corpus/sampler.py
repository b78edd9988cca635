"""Plays notes with a SoundFont's samples: pitch by cubic interpolation, loops, envelopes, filters, velocity.

Built for rendering corpora: a note is two multiply-adds once its voice (zone, pitch, shade of velocity) has been made,
and what is played depends on the arguments only, never on what was played before.
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.signal import firwin, lfilter, oaconvolve

from toccata.corpus.sf2 import Articulation, Envelope, SoundFont, Zone

_LONGEST_RELEASE = 3.0
_SHORTEST_RELEASE = 0.012
_CHOKE = 0.02
_SHADE = 32
_CHUNK = 8192  # frames that stay in a core's cache
_SOURCES = 600  # decoded samples kept, about 0.35 MB each
_SWEEP_STEP = 1800


class Sound(NamedTuple):
    """A note to play: onset and length in seconds, MIDI pitch and velocity (0-127)."""

    start: float
    seconds: float
    pitch: int
    velocity: int


class _Strike(NamedTuple):
    """A voice's use: onset and length in frames, and whether another sound cuts it."""

    first: int
    held: int
    velocity: int
    choked: bool


class _Voice(NamedTuple):
    bare: np.ndarray
    level: np.ndarray
    held: np.ndarray
    release: np.ndarray


class Sampler:
    """One SoundFont at one sample rate."""

    def __init__(self, font: SoundFont, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._font = font
        self._source = lru_cache(maxsize=_SOURCES)(self._prepare)
        self._zones = lru_cache(maxsize=65536)(self._covering)

    def play(self, sounds: Sequence[Sound], program: int, frames: int, drums: bool = False) -> np.ndarray:
        """Play ``sounds`` with a General MIDI program (or drum kit): float32 (2, frames), time 0 first.

        What reaches past ``frames`` is cut off. A kit that the font lacks plays as the standard one.
        """
        out_CN = np.zeros((2, frames), np.float32)
        strikes: dict[tuple[Zone, int, int], list[_Strike]] = defaultdict(list)
        for zone, sound, choked_at in self._assign(sounds, program, drums):
            first = max(round(sound.start * self.sample_rate), 0)
            # A stroke rings on after its note, so what will be choked is held until then.
            choked = choked_at < np.inf and zone.loop is None
            end = choked_at if choked else sound.start + sound.seconds
            if first < frames:
                held = min(max(round(end * self.sample_rate) - first, 1), frames - first)
                shade = sound.velocity // _SHADE if zone.shaded else 0
                strikes[zone, sound.pitch, shade].append(_Strike(first, held, sound.velocity, choked))
        for (zone, pitch, shade), struck in strikes.items():
            self._strike(out_CN, zone, pitch, shade, struck)
        return out_CN

    def _covering(self, program: int, drums: bool, pitch: int, velocity: int) -> tuple[Zone, ...]:
        zones = self._font.zones(128 if drums else 0, program)
        return tuple(zone for zone in zones if zone.covers(pitch, velocity))

    def _assign(self, sounds: Sequence[Sound], program: int, drums: bool) -> list[tuple[Zone, Sound, float]]:
        """Which zones play each sound, and when the next of their exclusive class (open, closed hat) cuts it."""
        assigned: list[tuple[Zone, Sound, float]] = []
        next_of_class: dict[int, float] = {}
        for sound in sorted(sounds, key=lambda s: -s.start):
            zones = self._zones(program, drums, sound.pitch, sound.velocity)
            assigned += [(zone, sound, next_of_class.get(zone.exclusive, np.inf)) for zone in zones]
            next_of_class.update((zone.exclusive, sound.start) for zone in zones if zone.exclusive)
        return assigned

    def _strike(self, out_CN: np.ndarray, zone: Zone, pitch: int, shade: int, strikes: list[_Strike]) -> None:
        """Add every use of one voice to ``out_CN``."""
        frames = out_CN.shape[1]
        how = zone.articulate(pitch, shade * _SHADE + _SHADE // 2)
        voice = self._voice(zone, how, max(strike.held for strike in strikes))
        choke = _fall(_CHOKE, self.sample_rate)
        angle = (zone.pan + 0.5) * np.pi / 2
        for first, held, velocity, choked in strikes:
            # A resonant filter is turned down by half of its resonance, as players of the format do.
            lower = zone.articulate(pitch, velocity).attenuation_db + (how.resonance_db - 3.01) / 2
            release = choke if choked else voice.release
            sounding = min(held, len(voice.held))
            tail = min(len(release), len(voice.bare) - held, frames - first - held)
            for channel, share in enumerate((np.cos(angle), np.sin(angle))):
                if share < 1e-3:
                    continue
                gain = np.float32(share * 10 ** (-lower / 20))
                out_CN[channel, first : first + sounding] += voice.held[:sounding] * gain
                if tail > 0:
                    left = gain * voice.level[held]
                    out_CN[channel, first + held : first + held + tail] += (
                        voice.bare[held : held + tail] * release[:tail] * left
                    )

    def _voice(self, zone: Zone, how: Articulation, held: int) -> _Voice:
        """A zone's sound, long enough to be held for ``held`` frames and released."""
        release = _fall(max(how.loudness.release, _SHORTEST_RELEASE), self.sample_rate)
        bare = self._filter(how, self._pitched(zone, how.cents, held + len(release)))
        level = _loudness(how.loudness, held + 1, self.sample_rate)
        held = min(held, len(bare))
        return _Voice(bare, level, bare[:held] * level[:held], release)

    def _pitched(self, zone: Zone, cents: float, frames: int) -> np.ndarray:
        """The zone's sample read ``cents`` above its own pitch, looped where it loops: float32, at most ``frames``."""
        source, rate = self._source(zone.sample, int(np.ceil(cents / 400)))
        step = rate / self.sample_rate * 2.0 ** (cents / 1200)
        end = len(source) - 5
        if zone.loop is None:
            frames = min(frames, max(int((end - zone.start) / step), 0))
        loop = None if zone.loop is None else (zone.loop[0], min(zone.loop[1], end))
        out = np.empty(frames, np.float32)
        for first in range(0, frames, _CHUNK):
            last = min(first + _CHUNK, frames)
            out[first:last] = _read(source, np.arange(first, last) * step + zone.start, loop)
        return out

    def _prepare(self, sample: int, third: int) -> tuple[np.ndarray, int]:
        """A decoded sample, low-passed so that it can be read ``third`` major thirds higher without aliasing."""
        wave, rate = self._font.wave(sample)
        cutoff = 0.46 * self.sample_rate / 2.0 ** (third / 3)
        if cutoff < 0.45 * rate and len(wave):
            taps = np.asarray(firwin(63, cutoff, fs=rate), np.float32)
            wave = np.asarray(oaconvolve(wave, taps, mode="same"), np.float32)
        return np.pad(wave, (1, 4)), rate

    def _filter(self, how: Articulation, wave: np.ndarray) -> np.ndarray:
        if abs(how.sweep_cents) < 100 or not len(wave):
            return self._lowpass(wave, how.cutoff, how.resonance_db)
        # The envelope moves the cutoff: fade between filters along its way, cheaper than one that changes.
        swept = _sweep(how.sweep, len(wave), self.sample_rate)
        lowest, highest = float(swept.min()), float(swept.max())
        stops = int(np.ceil((highest - lowest) * abs(how.sweep_cents) / _SWEEP_STEP))
        if stops == 0:
            return self._lowpass(wave, how.cutoff + how.sweep_cents * highest, how.resonance_db)
        at = (swept - np.float32(lowest)) * np.float32(stops / (highest - lowest))
        out = np.zeros_like(wave)
        for stop in range(stops + 1):
            opened = lowest + (highest - lowest) * stop / stops
            share = np.maximum(1 - np.abs(at - np.float32(stop)), 0)
            out += self._lowpass(wave, how.cutoff + how.sweep_cents * opened, how.resonance_db) * share
        return out

    def _lowpass(self, wave: np.ndarray, cents: float, resonance_db: float) -> np.ndarray:
        hertz = 8.176 * 2.0 ** (min(max(cents, 1500), 13500) / 1200)
        if hertz > 0.4 * self.sample_rate or not len(wave):
            return wave
        turn = 2 * np.pi * hertz / self.sample_rate
        alpha = np.sin(turn) / (2 * 10 ** ((resonance_db - 3.01) / 20))
        cos = np.cos(turn)
        b = np.array([(1 - cos) / 2, 1 - cos, (1 - cos) / 2]) / (1 + alpha)
        a = np.array([1 + alpha, -2 * cos, 1 - alpha]) / (1 + alpha)
        return np.asarray(lfilter(b, a, wave), np.float32)


def _read(source: np.ndarray, at: np.ndarray, loop: tuple[int, int] | None) -> np.ndarray:
    """Samples between samples, by Catmull-Rom's cubic; ``source`` has one sample more in front than ``at`` counts."""
    if loop is not None and at[-1] >= loop[1]:
        beyond = int(np.searchsorted(at, loop[1]))
        at[beyond:] = loop[0] + (at[beyond:] - loop[0]) % max(loop[1] - loop[0], 1)
    whole = at.astype(np.intp)
    x = (at - whole).astype(np.float32)
    a, b, c, d = (source[k:].take(whole, mode="clip") for k in range(4))
    slope = c - a
    slope *= 0.5
    cubic = b - c
    cubic *= 3
    cubic += d
    cubic -= a
    cubic *= 0.5
    out = cubic * x
    out += a - b + slope - cubic
    out *= x
    out += slope
    out *= x
    out += b
    return out


@lru_cache(maxsize=256)
def _fall(seconds: float, sample_rate: int) -> np.ndarray:
    """A release: 100 dB in ``seconds``, of which the first 60 dB are kept."""
    frames = max(int(min(0.6 * seconds, _LONGEST_RELEASE) * sample_rate), 16)
    fall = np.exp(np.arange(frames, dtype=np.float32) * np.float32(-11.5 / max(seconds * sample_rate, 16)))
    return fall * np.linspace(1, 0, frames, dtype=np.float32)


def _loudness(envelope: Envelope, frames: int, sample_rate: int) -> np.ndarray:
    """Amplitude of a held note: a straight attack, then a fall of 100 dB per ``decay`` to ``sustain`` dB below."""
    level = np.ones(frames, np.float32)
    delay, attack = int(envelope.delay * sample_rate), int(envelope.attack * sample_rate)
    rising = level[delay : delay + attack]
    rising[:] = np.arange(len(rising), dtype=np.float32) / max(attack, 1)
    level[:delay] = 0
    falling = level[delay + attack + int(envelope.hold * sample_rate) :]
    if envelope.sustain > 0 and len(falling):
        fall = np.arange(len(falling), dtype=np.float32) * np.float32(100 / max(envelope.decay * sample_rate, 1))
        falling[:] = np.exp(np.minimum(fall, np.float32(envelope.sustain)) * np.float32(-np.log(10) / 20))
    return level


def _sweep(envelope: Envelope, frames: int, sample_rate: int) -> np.ndarray:
    """The filter's envelope, 0 to 1, straight from point to point."""
    times = np.cumsum([envelope.delay, envelope.attack, envelope.hold, max(envelope.decay, 0.001)]) * sample_rate
    if times[1] < 1:
        times, points = times[2:], [1.0, envelope.sustain]
    else:
        points = [0.0, 1.0, 1.0, envelope.sustain]
    return np.interp(np.arange(frames), times, points).astype(np.float32)
