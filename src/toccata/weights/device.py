"""Where a model runs."""

import torch

from toccata.errors import InputError


def pick_device(device: str) -> torch.device:
    """``device`` by its name, "auto" being a GPU where there is one; raises ``InputError`` for one that isn't here."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("cpu")
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError):
        raise InputError(f"the device {device!r} is not available here; use --device auto or cpu") from None
    return place
