"""SoundStream's convolutional encoder and decoder (arXiv 2107.03312, section III-A and III-B): causal, ELU.

Shapes: B batch, C channels, N samples, T frames, D latent width.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm


class CausalConv(nn.Module):
    """Convolution that sees no sample after the current one."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.left = (kernel - 1) * dilation - (stride - 1)
        self.conv = weight_norm(nn.Conv1d(inputs, outputs, kernel, stride=stride, dilation=dilation))

    def forward(self, x_BCN: Tensor) -> Tensor:
        return self.conv(F.pad(x_BCN, (self.left, 0)))


class CausalUpsample(nn.Module):
    """Transposed convolution by ``stride``; what would reach past the current frame is cut off."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv = weight_norm(nn.ConvTranspose1d(inputs, outputs, 2 * stride, stride=stride))

    def forward(self, x_BCN: Tensor) -> Tensor:
        return self.conv(x_BCN)[..., : -self.stride]


class ResidualUnit(nn.Module):
    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ELU(), CausalConv(width, width, 7, dilation=dilation), nn.ELU(), CausalConv(width, width, 1)
        )

    def forward(self, x_BCN: Tensor) -> Tensor:
        return x_BCN + self.layers(x_BCN)


class SEANetEncoder(nn.Module):
    """wave_BCN -> latent_BTD; widths double at every stride, T = N / product of strides."""

    def __init__(self, channels: int, strides: Sequence[int], latent: int, audio_channels: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = [CausalConv(audio_channels, channels, 7)]
        width = channels
        for stride in strides:
            layers += [ResidualUnit(width, dilation) for dilation in (1, 3, 9)]
            layers += [nn.ELU(), CausalConv(width, 2 * width, 2 * stride, stride=stride)]
            width *= 2
        layers += [nn.ELU(), CausalConv(width, latent, 3)]
        self.layers = nn.Sequential(*layers)

    def forward(self, wave_BCN: Tensor) -> Tensor:
        return self.layers(wave_BCN).transpose(1, 2)


class SEANetDecoder(nn.Module):
    """latent_BTD -> wave_BCN: the encoder mirrored."""

    def __init__(self, channels: int, strides: Sequence[int], latent: int, audio_channels: int = 1) -> None:
        super().__init__()
        width = channels * 2 ** len(strides)
        layers: list[nn.Module] = [CausalConv(latent, width, 7)]
        for stride in reversed(strides):
            layers += [nn.ELU(), CausalUpsample(width, width // 2, stride)]
            width //= 2
            layers += [ResidualUnit(width, dilation) for dilation in (1, 3, 9)]
        layers += [nn.ELU(), CausalConv(width, audio_channels, 7)]
        self.layers = nn.Sequential(*layers)

    def forward(self, latent_BTD: Tensor) -> Tensor:
        return self.layers(latent_BTD.transpose(1, 2))
