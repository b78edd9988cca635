"""Vectors of unit length as tokens, by residual vector quantisation (MusicLM, arXiv 2301.11325, section 3.1).

Shapes: B vectors, K levels, D width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from toccata.errors import WeightsError
from toccata.nn.rvq import ResidualVectorQuantiser


@torch.no_grad()
def quantise(quantiser: ResidualVectorQuantiser, vector_BD: Tensor, owner: str) -> Tensor:
    """codes_BK on the CPU; raises ``WeightsError``, in the words of ``owner``, where no codebook was fitted yet."""
    device = _fitted_on(quantiser, owner)
    return quantiser.encode(vector_BD.to(device)[:, None])[..., 0].cpu()


@torch.no_grad()
def dequantise(quantiser: ResidualVectorQuantiser, codes_BK: Tensor, owner: str) -> Tensor:
    """codes_BK, K of any number of first levels -> (B, D) of unit length, on the CPU; raises as ``quantise``."""
    device = _fitted_on(quantiser, owner)
    return F.normalize(quantiser.decode(codes_BK.to(device)[..., None])[:, 0], dim=-1).cpu()


def _fitted_on(quantiser: ResidualVectorQuantiser, owner: str) -> torch.device:
    codebook = next(quantiser.buffers())
    if not codebook.any():
        raise WeightsError(f"{owner} has no tokens yet: they are fitted when its training ends; let it go on")
    return codebook.device
