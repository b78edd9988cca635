"""The number format in which a training step multiplies."""

import torch


def multiplies_bfloat16(device: str | torch.device) -> bool:
    """Whether ``device`` multiplies bfloat16 faster than float32: GPUs do, and CPUs with AMX.

    Other CPUs don't, even those that know bfloat16.
    """
    return torch.device(device).type != "cpu" or torch.cpu._is_amx_tile_supported()


def fast_products(device: str | torch.device) -> torch.autocast:
    """A scope whose products are bfloat16 where ``device`` multiplies that faster."""
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=multiplies_bfloat16(device))
