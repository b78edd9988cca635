"""Small files: matrices as int8 with one scale for every 64 values of a row, everything else as bfloat16."""

import torch
from torch import Tensor

GROUP = 64
_SCALE = ".scale"


def compact(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Float tensors -> a quarter of their size. What has rows that do not divide by 64 becomes bfloat16.

    A row is all that one output is made of: a convolution's is its channels and taps together.
    """
    small: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.dim() >= 2 and tensor[0].numel() % GROUP == 0 and tensor.numel() >= 4096:
            groups = tensor.detach().float().view(tensor.shape[0], -1, GROUP)
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
            full[name] = (tensor.view(*scale.shape, GROUP).float() * scale[..., None]).view_as(tensor)
        elif not name.endswith(_SCALE):
            full[name] = tensor.float() if tensor.is_floating_point() else tensor
    return full
