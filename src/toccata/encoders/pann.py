"""CNN14 of PANN (Kong et al. 2019, arXiv 1912.10211), the other audio encoder that CLAP's authors offer.

Six blocks of two convolutions, each but the last halving time and frequency; the mean over frequency, then maximum and
mean over time. Fusion (CLAP, section 2.2) comes after the first block: three crops, shrunk, stand end to end there.

Shapes: B clips, P pictures of a clip (1, or the whole and three crops), T frames, M mel bands, D width.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.encoders.htsat import CROPS, Fusion

# What to replace, in turn, in the names that PANN's authors gave their weights.
NAMES = {f"conv_block{i + 1}.": f"blocks.{i}." for i in range(6)} | {
    ".bn1.": ".norm1.",
    ".bn2.": ".norm2.",
    "fc1.": "out.",
    "bn0.": "norm_mel.",
}


@dataclass(frozen=True)
class PANNConfig:
    """Sizes of a tower: ``widths`` of its blocks, the last of which is the tower's."""

    widths: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048)
    bands: int = 64
    fused: bool = False
    squeeze: int = 4


class Block(nn.Module):
    """Two convolutions, each with batch norm and ReLU, then the mean of every ``pool`` x ``pool`` places."""

    def __init__(self, width_in: int, width: int, pool: int) -> None:
        super().__init__()
        self.pool = pool
        self.conv1 = nn.Conv2d(width_in, width, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)

    def forward(self, x_BDTM: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.conv1(x_BDTM)))
        return F.avg_pool2d(F.relu(self.norm2(self.conv2(x))), self.pool)


class PANN(nn.Module):
    """One vector of ``width`` numbers for the pictures of each clip; their work does not depend on its length."""

    def __init__(self, config: PANNConfig) -> None:
        super().__init__()
        self.config = config
        self.norm_mel = nn.BatchNorm2d(config.bands)
        widths, last = (1, *config.widths), len(config.widths) - 1
        self.blocks = nn.ModuleList(Block(widths[i], widths[i + 1], 1 if i == last else 2) for i in range(last + 1))
        self.out = nn.Linear(self.width, self.width)
        if config.fused:
            first = config.widths[0]
            shrink = nn.Conv2d(1, first, 5, (2 * CROPS, 2), padding=2)  # three crops are then as long as the whole
            self.detail = nn.Sequential(shrink, nn.BatchNorm2d(first), nn.ReLU())
            self.fusion = Fusion(first, config.squeeze)

    @property
    def width(self) -> int:
        return self.config.widths[-1]

    def summarise(self, mel_BPTM: Tensor, longer_B: Tensor) -> Tensor:
        """(B, width) of mel spectrograms in dB; where ``longer_B`` is True, the crops are fused in (if fused)."""
        mel_BPTM = self.norm_mel(mel_BPTM.transpose(1, 3)).transpose(1, 3)
        x = self.blocks[0](mel_BPTM[:, :1])
        if self.config.fused and mel_BPTM.shape[1] > 1 and longer_B.any():
            x[longer_B] = self.fusion(x[longer_B], self._details(mel_BPTM[longer_B, 1:], x.shape[2]))
        for block in self.blocks[1:]:
            x = block(x)
        x_BDT = x.mean(3)
        return F.relu(self.out(x_BDT.amax(2) + x_BDT.mean(2)))

    def _details(self, crops_BPTM: Tensor, frames: int) -> Tensor:
        """The crops end to end, cut or padded to ``frames``."""
        shrunk = self.detail(crops_BPTM.flatten(0, 1)[:, None]).unflatten(0, (-1, CROPS))
        ahead = torch.cat(list(shrunk.unbind(1)), dim=2)[:, :, :frames]
        return F.pad(ahead, (0, 0, 0, frames - ahead.shape[2]))
