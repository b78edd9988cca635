"""Losses that train a codec: multi-scale mel, tonal, hinge adversarial, feature matching (SoundStream, section III-E).

Shapes: B batch, C channels, N samples.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from toccata.audio.mel import magnitudes, mel_filters
from toccata.codecs.discriminators import Judgement

SCALES = (256, 512, 1024, 2048)
TONAL_WINDOWS = (4096, 16384)


def mel_loss(fake_BCN: Tensor, real_BCN: Tensor, sample_rate: int, scales: Sequence[int] = SCALES) -> Tensor:
    """Mean absolute distance of log-mel spectrograms plus a tenth of that of magnitudes, averaged over window sizes."""
    total = torch.zeros((), device=fake_BCN.device)
    for n_fft in scales:
        filters = mel_filters(sample_rate, n_fft, min(128, n_fft // 16 + 16)).to(fake_BCN.device)
        fake = (filters @ magnitudes(fake_BCN[:, 0], n_fft, n_fft // 4)).clamp(min=1e-5)
        with torch.no_grad():
            real = (filters @ magnitudes(real_BCN[:, 0], n_fft, n_fft // 4)).clamp(min=1e-5)
        total = total + F.l1_loss(fake.log(), real.log()) + 0.1 * F.l1_loss(fake, real)
    return total / len(scales)


def tonal_loss(
    fake_BCN: Tensor,
    real_BCN: Tensor,
    sample_rate: int,
    windows: Sequence[int] = TONAL_WINDOWS,
    up_to: float = 2000.0,
) -> tuple[Tensor, Tensor]:
    """Two distances of magnitudes bin by bin up to ``up_to`` Hz, averaged over windows: pitches mel bands run together.

    The mean absolute distance of their logarithms, and spectral convergence (arXiv 1808.06719, equation 3), in which
    the partials that carry a pitch outweigh what lies between them; silence is measured against -60 dB or so. Only
    the longest window tells bass notes apart, which lie 2 to 5 Hz from the next.
    """
    logarithmic = partials = torch.zeros((), device=fake_BCN.device)
    for n_fft in windows:
        fake = _low_magnitudes(fake_BCN, n_fft, sample_rate, up_to)
        with torch.no_grad():
            real = _low_magnitudes(real_BCN, n_fft, sample_rate, up_to)
        logarithmic = logarithmic + F.l1_loss(fake.clamp(min=1e-2).log(), real.clamp(min=1e-2).log())
        size_B = real.flatten(1).norm(dim=1) + 0.05 * real[0].numel() ** 0.5
        partials = partials + ((fake - real).flatten(1).norm(dim=1) / size_B).mean()
    return logarithmic / len(windows), partials / len(windows)


def _low_magnitudes(wave_BCN: Tensor, n_fft: int, sample_rate: int, up_to: float) -> Tensor:
    return magnitudes(wave_BCN[:, 0], n_fft, n_fft // 8)[:, : int(up_to * n_fft / sample_rate)]


def discriminator_loss(fake: list[Judgement], real: list[Judgement]) -> Tensor:
    """Hinge loss (equation 2), averaged over discriminators."""
    losses = [F.relu(1 - r).mean() + F.relu(1 + f).mean() for (f, _), (r, _) in zip(fake, real, strict=True)]
    return torch.stack(losses).mean()


def adversarial_loss(fake: list[Judgement]) -> Tensor:
    """The generator's side (equation 3)."""
    return torch.stack([F.relu(1 - f).mean() for f, _ in fake]).mean()


def feature_loss(fake: list[Judgement], real: list[Judgement]) -> Tensor:
    """Distance of the discriminators' inner features, relative to the real ones' size (equation 4)."""
    losses = [
        F.l1_loss(f, r.detach()) / r.detach().abs().mean().clamp(min=1e-4)
        for (_, fs), (_, rs) in zip(fake, real, strict=True)
        for f, r in zip(fs, rs, strict=True)
    ]
    return torch.stack(losses).mean()
