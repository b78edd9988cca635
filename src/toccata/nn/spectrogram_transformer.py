"""The audio spectrogram transformer (AST, arXiv 2104.01778): patches of a log-mel picture as a sequence.

Shapes: B batch, T frames, M mel bands, L tokens, D width.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from toccata.nn.transformer import Block, Blocks


@dataclass(frozen=True)
class SpectrogramTransformerConfig:
    """As published: 16 x 16 patches of 128 bands x 1024 frames that overlap by 6, in a ViT-B.

    ``patch`` and ``stride`` are of bands and of frames. ``summaries`` tokens go before the patches; the mean of what
    becomes of them is the output.
    """

    bands: int = 128
    frames: int = 1024
    patch: tuple[int, int] = (16, 16)
    stride: tuple[int, int] = (10, 10)
    width: int = 768
    layers: int = 12
    heads: int = 12
    summaries: int = 2
    dropout: float = 0.0

    @property
    def patches(self) -> int:
        sizes = zip((self.bands, self.frames), self.patch, self.stride, strict=True)
        return math.prod((size - patch) // stride + 1 for size, patch, stride in sizes)


class SpectrogramTransformer(nn.Module):
    """Normalised log-mels (B, ``frames``, ``bands``) -> one vector each (B, ``width``)."""

    def __init__(self, config: SpectrogramTransformerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.patches = nn.Conv2d(1, width, config.patch, config.stride)
        self.summaries_1LD = nn.Parameter(torch.zeros(1, config.summaries, width))
        self.positions_1LD = nn.Parameter(0.02 * torch.randn(1, config.summaries + config.patches, width))
        self.blocks = Blocks(
            Block(width, config.heads, 4 * width, cross=False, causal=False, dropout=config.dropout, bias=True)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, mel_BTM: Tensor) -> Tensor:
        patches_BLD = self.patches(mel_BTM.transpose(1, 2)[:, None]).flatten(2).transpose(1, 2)
        hidden = torch.cat([self.summaries_1LD.expand(len(mel_BTM), -1, -1), patches_BLD], dim=1) + self.positions_1LD
        for block in self.blocks:
            hidden = block(hidden)
        return self.norm(hidden)[:, : self.config.summaries].mean(1)
