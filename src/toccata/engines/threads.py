"""How many threads a decoder's step is worth."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

SMALL = 512


def threads_for(width: int) -> int:
    """One for a model this narrow: a step is too short to share, threads would wait for each other longer than work."""
    return 1 if width <= SMALL else torch.get_num_threads()


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Within the scope torch computes with ``count`` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
