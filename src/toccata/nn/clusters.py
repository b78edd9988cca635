"""A codebook that does not change: k-means of what it names, and for each code a vector that is learnt.

Shapes: B batch, T frames, D width, V vocabulary, W code width, N rows.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.nn.gumbel import Chosen
from toccata.nn.rvq import VectorQuantiser


class ClusterQuantiser(nn.Module):
    """x_BTD -> the nearest of ``vocabulary`` centres for each frame, and its vector of ``code_width``."""

    def __init__(self, width: int, vocabulary: int, code_width: int) -> None:
        super().__init__()
        self.centres = VectorQuantiser(vocabulary, width)
        self.codes_VW = nn.Parameter(torch.randn(vocabulary, code_width))

    def start(self, x_ND: Tensor, generator: torch.Generator) -> None:
        """The centres, by k-means over ``x_ND``."""
        self.centres.start(x_ND.float(), generator)

    def forward(self, x_BTD: Tensor, temperature: float = 0.0, generator: torch.Generator | None = None) -> Chosen:
        """As ``GumbelQuantiser``; nothing is drawn."""
        with torch.autocast(x_BTD.device.type, enabled=False):  # the nearest of many is a matter of small differences
            codes_BT = self.centres.encode(x_BTD.float().flatten(0, 1)).view(x_BTD.shape[:2])
        return Chosen(self.codes_VW[codes_BT], codes_BT, F.one_hot(codes_BT, len(self.codes_VW)).float())
