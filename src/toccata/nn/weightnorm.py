"""Weight norm (arXiv 1602.07868) put on for training and folded away for use: one product less a convolution."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

# How torch's two generations of weight norm name the length and the direction of a weight.
_SPELLINGS = (("parametrizations.weight.original0", "parametrizations.weight.original1"), ("weight_g", "weight_v"))

__all__ = ["fold", "folded", "weight_norm"]


def fold(module: nn.Module) -> None:
    """Replace every weight-normalised weight in ``module`` by the plain weight that it stands for."""
    for part in module.modules():
        if parametrize.is_parametrized(part, "weight"):
            parametrize.remove_parametrizations(part, "weight")


def folded(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state of a network, from either spelling of weight norm or plain, as ``fold`` would leave it."""
    plain = dict(tensors)
    for length, direction in _SPELLINGS:
        for name in [name for name in tensors if name.endswith(f".{length}")]:
            stem = name.removesuffix(length)
            if stem + direction in tensors:
                g, v = plain.pop(name), plain.pop(stem + direction)
                norm = torch.linalg.vector_norm(v, dim=tuple(range(1, v.dim())), keepdim=True)
                plain[stem + "weight"] = v * (g / norm)
    return plain
