"""Moûsai's second stage (arXiv 2301.11757, section 3.4): a diffusion U-Net on latents that reads words.

Shapes: B batch, D latent width, T frames, L text tokens, W width of a token.
"""

from torch import Tensor

from toccata.models.mousai.config import MousaiConfig
from toccata.models.worded import WordedNetwork
from toccata.nn.unet import UNet


class MousaiNetwork(WordedNetwork):
    """Draws latent_BDT."""

    def __init__(self, config: MousaiConfig) -> None:
        super().__init__(
            config.text_width, config.text_tokens, config.unet.tokens, config.condition_dropout, config.dwell
        )
        self.config = config
        self.unet = UNet(config.unet)

    def forward(self, x_B: Tensor, t_B: Tensor, tokens_BLW: Tensor) -> Tensor:
        return self.unet(x_B, t_B, tokens_BLW)
