"""Pieces longer than a diffusion model draws at once: window after window, each of which hears the end of the last.

Time is the last dimension of every tensor here.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from toccata.sampling.diffusion import Denoise, Path, ddim, denoiser, even, keeping

OVERLAP = 0.25  # of a window, that it hears again of the one before


class Span(NamedTuple):
    """A window begins at frame ``first``; its frames from ``made`` to ``until`` are new."""

    first: int
    made: int
    until: int


def spans(frames: int, size: int, changes: Sequence[int] = (), made: int = 0) -> Iterator[Span]:
    """The windows of ``size`` that make ``frames`` whole, in order; where something ``changes`` a new one begins.

    The first ``made`` frames are there already. The last windows lie so that they end with the piece; a piece that is
    shorter than a window is one.
    """
    while made < frames:
        first = max(min(made - int(OVERLAP * size), frames - size), 0)
        until = min([first + size, frames, *(at for at in changes if at > made)])
        yield Span(first, made, until)
        made = until


def in_windows(
    draw: Callable[[Tensor, Span], Tensor],
    past: Tensor,
    frames: int,
    size: int,
    changes: Sequence[int] = (),
    unit: int = 1,
) -> Iterator[Tensor]:
    """What is new of each window, ``unit`` samples a frame; joined, they are the whole piece.

    ``draw(known, span)`` gives a window that begins with ``known``, the end of what there is. ``past`` is what there is
    at first; it may be no samples long.
    """
    for span in spans(frames, size, changes, past.shape[-1] // unit):
        known = (span.made - span.first) * unit
        window = draw(past[..., past.shape[-1] - known :], span)
        new = window[..., known : (span.until - span.first) * unit]
        past = torch.cat([past, new], dim=-1)[..., -size * unit :]
        yield new


def going_on(
    predict: Denoise,
    known: Tensor,
    noise: Tensor,
    steps: int,
    path: Path,
    tell: Callable[[float], None] = lambda share: None,
) -> Tensor:
    """A window of ``noise``'s shape that begins with ``known``, drawn by DDIM in even ``steps``.

    ``predict`` gives velocities on ``path``; ``tell`` is called with the share that is done.
    """
    length, times = noise.shape[-1], even(steps)
    sound = F.pad(known, (0, length - known.shape[-1]))
    keep = torch.arange(length, device=noise.device) < known.shape[-1]
    denoise = keeping(denoiser(predict, path), sound, keep)

    def told(x: Tensor, t: float) -> Tensor:
        made = denoise(x, t)
        tell((times.index(t) + 1) / steps)
        return made

    return ddim(told, path.mix(sound, noise, times[0]), times, path)
