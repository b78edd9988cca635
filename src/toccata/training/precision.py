"""The number format in which a training step multiplies."""

import torch


def fast_products(device: str | torch.device) -> torch.autocast:
    """A scope whose products are bfloat16 where ``device`` multiplies that faster: GPUs, and CPUs with AMX.

    Other CPUs multiply float32 faster, even those that know bfloat16.
    """
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=kind != "cpu" or torch.cpu._is_amx_tile_supported())
