"""Guards against sound that is no music: silence, noise, stuck notes, cut-off peaks. Waves of a few seconds or more."""

from itertools import pairwise

import librosa
import numpy as np

_SILENCE_DB = -60.0
_NOISE_FLATNESS = 0.8
_STUCK_LIKENESS = 0.96
MOST_CLIPPED = 1e-3


def is_silent(wave_N: np.ndarray, sample_rate: int) -> bool:
    """More than half of its 50 ms frames lie below -60 dBFS (root mean square)."""
    size = sample_rate // 20
    frames = wave_N[: len(wave_N) // size * size].reshape(-1, size).astype(np.float64)
    return bool(np.median(np.square(frames).mean(1)) < 10 ** (_SILENCE_DB / 10))


def is_noise(wave_N: np.ndarray, sample_rate: int) -> bool:
    """Flat within third-octave bands: no tone stands out, whatever the noise's colour.

    The flatness (geometric over arithmetic mean) of the power spectrum of half a second, averaged over the third-octave
    bands from 400 Hz to 8 kHz that are at most 40 dB below the whole, is above 0.8 in the median half-second.
    """
    flat = noise_flatness(wave_N, sample_rate)
    return flat > _NOISE_FLATNESS


def noise_flatness(wave_N: np.ndarray, sample_rate: int) -> float:
    """What ``is_noise`` looks at: near 1 for noise of any colour, below 0.7 for nearly all music; 0 for silence."""
    n_fft = 2 ** round(np.log2(sample_rate * 0.085))
    hop = n_fft // 4
    power = np.square(np.abs(librosa.stft(wave_N.astype(np.float32), n_fft=n_fft, hop_length=hop))).astype(np.float64)
    block = max(sample_rate // 2 // hop, 1)
    power = power[:, : power.shape[1] // block * block].reshape(len(power), -1, block).mean(2)
    hertz = librosa.fft_frequencies(sr=sample_rate, n_fft=n_fft)
    whole = power[hertz >= 40].sum(0)
    power, whole = power[:, whole > 1e-3], whole[whole > 1e-3]
    if not power.size:
        return 0.0
    flatness, counts = np.zeros(power.shape[1]), np.zeros(power.shape[1])
    for low, high in pairwise(400 * 2 ** (np.arange(14) / 3)):
        band = power[(hertz >= low) & (hertz < high)] + 1e-12
        loud = band.sum(0) > 1e-4 * whole
        flatness += np.where(loud, np.exp(np.log(band).mean(0)) / band.mean(0), 0.0)
        counts += loud
    return float(np.median(flatness / np.maximum(counts, 1)))


def is_stuck(wave_N: np.ndarray, sample_rate: int) -> bool:
    """For half of the clip or longer nothing but the loudness changes."""
    return longest_still(wave_N, sample_rate) >= 0.5 * len(wave_N) / sample_rate


def longest_still(wave_N: np.ndarray, sample_rate: int) -> float:
    """Seconds of the longest stretch whose spectra all look like the first of it.

    Spectra: magnitudes from 40 Hz to 4 kHz, averaged over half a second, every tenth of a second; alike where their
    cosine is above 0.96. What is quieter than -60 dBFS is never like anything.
    """
    hop = sample_rate // 10
    magnitudes = np.abs(librosa.stft(wave_N.astype(np.float32), n_fft=4096, hop_length=hop))
    hertz = librosa.fft_frequencies(sr=sample_rate, n_fft=4096)
    heard = magnitudes[(hertz >= 40) & (hertz <= 4000)]
    smooth = np.lib.stride_tricks.sliding_window_view(heard, 5, axis=1).mean(-1).T
    length = np.linalg.norm(smooth, axis=1)
    smooth /= np.maximum(length, 1e-9)[:, None]
    alike = (smooth @ smooth.T > _STUCK_LIKENESS) & (length > 1.0)[:, None]
    runs = [int(np.argmin(row[at:])) if not row[at:].all() else len(row) - at for at, row in enumerate(alike)]
    return max(runs, default=0) / 10


def clipped_share(samples_CN: np.ndarray) -> float:
    """Share of the samples that lie in runs of three or more at one extreme value of 0.98 or above: cut-off peaks."""
    if samples_CN.shape[-1] < 3:
        return 0.0
    loudest_C = np.abs(samples_CN).max(-1, keepdims=True)
    full = (np.abs(samples_CN) >= loudest_C - 1e-4) & (loudest_C >= 0.98)
    flat = full[:, 1:-1] & full[:, :-2] & full[:, 2:] & (np.sign(samples_CN[:, :-2]) == np.sign(samples_CN[:, 2:]))
    inside = np.zeros_like(full)
    for shift in range(3):
        inside[:, shift : shift + flat.shape[1]] |= flat
    return float(inside.mean())
