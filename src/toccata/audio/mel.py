"""Mel filters and log-mel spectrograms in torch (checked against librosa).

Shapes: B batch, N samples, T frames, M mel bands, F frequency bins.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

_MEAN, _SPREAD = -5.0, 3.5  # of the logarithm of band music's mels, about
_LOUDEST = 7.0  # logarithm of a mel


def _hz_to_mel(hz: float) -> float:
    """Slaney's scale: linear below 1 kHz, logarithmic above."""
    return hz * 3 / 200 if hz < 1000 else 15 + math.log(hz / 1000) * 27 / math.log(6.4)


def _mel_to_hz(mel: Tensor) -> Tensor:
    return torch.where(mel < 15, mel * 200 / 3, 1000 * torch.exp((mel - 15) * math.log(6.4) / 27))


@lru_cache(maxsize=32)
def mel_filters(
    sample_rate: int, n_fft: int, bands: int, low: float = 0.0, high: float | None = None, htk: bool = False
) -> Tensor:
    """Triangular filters (M, F), from ``low`` to ``high`` Hz (half the rate by default).

    On Slaney's scale and normalised to equal areas, as librosa has them; or, with ``htk``, on HTK's logarithmic scale
    with peaks of 1, as torchaudio has them.
    """
    hz = _htk_edges(bands, low, high or sample_rate / 2) if htk else _slaney_edges(bands, low, high or sample_rate / 2)
    bins = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    rise = (bins[None] - hz[:-2, None]) / (hz[1:-1] - hz[:-2])[:, None]
    fall = (hz[2:, None] - bins[None]) / (hz[2:] - hz[1:-1])[:, None]
    triangles = torch.minimum(rise, fall).clamp(min=0)
    return triangles.float() if htk else (triangles * (2 / (hz[2:] - hz[:-2]))[:, None]).float()


def _slaney_edges(bands: int, low: float, high: float) -> Tensor:
    return _mel_to_hz(torch.linspace(_hz_to_mel(low), _hz_to_mel(high), bands + 2, dtype=torch.float64))


def _htk_edges(bands: int, low: float, high: float) -> Tensor:
    first, last = math.log1p(low / 700), math.log1p(high / 700)
    return 700 * torch.linspace(first, last, bands + 2, dtype=torch.float64).expm1()


@lru_cache(maxsize=8)
def warped_filters(sample_rate: int, n_fft: int, bands: int, low: float, high: float) -> Tensor:
    """Filters (M, F) in float64 that are triangles on HTK's mel scale itself, not over frequency, with peaks of 1.

    As TensorFlow and Kaldi have them.
    """

    def mel(hz: Tensor) -> Tensor:
        return (hz / 700).log1p()

    first, last = mel(torch.tensor([low, high], dtype=torch.float64)).tolist()
    edges = torch.linspace(first, last, bands + 2, dtype=torch.float64)[:, None]
    bins_F = mel(torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64))
    rise, fall = (bins_F - edges[:-2]) / (edges[1:-1] - edges[:-2]), (edges[2:] - bins_F) / (edges[2:] - edges[1:-1])
    return torch.minimum(rise, fall).clamp(min=0)


@lru_cache(maxsize=8)
def pitch_filters(sample_rate: int, n_fft: int, bands: int, low: float, per_octave: int) -> Tensor:
    """Triangular filters (M, F) of equal areas from ``low`` Hz on, ``per_octave`` to an octave.

    A transposition moves their outputs along. None is narrower than what the transform can tell apart.
    """
    centre = low * 2 ** (torch.arange(bands).double() / per_octave)
    half = torch.maximum(centre * (2 ** (1 / per_octave) - 1), torch.tensor(1.5 * sample_rate / n_fft))
    bins = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    return ((1 - (bins - centre[:, None]).abs() / half[:, None]).clamp(min=0) / half[:, None]).float()


def magnitudes(wave_BN: Tensor, n_fft: int, hop: int, center: bool = True) -> Tensor:
    """STFT magnitudes with a Hann window: (B, F, T)."""
    window = torch.hann_window(n_fft, device=wave_BN.device)
    spectrum = torch.stft(wave_BN, n_fft, hop, window=window, center=center, pad_mode="constant", return_complex=True)
    return torch.view_as_real(spectrum).square().sum(-1).clamp(min=1e-12).sqrt()


@lru_cache(maxsize=4)
def _low_basis(n_fft: int, bins: int) -> Tensor:
    """Windowed cosines and sines of the first ``bins`` bins: (n_fft, 2 bins)."""
    angles = torch.outer(torch.arange(n_fft).double(), torch.arange(bins).double()) * (2 * torch.pi / n_fft)
    window = torch.hann_window(n_fft, dtype=torch.float64)[:, None]
    return torch.cat([angles.cos() * window, angles.sin() * window], dim=1).float()


def low_magnitudes(wave_BN: Tensor, n_fft: int, hop: int, bins: int) -> Tensor:
    """The first ``bins`` rows of ``magnitudes``: as one product, which is faster than a transform with all bins."""
    padded = torch.nn.functional.pad(wave_BN, (n_fft // 2, n_fft // 2))
    with torch.autocast(wave_BN.device.type, enabled=False):
        parts = padded.unfold(1, n_fft, hop) @ _low_basis(n_fft, bins).to(wave_BN.device)
    cos, sin = parts.chunk(2, dim=-1)
    return (cos.square() + sin.square()).clamp(min=1e-12).sqrt().transpose(1, 2)


def log_mel(
    wave_BN: Tensor,
    sample_rate: int,
    n_fft: int,
    hop: int,
    bands: int,
    floor: float = 1e-5,
    low: float = 0.0,
    high: float | None = None,
) -> Tensor:
    """Natural logarithm of mel magnitudes from ``low`` to ``high`` Hz (half the rate), no lower than log(``floor``).

    (B, M, T), T = N // hop + 1 (centred).
    """
    filters = mel_filters(sample_rate, n_fft, bands, low, high).to(wave_BN.device)
    return (filters @ magnitudes(wave_BN, n_fft, hop)).clamp(min=floor).log()


def normal_log_mel(wave_BN: Tensor, sample_rate: int, n_fft: int, hop: int, bands: int) -> Tensor:
    """``log_mel`` of music, of about zero mean and unit size: (B, T, M), T = N // hop + 1."""
    return (log_mel(wave_BN, sample_rate, n_fft, hop, bands).transpose(1, 2) - _MEAN) / _SPREAD


def mels_of_normal(normal_BTM: Tensor) -> Tensor:
    """``normal_log_mel`` undone as far as the mel magnitudes: (B, M, T); louder than any music is cut to that."""
    return (normal_BTM.transpose(1, 2) * _SPREAD + _MEAN).clamp(max=_LOUDEST).exp()
