"""A melody out of a mix, without any model: drums by their shape in the spectrogram, bass by its place.

Shapes: N samples, F frequency bins, T frames.
"""

import torch
from torch import Tensor

LOWEST_HZ, SLOPE_HZ = 120.0, 60.0


def without_drums_and_bass(wave_N: Tensor, sample_rate: int) -> Tensor:
    """The pitched sounds of ``wave_N`` above the bass, as long as it.

    What lasts (a ridge along time) is kept, what strikes (a ridge along frequency) is not: median filters both ways
    and a soft mask (Fitzgerald 2010). Below 120 Hz nothing is left; a low voice keeps its overtones, so its notes.
    """
    n_fft = 2 ** round(float(torch.log2(torch.tensor(sample_rate * 0.064))))
    window = torch.hann_window(n_fft)
    spectrum_FT = torch.stft(wave_N, n_fft, n_fft // 4, window=window, return_complex=True, pad_mode="constant")
    power_FT = torch.view_as_real(spectrum_FT).square().sum(-1)
    lasting_FT, striking_FT = median(power_FT, 17), median(power_FT.T, 17).T
    mask_FT = lasting_FT.square() / (lasting_FT.square() + striking_FT.square()).clamp(min=1e-20)
    hz_F = torch.arange(n_fft // 2 + 1) * sample_rate / n_fft
    high_F = ((hz_F - LOWEST_HZ) / SLOPE_HZ).clamp(0, 1)
    masked = spectrum_FT * mask_FT * high_F[:, None]
    return torch.istft(masked, n_fft, n_fft // 4, window=window, length=len(wave_N))


def median(x_FT: Tensor, width: int) -> Tensor:
    """Running median along the last dimension, ``width`` (odd) wide, mirrored at the ends."""
    half = min(width // 2, x_FT.shape[-1] - 1)
    if half <= 0:
        return x_FT
    padded = torch.nn.functional.pad(x_FT[None], (half, half), mode="reflect")[0]
    return padded.unfold(-1, 2 * half + 1, 1).median(-1).values
