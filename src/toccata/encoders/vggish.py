"""VGGish (Hershey et al. 2016, arXiv 1609.09430): what the Fréchet audio distance was first taken of (1812.08466).

A VGG of six convolutions and three dense layers over log-mels of .96 seconds, trained on the tags of YouTube videos.
Names and shapes are those of the port to torch (harritaylor/torchvggish). Neither its last ReLU nor its postprocessor
(PCA, whitening and 8 bits) is here: frechet-audio-distance leaves both out.

Shapes: B windows, N samples, T frames, M mel bands, F frequency bins, D dimensions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from toccata.audio.mel import warped_filters
from toccata.errors import InputError, WeightsError
from toccata.weights import checkpoint, published

SAMPLE_RATE = 16_000
_WINDOW, _HOP, _N_FFT = 400, 160, 512
_BANDS, _LOW, _HIGH = 64, 125.0, 7500.0
_OFFSET = 0.01
FRAMES = 96
WINDOW_SECONDS = FRAMES * _HOP / SAMPLE_RATE
_TOGETHER, _FRAMES_AT_ONCE = 32, 1000


@dataclass(frozen=True)
class VGGishConfig:
    """``widths`` of the six convolutions, of the two ``hidden`` layers and of the embedding."""

    widths: tuple[int, ...] = (64, 128, 256, 256, 512, 512)
    hidden: int = 4096
    width: int = 128


class VGGish(nn.Module):
    """Sound into an embedding every .96 seconds."""

    def __init__(self, config: VGGishConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        for i, (width_in, width) in enumerate(zip((1, *config.widths), config.widths, strict=False)):
            layers += [nn.Conv2d(width_in, width, 3, padding=1), nn.ReLU()]
            layers += [nn.MaxPool2d(2)] if i in (0, 1, 3, 5) else []
        self.features = nn.Sequential(*layers)
        flat = config.widths[-1] * (FRAMES // 16) * (_BANDS // 16)
        self.embeddings = nn.Sequential(
            nn.Linear(flat, config.hidden), nn.ReLU(), nn.Linear(config.hidden, config.hidden), nn.ReLU(),
            nn.Linear(config.hidden, config.width),
        )  # fmt: skip
        nn.utils.convert_conv2d_weight_memory_format(self.features, torch.channels_last)  # a CPU pools faster so

    @torch.no_grad()
    def listen(self, wave_N: Tensor) -> Tensor:
        """embedding_BD of sound at 16 kHz, a row for each whole .96 seconds; a few at a time.

        Raises ``InputError`` for sound that is shorter than one window.
        """
        device = next(self.parameters()).device
        return torch.cat([self(part_BTM.to(device)).cpu() for part_BTM in windows(wave_N).split(_TOGETHER)])

    def forward(self, mel_BTM: Tensor) -> Tensor:
        """embedding_BD of what ``windows`` gives."""
        x_BDTM = self.features(mel_BTM[:, None])
        # The published dense layer wants widths last, as TensorFlow has them.
        return self.embeddings(x_BDTM.permute(0, 2, 3, 1).flatten(1))


def windows(wave_N: Tensor) -> Tensor:
    """mel_BTM of .96 seconds each, one after the other; what is left at the end is left out."""
    mel_TM = log_mel(wave_N)
    count = len(mel_TM) // FRAMES
    if not count:
        raise InputError(f"the sound is too short for VGGish; give {WINDOW_SECONDS + 0.015:g} seconds or more")
    return mel_TM[: count * FRAMES].unflatten(0, (count, FRAMES))


def log_mel(wave_N: Tensor) -> Tensor:
    """log(mel magnitudes + .01) every 10 ms, of windows of 25 ms: (T, M), in float64 on the way as its authors have it.

    A sound shorter than a window has no frame. Some seconds at a time, so that long ones need little memory.
    """
    if len(wave_N) < _WINDOW:
        return torch.zeros(0, _BANDS)
    hann = torch.hann_window(_WINDOW, dtype=torch.float64)
    filters_MF = warped_filters(SAMPLE_RATE, _N_FFT, _BANDS, _LOW, _HIGH)
    parts = wave_N.unfold(0, _WINDOW, _HOP).split(_FRAMES_AT_ONCE)
    magnitudes = (torch.fft.rfft(frames_TN.double() * hann, _N_FFT).abs() for frames_TN in parts)
    return torch.cat([(magnitudes_TF @ filters_MF.T + _OFFSET).log().float() for magnitudes_TF in magnitudes])


def load_vggish(folder: Path) -> VGGish:
    """The port's weights in ``folder``, as ``toccata models pull vggish`` leaves them, in evaluation mode.

    Raises ``WeightsError`` where they are missing, damaged or of another model.
    """
    file = published.only_file(folder)
    tensors = published.read_file(file, dtype=torch.float32)
    model = VGGish(_config(tensors, file))
    checkpoint.load_into(model, tensors, file)
    return model.eval()


def _config(tensors: Mapping[str, Tensor], file: Path) -> VGGishConfig:
    """The sizes that the weights have."""
    try:
        widths = tuple(len(tensors[f"features.{i}.weight"]) for i in (0, 3, 6, 8, 11, 13))
        return VGGishConfig(widths, *(len(tensors[f"embeddings.{i}.weight"]) for i in (0, 4)))
    except KeyError as error:
        raise WeightsError(f"the weights in {file} are of another model than VGGish: they lack {error}") from None
