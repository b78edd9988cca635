"""OpenL3 (Cramer et al., ICASSP 2019; after Look, Listen and Learn, arXiv 1705.08168): what FD_openl3 is taken of.

A convolutional network that learnt from videos of music which sounds go with which pictures. This is its audio half
over 256 mel bands, in numbers and order of layers as its authors' package has it from version 0.4 on.

Shapes: B windows, N samples, T frames, M mel bands, F frequency bins, D dimensions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.audio.mel import mel_filters
from toccata.errors import InputError, WeightsError
from toccata.weights import checkpoint, published

SAMPLE_RATE, BAND_RATE = 48_000, 44_100
WINDOW_SECONDS, HOP_SECONDS = 1.0, 0.5
PEAK_DB = -1.0
_N_FFT, _HOP, _BANDS, _FRAMES = 2048, 242, 256, 199
_FLOOR, _RANGE_DB = 1e-10, 80.0
_EPSILON = 1e-3  # of Keras' batch norms
_POOLS = {512: (32, 24), 6144: (8, 8)}
_TOGETHER = 8
_PARTS = {
    "gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var",
    "kernel": "weight", "bias": "bias",
}  # fmt: skip


@dataclass(frozen=True)
class OpenL3Config:
    """``widths`` of the four blocks of two convolutions; ``size`` of the embedding, 512 or 6144 of the published."""

    widths: tuple[int, ...] = (64, 128, 256, 512)
    size: int = 512

    @property
    def pool(self) -> tuple[int, int]:
        """How many bands and frames of the last block's 32 x 24 become one; raises ``InputError`` for other sizes."""
        if self.size not in _POOLS:
            raise InputError(f"OpenL3 has no embedding of {self.size} numbers; choose {' or '.join(map(str, _POOLS))}")
        return _POOLS[self.size]


class OpenL3(nn.Module):
    """Sound into an embedding of each second, every half."""

    def __init__(self, config: OpenL3Config) -> None:
        super().__init__()
        self.config, self.pool = config, config.pool
        self.norm_mel = nn.BatchNorm2d(1, eps=_EPSILON)
        layers: list[nn.Module] = []
        for width_in, width in zip((1, *config.widths), config.widths, strict=False):
            for first in (width_in, width):
                layers += [nn.Conv2d(first, width, 3, padding=1), nn.BatchNorm2d(width, eps=_EPSILON), nn.ReLU()]
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers[:-3])  # the last convolution has nothing after it

    @torch.no_grad()
    def listen(self, wave_N: Tensor) -> Tensor:
        """embedding_BD of sound at 48 kHz; a few windows at a time."""
        device = self.norm_mel.weight.device
        parts = windows(wave_N).split(_TOGETHER)
        return torch.cat([self(log_mel(part_BN.to(device))).cpu() for part_BN in parts])

    def forward(self, mel_BMT: Tensor) -> Tensor:
        """embedding_BD of what ``log_mel`` gives: the largest of every ``pool`` places, bands first, widths last."""
        x_BDMT = self.features(self.norm_mel(mel_BMT[:, None]))
        return F.max_pool2d(x_BDMT, self.pool).permute(0, 2, 3, 1).flatten(1)


def at_peak(samples_CN: np.ndarray) -> np.ndarray:
    """The sound with its peak at -1 dB; silence stays silence."""
    peak = float(np.abs(samples_CN).max(initial=0.0))
    return samples_CN * np.float32(10 ** (PEAK_DB / 20) / peak) if peak else samples_CN


def windows(wave_N: Tensor) -> Tensor:
    """wave_BN of a second every half, from half a second of silence before the sound on; the last one ends in silence.

    As its authors' package has it by default ("centred"): a window's middle is the time that it stands for.
    """
    length, hop = (round(seconds * SAMPLE_RATE) for seconds in (WINDOW_SECONDS, HOP_SECONDS))
    wave_N = F.pad(wave_N, (length // 2, 0))
    more = max(length - len(wave_N), -(len(wave_N) - length) % hop)
    return F.pad(wave_N, (0, more)).unfold(0, length, hop)


def log_mel(wave_BN: Tensor) -> Tensor:
    """mel_BMT of a second each: mel magnitudes every 5 ms in dB (10 log10 of the magnitude, as published), from -80 to
    0, which is the window's loudest. The last frames reach over the end, into silence."""
    frames_BTN = F.pad(wave_BN, (0, (_FRAMES - 1) * _HOP + _N_FFT - wave_BN.shape[1])).unfold(1, _N_FFT, _HOP)
    hann = torch.hann_window(_N_FFT, device=wave_BN.device)
    magnitude_BTF = torch.fft.rfft(frames_BTN * hann).abs()
    filters_MF = mel_filters(SAMPLE_RATE, _N_FFT, _BANDS).to(wave_BN.device)
    decibels_BMT = 10 * (magnitude_BTF @ filters_MF.T).clamp(min=_FLOOR).log10().transpose(1, 2)
    return (decibels_BMT - decibels_BMT.amax((1, 2), keepdim=True)).clamp(min=-_RANGE_DB)


def load_openl3(folder: Path, size: int = 512) -> OpenL3:
    """The published weights in ``folder``, as ``toccata models pull openl3`` leaves them, in evaluation mode.

    ``size`` is that of the embedding. Raises ``InputError`` for another than 512 or 6144, ``WeightsError`` where the
    weights are missing, damaged or of another model.
    """
    file = published.only_file(folder)
    tensors = published.read_file(file, dtype=torch.float32)
    try:
        widths = tuple(tensors[f"{place}.kernel"].shape[3] for place in (1, 5, 9, 13))
        model = OpenL3(OpenL3Config(widths, size))
        ours = _of_published(tensors, model)
    except (KeyError, IndexError, ValueError) as error:
        raise WeightsError(f"the weights in {file} are of another model than OpenL3 ({error})") from None
    checkpoint.load_into(model, ours, file)
    return model.eval()


def _of_published(tensors: Mapping[str, Tensor], model: OpenL3) -> dict[str, Tensor]:
    """Keras' weights, whose names begin with their layer's place among those that have some, in toccata's names."""
    kinds = (nn.Conv2d, nn.BatchNorm2d)
    layers = [name for name, module in model.named_modules() if isinstance(module, kinds)]
    ours = {name: value for name, value in model.state_dict().items() if name.endswith("num_batches_tracked")}
    for name, tensor in tensors.items():
        place, part = name.split(".")
        # A kernel is (bands, frames, in, out) there.
        ours[f"{layers[int(place)]}.{_PARTS[part]}"] = tensor.permute(3, 2, 0, 1) if part == "kernel" else tensor
    return ours
