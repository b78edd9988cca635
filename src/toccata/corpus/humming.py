"""A tune as people give it: hummed, whistled or sung, by small synthesisers with all the slips that come with it.

Shapes: N samples, J notes. Pitches are MIDI numbers, which need not be whole.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

Tune = Sequence[tuple[float, float, float]]
"""Notes one after another: [start, end, pitch], in seconds."""

_CURVE_RATE = 200
_TAIL = 0.25


@dataclass(frozen=True)
class Singing:
    """How steadily somebody sings.

    ``slide`` seconds from note to note, ``scoop`` semitones from below into a note, ``slip`` the usual fault of a note
    in semitones, ``drift`` that of the whole, ``vibrato`` its depth in semitones at ``vibrato_rate`` Hz, ``air`` the
    share of breath in the sound.
    """

    slide: float
    scoop: float
    slip: float
    drift: float
    vibrato: float
    vibrato_rate: float
    air: float


def hum(tune: Tune, rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """With closed lips: a glottis whose sound leaves through the nose, dark and without vowels. wave_N."""
    how = _drawn(rng, vibrato=0.3, air=(0.01, 0.06))
    pitch_N, level_N = _line(tune, how, rng, sample_rate)
    nose = [(rng.uniform(220, 320), 70.0, 1.0), (rng.uniform(900, 1200), 180.0, 0.12), (2300.0, 300.0, 0.03)]
    return _finished(_formants(_glottis(pitch_N, how, rng, sample_rate), nose, sample_rate) * level_N)


def sing(tune: Tune, rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Without words: "la", "doo", "na", a vowel for each note, with formants of a small or a large head. wave_N."""
    how = _drawn(rng, vibrato=0.6, air=(0.01, 0.1))
    pitch_N, level_N = _line(tune, how, rng, sample_rate)
    source_N = _glottis(pitch_N, how, rng, sample_rate)
    head, names = rng.uniform(0.9, 1.25), rng.permutation(list(_VOWELS))[: rng.integers(1, 4)]
    which = rng.integers(len(names), size=len(tune))
    out_N = np.zeros(len(source_N))
    for index, name in enumerate(names):
        vowel = [(head * hertz, width, gain) for hertz, width, gain in _VOWELS[name]]
        out_N += _formants(source_N, vowel, sample_rate) * _share(tune, which == index, len(source_N), sample_rate)
    return _finished(out_N * level_N)


