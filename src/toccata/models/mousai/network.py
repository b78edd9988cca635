"""Moûsai's second stage (arXiv 2301.11757, section 3.4): a diffusion U-Net on latents that reads words.

Shapes: B batch, T frames, D latent width, L text tokens, W width of a token.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.models.mousai.config import MousaiConfig
from toccata.nn.unet import UNet
from toccata.sampling.diffusion import COSINE, target


class MousaiNetwork(nn.Module):
    """``told`` once for a text, then the velocity of noisy latents at any time."""

    def __init__(self, config: MousaiConfig) -> None:
        super().__init__()
        self.config = config
        width = config.unet.tokens
        self.text_in = nn.Identity() if config.text_width == width else nn.Linear(config.text_width, width)
        self.nothing_LW = nn.Parameter(torch.randn(config.text_tokens, width))
        self.unet = UNet(config.unet)

    def told(self, text_BLW: Tensor, mask_BL: Tensor, kept_B: Tensor | None = None) -> Tensor:
        """Tokens to attend to: features of a text encoder, cut or filled up with zeros to the configured length.

        Where ``kept_B`` is False they are the learnt ones of no text, which guidance leads away from.
        """
        length = self.config.text_tokens
        mask = mask_BL[..., None].to(text_BLW.dtype)
        tokens_BLW = F.pad(self.text_in(text_BLW) * mask, (0, 0, 0, length))[:, :length]
        return tokens_BLW if kept_B is None else torch.where(kept_B[:, None, None], tokens_BLW, self.nothing_LW)

    def forward(self, latent_BTD: Tensor, t_B: Tensor, tokens_BLW: Tensor) -> Tensor:
        """Noisy latent_BTD at times ``t_B`` in [0, 1] -> the velocity, of the same shape."""
        return self.unet(latent_BTD.transpose(1, 2), t_B, tokens_BLW).transpose(1, 2)


def diffusion_loss(
    network: MousaiNetwork, latent_BTD: Tensor, text_BLW: Tensor, mask_BL: Tensor, generator: torch.Generator
) -> Tensor:
    """The mean squared error of the velocity at uniform times (v-objective); a share of the rows is told no text."""
    t_B = torch.rand(len(latent_BTD), generator=generator)
    noise_BTD = torch.randn(latent_BTD.shape, generator=generator).to(latent_BTD)
    kept_B = torch.rand(len(latent_BTD), generator=generator) >= network.config.condition_dropout
    x_BTD, velocity_BTD = target(COSINE, latent_BTD, noise_BTD, t_B)
    tokens_BLW = network.told(text_BLW, mask_BL, kept_B.to(latent_BTD.device))
    made_BTD = network(x_BTD, t_B.to(latent_BTD), tokens_BLW)
    return (made_BTD.float() - velocity_BTD.float()).square().mean()
