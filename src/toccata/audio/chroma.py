"""Chromagrams: how strong each of the twelve pitch classes is, whatever the octave (checked against librosa).

Shapes: N samples, T frames, F frequency bins, C pitch classes (0 = C).
"""

from functools import lru_cache

import torch
from torch import Tensor

from toccata.audio.mel import magnitudes

N_FFT, HOP, BINS = 2**14, 2**12, 12


@lru_cache(maxsize=8)
def chroma_filters(sample_rate: int, n_fft: int = N_FFT) -> Tensor:
    """Weights (C, F) from frequency bins to pitch classes, tuned to A = 440 Hz, strongest about five octaves up.

    Each bin is a Gaussian in pitch as wide as the bin itself, so low bins blur over several classes (Ellis 2007).
    """
    hz = torch.arange(1, n_fft, dtype=torch.float64) * sample_rate / n_fft
    pitch = BINS * torch.log2(hz / (440.0 / 16))
    pitch_F = torch.cat([pitch[:1] - 1.5 * BINS, pitch])  # the bin at 0 Hz has no pitch: far below all others
    width_F = torch.cat([pitch_F.diff().clamp(min=1.0), pitch_F.new_ones(1)])
    half = BINS // 2
    away_CF = torch.remainder(pitch_F[None] - torch.arange(BINS)[:, None] + half + 10 * BINS, BINS) - half
    weights_CF = torch.exp(-0.5 * (2 * away_CF / width_F) ** 2)
    weights_CF = weights_CF / weights_CF.square().sum(0, keepdim=True).sqrt()
    weights_CF = weights_CF * torch.exp(-0.5 * ((pitch_F / BINS - 5.0) / 2.0) ** 2)
    return torch.roll(weights_CF, -3 * (BINS // 12), dims=0)[:, : n_fft // 2 + 1].float()  # counted from C, not A


def chromagram(wave_N: Tensor, sample_rate: int, n_fft: int = N_FFT, hop: int = HOP) -> Tensor:
    """Power of each pitch class in each frame (C, T), T = N // hop + 1; shorter sound is padded to one window."""
    missing = max(n_fft - len(wave_N), 0)
    wave_N = torch.nn.functional.pad(wave_N, (missing // 2, missing - missing // 2))
    # As published (torchaudio): mirrored at both ends, and normalised by the window's energy.
    mirrored = torch.nn.functional.pad(wave_N[None], (n_fft // 2, n_fft // 2), mode="reflect")
    energy = torch.hann_window(n_fft).square().sum()
    return chroma_filters(sample_rate, n_fft) @ (magnitudes(mirrored, n_fft, hop, center=False)[0].square() / energy)


def strongest(chroma_CT: Tensor, floor: float = 0.0) -> Tensor:
    """One-hot (T, C) of each frame's strongest class (MusicGen, section 2.3: so that a source can't be copied).

    Frames weaker than ``floor`` times the loudest frame hold nothing.
    """
    hot_TC = torch.nn.functional.one_hot(chroma_CT.argmax(0), BINS).float()
    loud_T = chroma_CT.amax(0)
    return hot_TC * (loud_T > floor * loud_T.max())[:, None] if floor else hot_TC
