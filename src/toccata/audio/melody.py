"""A melody as MusicGen hears it: the strongest pitch class of each frame of a recording, without drums and bass.

Shapes: C channels, N samples, T frames.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from toccata.audio.chroma import HOP, N_FFT, chromagram, strongest
from toccata.audio.resample import resample
from toccata.audio.separation import without_drums_and_bass
from toccata.audio.stems import Demucs
from toccata.errors import InputError

SAMPLE_RATE = 32000
FRAME_RATE = SAMPLE_RATE / HOP
SHORTEST_SECONDS = 0.5
QUIET, REST = 1e-4, 1e-3


@dataclass(frozen=True)
class Melody:
    """``hot_TC``: one-hot pitch classes at 7.8 Hz, zero where the melody rests."""

    hot_TC: Tensor

    def at(self, start: float, frames: int, frame_rate: float) -> Tensor:
        """The melody in ``frames`` frames of ``frame_rate`` Hz from ``start`` seconds on, again and again."""
        seconds = start + torch.arange(frames) / frame_rate
        return self.hot_TC[(seconds * FRAME_RATE).round().long() % len(self.hot_TC)]


def melody_of(samples_CN: np.ndarray, sample_rate: int, rests: bool = True, demucs: Demucs | None = None) -> Melody:
    """The melody of a recording (float, [-1, 1]); drums and bass are taken out first (MusicGen, section 2.3).

    That is done by ``demucs``, or, without it, by toccata's own filter. Without ``rests`` every frame has a pitch, as
    the published models were taught. Raises ``InputError`` for sound that is silent, not finite, or shorter than half a
    second.
    """
    samples_CN = np.atleast_2d(samples_CN)
    wave = checked_tune(samples_CN, sample_rate)
    mono = torch.from_numpy(resample(wave[None], sample_rate, SAMPLE_RATE)[0])
    pitched = (
        demucs.pitched(samples_CN, sample_rate, SAMPLE_RATE) if demucs else without_drums_and_bass(mono, SAMPLE_RATE)
    )
    if float(pitched.abs().max()) < QUIET:
        raise InputError("nothing but drums and bass was heard in the melody; hum, whistle or play a tune")
    chroma_CT = chromagram(pitched, SAMPLE_RATE)
    kept = max(round(len(mono) / HOP), 1)
    return Melody(strongest(chroma_CT[:, :kept], REST if rests else 0.0))


def checked_tune(samples_CN: np.ndarray, sample_rate: int) -> np.ndarray:
    """A melody's sound as mono float32; raises ``InputError`` where it is silent, not finite, or too short."""
    wave = np.atleast_2d(samples_CN).mean(0)
    if not np.isfinite(wave).all():
        raise InputError("the melody holds samples that are no numbers; record or export it again")
    if len(wave) < SHORTEST_SECONDS * sample_rate:
        raise InputError(f"the melody lasts {len(wave) / sample_rate:.2g} seconds; give at least {SHORTEST_SECONDS:g}")
    if np.abs(wave).max(initial=0.0) < QUIET:
        raise InputError("the melody is silent; record it louder")
    return wave.astype(np.float32)


def melody_of_notes(notes: list[list[float]], seconds: float) -> Melody | None:
    """The same from a score's melody, notes as [start, end, MIDI pitch]; None where there is none.

    A frame sees the whole window of the chromagram, and the pitch class that fills most of it wins.
    """
    if not notes:
        return None
    frames = max(round(seconds * FRAME_RATE), 1)
    fine = 8
    there_TC = torch.zeros(frames * fine, 12)
    for start, end, pitch in notes:
        first, last = round(start * FRAME_RATE * fine), round(end * FRAME_RATE * fine)
        there_TC[first : max(last, first + 1), round(pitch) % 12] += 1
    width = N_FFT // HOP * fine
    window = torch.hann_window(width + 1, periodic=False)[None, None]
    padded = torch.nn.functional.pad(there_TC.T[:, None], (width // 2, width // 2))
    power_CT = torch.nn.functional.conv1d(padded, window)[:, 0, ::fine][:, :frames]
    return Melody(strongest(power_CT, 0.02))
