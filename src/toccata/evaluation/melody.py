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


def chroma_cosine(
    hot_TC: np.ndarray, hot_rate: float, wave_N: np.ndarray, sample_rate: int, any_key: bool = False
) -> float:
    """Mean cosine between a one-hot melody (zero where it rests; frames at ``hot_rate`` Hz) and what a wave plays.

    1 where only the melody's pitch class sounds, about 0.29 where all twelve do. Rests don't count; a silent frame of
    the wave counts 0. The melody is compared as far as both last; in ``any_key``, with the best of its twelve
    transpositions, which chance gains by too.
    """
    return follows(hot_TC, hot_rate, chroma_of(wave_N, sample_rate), sample_rate, any_key)


def follows(
    hot_TC: np.ndarray, hot_rate: float, chroma_TC: np.ndarray, sample_rate: int, any_key: bool = False
) -> float:
    """``chroma_cosine`` with a wave of which ``chroma_of`` is known."""
    times = np.arange(len(hot_TC)) / hot_rate
    frames = (times * sample_rate / _HOP).round().astype(int)
    heard_TC = chroma_TC[frames[frames < len(chroma_TC)]]
    sung_TC = hot_TC[: len(heard_TC)]
    voiced = sung_TC.any(1)
    if not voiced.any():
        return 0.0
    keys = range(12) if any_key else (0,)
    return max(float((np.roll(sung_TC, key, 1) * heard_TC).sum(1)[voiced].mean()) for key in keys)
