"""Discriminators of SoundStream (arXiv 2107.03312, section III-D): one on the complex STFT, one on the waveform.

Shapes: B batch, C channels, N samples, T frames, F frequency bins.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

Judgement = tuple[Tensor, list[Tensor]]


class STFTDiscriminator(nn.Module):
    """2-D convolutions over real and imaginary parts of one STFT; judges patches of time and frequency."""

    window: Tensor

    def __init__(self, n_fft: int, channels: int = 32, depth: int = 4) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        widths = [2] + [channels] * (depth + 1)
        kernels = [(3, 9)] * depth + [(3, 3)]
        strides = [(1, 1)] + [(1, 2)] * (depth - 1) + [(1, 1)]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, k, stride=s, padding=(k[0] // 2, k[1] // 2)))
            for a, b, k, s in zip(widths, widths[1:], kernels, strides, strict=False)
        )
        self.judge = weight_norm(nn.Conv2d(channels, 1, (3, 3), padding=(1, 1)))

    def forward(self, wave_BCN: Tensor) -> Judgement:
        spectrum = torch.stft(wave_BCN[:, 0], self.n_fft, self.n_fft // 4, window=self.window, return_complex=True)
        hidden = torch.view_as_real(spectrum).permute(0, 3, 2, 1) / self.n_fft**0.5
        features = []
        for layer in self.layers:
            hidden = F.leaky_relu(layer(hidden), 0.2)
            features.append(hidden)
        return self.judge(hidden), features


class WaveDiscriminator(nn.Module):
    """Grouped 1-D convolutions over the waveform at one scale (from MelGAN, as the paper takes them)."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        sizes = [(1, channels, 15, 1, 1), (channels, 4 * channels, 41, 4, 4), (4 * channels, 16 * channels, 41, 4, 16)]
        sizes += [(16 * channels, 64 * channels, 41, 4, 64), (64 * channels, 64 * channels, 5, 1, 1)]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv1d(a, b, k, stride=s, padding=k // 2, groups=g)) for a, b, k, s, g in sizes
        )
        self.judge = weight_norm(nn.Conv1d(64 * channels, 1, 3, padding=1))

    def forward(self, wave_BCN: Tensor) -> Judgement:
        hidden, features = wave_BCN, []
        for layer in self.layers:
            hidden = F.leaky_relu(layer(hidden), 0.2)
            features.append(hidden)
        return self.judge(hidden), features


class Discriminators(nn.Module):
    """STFT judges at several window sizes and waveform judges at full, half, quarter, ... rate."""

    def __init__(self, windows: Sequence[int] = (2048, 1024, 512), wave_scales: int = 3, channels: int = 32) -> None:
        super().__init__()
        self.spectral = nn.ModuleList(STFTDiscriminator(n, channels) for n in windows)
        self.temporal = nn.ModuleList(WaveDiscriminator(max(channels // 2, 4)) for _ in range(wave_scales))

    def forward(self, wave_BCN: Tensor) -> list[Judgement]:
        judged = [judge(wave_BCN) for judge in self.spectral]
        for index, judge in enumerate(self.temporal):
            judged.append(judge(F.avg_pool1d(wave_BCN, 2**index) if index else wave_BCN))
        return judged
