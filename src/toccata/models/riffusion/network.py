"""Riffusion's network (Forsgren and Martiros 2022): a diffusion U-Net on pictures of log-mels that reads words.

Shapes: B batch, M mel bands, T frames, N samples, L text tokens, W width of a token.
"""

import torch.nn.functional as F
from torch import Tensor

from toccata.audio.mel import normal_log_mel
from toccata.models.riffusion.config import RiffusionConfig
from toccata.models.worded import WordedNetwork
from toccata.nn.picture_unet import PictureUNet

NOISE_STEPS = 1000  # that times from 0 to 1 are told as


class RiffusionNetwork(WordedNetwork):
    """Draws picture_BMT."""

    def __init__(self, config: RiffusionConfig) -> None:
        super().__init__(
            config.text_width, config.text_tokens, config.unet.tokens, config.condition_dropout, config.dwell
        )
        self.config = config
        self.unet = PictureUNet(config.unet)

    def forward(self, x_B: Tensor, t_B: Tensor, tokens_BLW: Tensor) -> Tensor:
        folded = F.pixel_unshuffle(x_B[:, None], self.config.fold)
        return F.pixel_shuffle(self.unet(folded, NOISE_STEPS * t_B, tokens_BLW), self.config.fold)[:, 0]


def picture_of(wave_BN: Tensor, config: RiffusionConfig) -> Tensor:
    """mel_BTM of mono sound, of about zero mean and unit size, T = N // hop + 1: a picture lying on its side."""
    return normal_log_mel(wave_BN, config.sample_rate, config.n_fft, config.hop, config.bands)
