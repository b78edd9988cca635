"""Small files: matrices as int8 with one scale for every 64 or 32 values of a row, everything else as bfloat16."""

import torch
from torch import Tensor

GROUPS = 64, 32  # values that share a scale: the first that divides a row
_SCALE = ".scale"


def compact(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Float tensors -> a quarter of their size. What has rows that do not divide by 32 becomes bfloat16.

    A row is all that one output is made of: a convolution's is its channels and taps together.
    """
    small: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        row = tensor[0].numel() if tensor.dim() >= 2 and tensor.numel() >= 4096 else 1
        group = next((size for size in GROUPS if row % size == 0), None)
        if group:
            groups = tensor.detach().float().view(tensor.shape[0], -1, group)
            scale = (groups.abs().amax(-1).clamp(min=1e-12) / 127).half().clamp(min=2**-24)
            small[name] = (groups / scale.float()[..., None]).round().clamp(-127, 127).to(torch.int8).view_as(tensor)
            small[name + _SCALE] = scale
        else:
            small[name] = tensor.detach().bfloat16() if tensor.is_floating_point() else tensor
    return small


def expand(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """What ``compact`` wrote, as float32 (each value within half a scale of the original)."""
    full: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name + _SCALE in tensors:
            scale = tensors[name + _SCALE].float()
            full[name] = (tensor.view(*scale.shape, -1).float() * scale[..., None]).view_as(tensor)
        elif not name.endswith(_SCALE):
            full[name] = tensor.float() if tensor.is_floating_point() else tensor
    return full
