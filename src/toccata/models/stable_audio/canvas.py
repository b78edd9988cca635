"""What a piece begins from, which of it stays, and the windows that it is drawn in.

Shapes: T latent frames, D latent width, C channels, N samples.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from toccata.audio.prediction import foretold

OVERLAP = 0.25  # of a window, that it hears again of the one before
SEAM_SECONDS = 0.15  # or a quarter of a shorter region


@dataclass(frozen=True)
class Canvas:
    """``frames`` of a piece. ``sound_TD`` and ``keep_T`` go on for a window beyond its end, where silence is.

    The last window hears ``beyond`` frames of that.
    """

    frames: int
    sound_TD: Tensor
    keep_T: Tensor
    beyond: int = 0


@dataclass(frozen=True)
class Window:
    """Frames from ``first`` on, of which those from ``made`` to ``until`` are new; all of them kept if ``copied``."""

    first: int
    made: int
    until: int
    copied: bool = False


def empty(frames: int, window: int, latent: int) -> Canvas:
    """Nothing to begin from, nothing to keep."""
    return Canvas(frames, torch.zeros(frames + window, latent), torch.zeros(frames + window, dtype=torch.bool))


def begun_with(sound_TD: Tensor, silence_D: Tensor, frames: int, window: int) -> Canvas:
    """``sound_TD`` cut or filled up with silence; nothing of it is kept."""
    there_TD, whole = sound_TD[:frames], frames + window
    filled_TD = torch.cat([there_TD, silence_D.expand(whole - len(there_TD), -1)])
    return Canvas(frames, filled_TD, torch.zeros(whole, dtype=torch.bool))


def ended(canvas: Canvas, silence_D: Tensor, beyond: int) -> Canvas:
    """``canvas`` with silence kept beyond its end, so that what is drawn before it leads there."""
    sound_TD, keep_T = canvas.sound_TD.clone(), canvas.keep_T.clone()
    sound_TD[canvas.frames :], keep_T[canvas.frames :] = silence_D, True
    return Canvas(canvas.frames, sound_TD, keep_T, beyond)


def lengthened(old_CN: np.ndarray, before: int, after: int, reach: int, rate: int) -> np.ndarray:
    """``old_CN`` with room for new samples: what it rings on with, then its mirror image, silence beyond ``reach``.

    What is encoded near its ends then tells of no silence there, and new sound fades out of how the old one would go on
    by itself.
    """
    front_CN = _beyond(old_CN[:, ::-1], before, reach, rate)[:, ::-1]
    return np.concatenate([front_CN, old_CN, _beyond(old_CN, after, reach, rate)], axis=1)


def _beyond(old_CN: np.ndarray, count: int, reach: int, rate: int) -> np.ndarray:
    """``count`` samples that follow: alone for a seam, for another one fading into the mirror image, it rings on."""
    near, seam = min(reach, count // 2), int(min(SEAM_SECONDS * rate, count / 4))
    beyond_CN = np.pad(old_CN, ((0, 0), (0, near)), mode="symmetric")[:, old_CN.shape[1] :]
    share_N = np.clip(np.arange(min(2 * seam, near)) / max(seam, 1) - 1, 0, 1, dtype=np.float32)
    rung_CN = foretold(old_CN, len(share_N))
    beyond_CN[:, : len(share_N)] = rung_CN + share_N * (beyond_CN[:, : len(share_N)] - rung_CN)
    return np.pad(beyond_CN, ((0, 0), (0, count - near)))


def kept_outside(canvas: Canvas, regions: Sequence[tuple[float, float]], rate: float) -> Canvas:
    """``canvas`` of which all stays but the ``regions``, in seconds at ``rate`` frames each, to whole frames.

    What lies beyond the piece's end stays silent unless a region goes up to there.
    """
    keep_T = torch.ones_like(canvas.keep_T)
    for start, end in regions:
        keep_T[int(start * rate) : min(-int(-end * rate // 1), canvas.frames)] = False
    keep_T[canvas.frames :] = keep_T[canvas.frames - 1]
    return Canvas(canvas.frames, canvas.sound_TD, keep_T)


def windows(canvas: Canvas, window: int, changes: Sequence[int]) -> Iterator[Window]:
    """The windows that make a canvas whole, in order; where the text ``changes`` a new one begins.

    Each hears again the end of what is there; the last ones lie so that they end with the piece, or as far beyond it as
    the canvas says. Before what is kept, a
    window stops early rather than hear too little of it.
    """
    made, frames, overlap = 0, canvas.frames, int(OVERLAP * window)
    while made < frames:
        free = torch.nonzero(~canvas.keep_T[made:frames]).flatten()
        start = made + int(free[0]) if len(free) else frames
        if start > made:
            yield Window(made, made, start, copied=True)
            made = start
            continue
        first = max(min(made - overlap, frames + canvas.beyond - window), 0)
        until = min([first + window, frames, *(at for at in changes if at > made)])
        if until == frames and first + window < frames + canvas.beyond:
            until = frames + canvas.beyond - window + overlap  # one more, which hears all of the rest
        kept = torch.nonzero(canvas.keep_T[made:frames]).flatten()
        early = made + int(kept[0]) + 2 * overlap - window if len(kept) else frames
        if made < early < until < early + window - overlap:
            until = early
        yield Window(first, made, until)
        made = until


def pasted(
    new_CN: np.ndarray, old_CN: np.ndarray, first: int, regions: Sequence[tuple[float, float]], rate: int
) -> np.ndarray:
    """``new_CN``, from sample ``first`` of the piece on, inside the regions, and ``old_CN``, the whole, outside them.

    One fades into the other within a seam at either end of a region, inside of it, but not where the piece begins or
    ends: there is nothing to join there.
    """
    place_N = np.arange(first, first + new_CN.shape[1])
    share_N = np.zeros(new_CN.shape[1], np.float32)
    for start, end in regions:
        seam = min(SEAM_SECONDS, (end - start) / 4) * rate
        rise_N = (place_N - start * rate) / seam if start > 0 else np.ones(len(place_N))
        fall_N = (end * rate - place_N) / seam if round(end * rate) < old_CN.shape[1] else place_N < end * rate
        share_N = np.maximum(share_N, np.clip(np.minimum(rise_N, fall_N), 0, 1))
    old = np.zeros_like(new_CN)
    there = old_CN[:, first : first + new_CN.shape[1]]
    old[:, : there.shape[1]] = there
    return (old + share_N * (new_CN - old)).astype(np.float32)