def whistle(tune: Tune, rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """With the lips: a sine, its breath around it. wave_N."""
    how = _drawn(rng, vibrato=0.4, air=(0.05, 0.35))
    pitch_N, level_N = _line(tune, how, rng, sample_rate)
    turns_N = _turns(pitch_N, sample_rate)
    near_N = lfilter([0.03], [1, -0.97], rng.standard_normal(len(turns_N))) * 4  # breath that resonates with the tone
    far_N = np.diff(rng.standard_normal(len(turns_N) + 1)) * 0.1
    tone_N = np.sin(turns_N) + rng.uniform(0, 0.08) * np.sin(2 * turns_N)
    return _finished((tone_N + how.air * (near_N * np.cos(turns_N) + far_N)) * level_N)


VOICES: dict[str, tuple[Callable[[Tune, np.random.Generator, int], np.ndarray], float, float]] = {
    "hum": (hum, 41.0, 65.0),
    "voice": (sing, 43.0, 76.0),
    "whistle": (whistle, 72.0, 93.0),
}
"""What gives a tune by that name, and between which pitches."""

_VOWELS = {
    "a": ((730.0, 90.0, 1.0), (1090.0, 110.0, 0.5), (2440.0, 170.0, 0.1)),
    "e": ((530.0, 70.0, 1.0), (1840.0, 100.0, 0.35), (2480.0, 160.0, 0.15)),
    "i": ((270.0, 60.0, 1.0), (2290.0, 100.0, 0.25), (3010.0, 180.0, 0.15)),
    "o": ((570.0, 80.0, 1.0), (840.0, 100.0, 0.45), (2410.0, 170.0, 0.05)),
    "u": ((300.0, 60.0, 1.0), (870.0, 90.0, 0.2), (2240.0, 160.0, 0.03)),
}


def into_range(tune: Tune, low: float, high: float) -> list[tuple[float, float, float]]:
    """The tune by as many octaves higher or lower as bring its middle nearest to that of the range."""
    pitches = [pitch for *_, pitch in tune]
    octaves = round(((low + high) / 2 - (min(pitches) + max(pitches)) / 2) / 12)
    return [(start, end, pitch + 12 * octaves) for start, end, pitch in tune]


def _drawn(rng: np.random.Generator, vibrato: float, air: tuple[float, float]) -> Singing:
    return Singing(
        slide=rng.uniform(0.03, 0.12),
        scoop=rng.uniform(0, 1.5),
        slip=rng.uniform(0.02, 0.2),
        drift=rng.uniform(0, 0.3),
        vibrato=rng.uniform(0, vibrato),
        vibrato_rate=rng.uniform(4.5, 6.5),
        air=rng.uniform(*air),
    )


def _line(tune: Tune, how: Singing, rng: np.random.Generator, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Pitch and level of every sample: pitch_N, level_N."""
    seconds = tune[-1][1] + _TAIL
    at_T = np.arange(round(seconds * _CURVE_RATE) + 1) / _CURVE_RATE
    starts = np.array([start for start, *_ in tune])
    note_T = np.clip(np.searchsorted(starts, at_T, side="right") - 1, 0, None)
    aimed_J = np.array([pitch for *_, pitch in tune]) + how.slip * np.clip(rng.standard_normal(len(tune)), -2, 2)
    since_T = at_T - starts[note_T]
    pitch_T = (
        aimed_J[note_T] - how.scoop * np.exp(-np.maximum(since_T, 0) / 0.04) * (rng.random(len(tune)) < 0.4)[note_T]
    )
    pitch_T = _smooth(pitch_T, how.slide)
    trembling_T = np.clip((since_T - 0.15) / 0.3, 0, 1)  # vibrato sets in late
    pitch_T += how.vibrato * trembling_T * np.sin(2 * np.pi * how.vibrato_rate * at_T + rng.uniform(0, 6))
    pitch_T += how.drift * _wandering(len(at_T), rng)
    ends = np.array([end for _, end, _ in tune])
    sounding_T = (since_T >= 0) & (at_T < ends[note_T] - 0.02)
    tongued_T = (since_T < 0.03) & (rng.random(len(tune)) < rng.uniform(0, 1))[note_T]  # some notes are struck anew
    level_T = _smooth(sounding_T * np.where(tongued_T, 0.3, 1.0), rng.uniform(0.03, 0.08))
    level_T *= 1 + 0.2 * _wandering(len(at_T), rng)
    at_N = np.arange(round(seconds * sample_rate)) / sample_rate
    return np.interp(at_N, at_T, pitch_T), np.interp(at_N, at_T, level_T)


def _smooth(curve_T: np.ndarray, seconds: float) -> np.ndarray:
    """The curve without its corners: a Hann window of so many seconds wanders over it."""
    width = max(round(seconds * _CURVE_RATE), 1) | 1
    window = np.hanning(width + 2)[1:-1]
    return np.convolve(np.pad(curve_T, width // 2, mode="edge"), window / window.sum(), mode="valid")


def _wandering(frames: int, rng: np.random.Generator) -> np.ndarray:
    """A slow random curve of about unit size."""
    knots = rng.standard_normal(max(frames // _CURVE_RATE, 1) + 2)
    return np.interp(np.linspace(0, len(knots) - 1, frames), np.arange(len(knots)), knots)


def _turns(pitch_N: np.ndarray, sample_rate: int) -> np.ndarray:
    """The phase in radians of a tone of these pitches."""
    return 2 * np.pi * np.cumsum(440 * 2 ** ((pitch_N - 69) / 12)) / sample_rate


def _glottis(pitch_N: np.ndarray, how: Singing, rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """The flow through the vocal folds, differentiated: they open slowly and shut at once (Rosenberg 1971)."""
    shaken_N = 0.02 * np.asarray(lfilter([0.1], [1, -0.9], rng.standard_normal(len(pitch_N))))
    phase_N = _turns(pitch_N + shaken_N, sample_rate) / (2 * np.pi) % 1.0
    opening, closing = rng.uniform(0.35, 0.5), rng.uniform(0.12, 0.2)
    rising_N = 0.5 * (1 - np.cos(np.pi * phase_N / opening))
    falling_N = np.cos(0.5 * np.pi * (phase_N - opening) / closing)
    flow_N = np.where(phase_N < opening, rising_N, np.where(phase_N < opening + closing, falling_N, 0.0))
    breath_N = rng.standard_normal(len(flow_N)) * (0.3 + flow_N)  # most air passes while they are open
    pulses_N = np.diff(flow_N, prepend=0.0)
    return pulses_N / (pulses_N.std() + 1e-9) + how.air * breath_N


def _formants(source_N: np.ndarray, resonances: Sequence[tuple[float, float, float]], sample_rate: int) -> np.ndarray:
    """The source through resonances side by side, each of (hertz, bandwidth in hertz, gain)."""
    out_N = np.zeros(len(source_N))
    for hertz, width, gain in resonances:
        if hertz > 0.45 * sample_rate:
            continue
        radius, angle = np.exp(-np.pi * width / sample_rate), 2 * np.pi * hertz / sample_rate
        a = [1.0, -2 * radius * np.cos(angle), radius**2]
        out_N += lfilter([gain * (1 - radius)], a, source_N)
    return out_N


def _share(tune: Tune, chosen_J: np.ndarray, samples: int, sample_rate: int) -> np.ndarray:
    """1 on the chosen notes, 0 on the others, with short ramps between: they add up to 1."""
    at_T = np.arange(samples * _CURVE_RATE // sample_rate + 1) / _CURVE_RATE
    note_T = np.clip(np.searchsorted([start for start, *_ in tune], at_T, side="right") - 1, 0, None)
    curve_T = _smooth(chosen_J[note_T].astype(float), 0.05)
    return np.interp(np.arange(samples) / sample_rate, at_T, curve_T)


def _finished(wave_N: np.ndarray) -> np.ndarray:
    return (0.5 * wave_N / (np.abs(wave_N).max() + 1e-9)).astype(np.float32)
