"""Features that know pitch: the pitch classes of the sound itself, and the leading components of an encoder's features.

What a small encoder has learnt varies with timbre and loudness far more than with pitch, so clusters of it alone say
next to nothing of notes; see docs/systems/w2v-bert.md for the measure.

Shapes: B clips, N samples, T frames, F frequency bins, D width, K components.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.audio.mel import pitch_filters
from toccata.encoders.public_features import PublicFeatures
from toccata.encoders.w2vbert import W2vBert

CLASSES = 24
_LOWEST, _PITCHES = 32.703, 84  # C1 and seven octaves of semitones
_BASS, _TREBLE = slice(0, 30), slice(24, 84)
_WINDOW_SECONDS = 0.256
_AT_ONCE = 1000  # frames


@dataclass(frozen=True)
class PitchedConfig:
    """What semantic tokens need to know of features; see ``semantic.FeatureConfig``."""

    width: int
    sample_rate: int
    stride: int
    frame_rate: float
    tokens: int


class Pitched(nn.Module):
    """``encoder``'s features, turned to ``components``, after the pitch classes heard in the same frames."""

    mean_D: Tensor
    turn_DK: Tensor

    def __init__(self, encoder: W2vBert | PublicFeatures, components: int = 16) -> None:
        super().__init__()
        self.encoder, inner = encoder, encoder.config
        self.config = PitchedConfig(
            CLASSES + components, inner.sample_rate, inner.stride, inner.frame_rate, inner.tokens
        )
        self.register_buffer("mean_D", torch.zeros(inner.width))
        self.register_buffer("turn_DK", torch.zeros(inner.width, components))

    def windows(self, wave_BN: Tensor) -> Iterator[Tensor]:
        """Joined features_BTD of one window of the encoder after the other."""
        classes_BTD = pitch_classes(wave_BN, self.config.sample_rate, self.config.stride)
        first = 0
        for features_BTD in self.encoder.windows(wave_BN):
            last = first + features_BTD.shape[1]
            yield self.joined(classes_BTD[:, first:last], features_BTD)
            first = last

    def joined(self, classes_BTD: Tensor, features_BTD: Tensor) -> Tensor:
        """Pitch classes, then the components of the encoder's features."""
        return torch.cat([classes_BTD, (features_BTD.float() - self.mean_D) @ self.turn_DK], dim=-1)

    @torch.no_grad()
    def fit(self, features_ND: Tensor) -> None:
        """Find the leading components of the encoder's features, each feature counted by its own spread."""
        mean_D, spread_D = features_ND.mean(0), features_ND.std(0).clamp(min=1e-4)
        normal_ND = (features_ND - mean_D) / spread_D
        _, vectors_DD = torch.linalg.eigh(normal_ND.T.double() @ normal_ND.double())  # in rising order
        leading_DK = vectors_DD.flip(1)[:, : self.turn_DK.shape[1]].float()
        self.mean_D.copy_(mean_D)
        self.turn_DK.copy_(leading_DK / spread_D[:, None])


def pitch_classes(wave_BN: Tensor, sample_rate: int, stride: int) -> Tensor:
    """How strongly the twelve pitch classes sound in the bass and above it: (B, N // stride, 24), C first.

    Of semitones that stand out from their neighbours, in windows of about a quarter of a second around each frame;
    either twelve are of unit length where there is sound.
    """
    size = round(_WINDOW_SECONDS * sample_rate)
    frames = wave_BN.shape[-1] // stride
    before = (size - stride) // 2
    padded_BN = F.pad(wave_BN, (before, size))
    hann = torch.hann_window(size, device=wave_BN.device)
    filters_PF = pitch_filters(sample_rate, size, _PITCHES, _LOWEST, 12).to(wave_BN.device)
    found = []
    for first in range(0, frames, _AT_ONCE):
        count = min(_AT_ONCE, frames - first)
        part_BN = padded_BN[:, first * stride : (first + count - 1) * stride + size]
        magnitude_BTF = torch.fft.rfft(part_BN.unfold(-1, size, stride) * hann).abs()
        found.append(_classes(magnitude_BTF @ filters_PF.T))
    return torch.cat(found, dim=1) if found else wave_BN.new_zeros(len(wave_BN), 0, CLASSES)


def _classes(pitch_BTP: Tensor) -> Tensor:
    loud_BTP = (pitch_BTP / (pitch_BTP.mean(-1, keepdim=True) + 1e-3)).clamp(max=20).sqrt()
    around_BTP = F.avg_pool1d(loud_BTP.flatten(0, 1)[:, None], 7, 1, 3)[:, 0].view_as(loud_BTP)
    clear_BTP = (loud_BTP - around_BTP).clamp(min=0)
    return torch.cat([_folded(clear_BTP[..., part]) for part in (_BASS, _TREBLE)], dim=-1)


def _folded(clear_BTP: Tensor) -> Tensor:
    """Octaves on one another; whole ones only."""
    octaves = clear_BTP.shape[-1] // 12
    sum_BTD = clear_BTP[..., : 12 * octaves].unflatten(-1, (octaves, 12)).sum(-2)
    return sum_BTD / (sum_BTD.norm(dim=-1, keepdim=True) + 0.3)
