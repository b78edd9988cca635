"""Riffusion's network (Forsgren and Martiros 2022): a diffusion U-Net on pictures of log-mels that reads words.

Shapes: B batch, M mel bands, T frames, N samples, L text tokens, W width of a token.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.audio.mel import normal_log_mel
from toccata.models.riffusion.config import RiffusionConfig
from toccata.nn.picture_unet import PictureUNet
from toccata.sampling.diffusion import COSINE, target

NOISE_STEPS = 1000  # that times from 0 to 1 are told as


class RiffusionNetwork(nn.Module):
    """``told`` once for a text, then the velocity of noisy pictures at any time."""

    def __init__(self, config: RiffusionConfig) -> None:
        super().__init__()
        self.config = config
        width = config.unet.tokens
        self.text_in = nn.Identity() if config.text_width == width else nn.Linear(config.text_width, width)
        self.nothing_LW = nn.Parameter(torch.randn(config.text_tokens, width))
        self.unet = PictureUNet(config.unet)

    def told(self, text_BLW: Tensor, mask_BL: Tensor, kept_B: Tensor | None = None) -> Tensor:
        """Tokens to attend to: features of a text encoder, cut or filled up with zeros to the configured length.

        Where ``kept_B`` is False they are the learnt ones of no text, which guidance leads away from.
        """
        length = self.config.text_tokens
        mask = mask_BL[..., None].to(text_BLW.dtype)
        tokens_BLW = F.pad(self.text_in(text_BLW) * mask, (0, 0, 0, length))[:, :length]
        return tokens_BLW if kept_B is None else torch.where(kept_B[:, None, None], tokens_BLW, self.nothing_LW)

    def forward(self, picture_BMT: Tensor, t_B: Tensor, tokens_BLW: Tensor) -> Tensor:
        """Noisy picture_BMT at times ``t_B`` in [0, 1] -> the velocity, of the same shape."""
        folded = F.pixel_unshuffle(picture_BMT[:, None], self.config.fold)
        return F.pixel_shuffle(self.unet(folded, NOISE_STEPS * t_B, tokens_BLW), self.config.fold)[:, 0]


def picture_of(wave_BN: Tensor, config: RiffusionConfig) -> Tensor:
    """mel_BTM of mono sound, of about zero mean and unit size, T = N // hop + 1: a picture lying on its side."""
    return normal_log_mel(wave_BN, config.sample_rate, config.n_fft, config.hop, config.bands)


def diffusion_loss(
    network: RiffusionNetwork, picture_BMT: Tensor, text_BLW: Tensor, mask_BL: Tensor, generator: torch.Generator
) -> Tensor:
    """The mean squared error of the velocity at uniform times (v-objective); a share of the rows is told no text."""
    t_B = torch.rand(len(picture_BMT), generator=generator)
    noise_BMT = torch.randn(picture_BMT.shape, generator=generator).to(picture_BMT)
    kept_B = torch.rand(len(picture_BMT), generator=generator) >= network.config.condition_dropout
    x_BMT, velocity_BMT = target(COSINE, picture_BMT, noise_BMT, t_B)
    tokens_BLW = network.told(text_BLW, mask_BL, kept_B.to(picture_BMT.device))
    made_BMT = network(x_BMT, t_B.to(picture_BMT), tokens_BLW)
    return (made_BMT.float() - velocity_BMT.float()).square().mean()
