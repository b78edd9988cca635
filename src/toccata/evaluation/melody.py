"""Does the music take up the melody? Chroma cosine similarity (MusicGen, arXiv 2306.05284, section 3.2).

Shapes: N samples, T frames, C pitch classes.
"""

import librosa
import numpy as np

_N_FFT, _HOP = 4096, 1024


def chroma_of(wave_N: np.ndarray, sample_rate: int) -> np.ndarray:
    """Energy of each pitch class (T, C) by librosa, smoothed over about a third of a second; frames of unit length."""
    chroma_CT = librosa.feature.chroma_stft(
        y=wave_N, sr=sample_rate, n_fft=_N_FFT, hop_length=_HOP, tuning=0.0, norm=None
    )
    width = max(round(0.35 * sample_rate / _HOP), 1)
    kernel = np.hanning(width + 2)[1:-1]
    smooth_CT = np.stack([np.convolve(row, kernel, mode="same") for row in chroma_CT])
    return (smooth_CT / np.maximum(np.linalg.norm(smooth_CT, axis=0), 1e-9)).T


def chroma_cosine(hot_TC: np.ndarray, hot_rate: float, wave_N: np.ndarray, sample_rate: int) -> float:
    """Mean cosine between a one-hot melody (zero where it rests; frames at ``hot_rate`` Hz) and what a wave plays.

    1 where only the melody's pitch class sounds, about 0.29 where all twelve do. Rests don't count; a silent frame of
    the wave counts 0. The melody is compared as far as both last.
    """
    chroma_TC = chroma_of(wave_N, sample_rate)
    seconds = min(len(hot_TC) / hot_rate, len(wave_N) / sample_rate)
    times = np.arange(int(seconds * hot_rate)) / hot_rate
    heard_TC = chroma_TC[np.minimum((times * sample_rate / _HOP).round().astype(int), len(chroma_TC) - 1)]
    sung_TC = hot_TC[: len(times)]
    voiced = sung_TC.any(1)
    return float((sung_TC * heard_TC).sum(1)[voiced].mean()) if voiced.any() else 0.0
