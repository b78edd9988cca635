"""What CLAP sees of a sound of any length: mel spectrograms of ten seconds each (arXiv 2211.06687, section 2.2).

A shorter sound is repeated. Of a longer one there are four pictures: the whole one, shrunk to as many frames, and three
crops out of its thirds. Only the frames that these need are ever computed, 5005 at most, so memory and work don't grow
with the length; what does is reading the sound once, block by block.

Shapes: N samples, T frames, M mel bands, P pictures (1, or the whole and three crops).
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from toccata.audio.mel import mel_filters
from toccata.encoders.htsat import CROPS

_FRAMES_AT_ONCE = 1000
FILLINGS = ("repeatpad", "repeat", "pad")


@dataclass(frozen=True)
class Pictures:
    """How a sound becomes pictures of ``seconds``: ``window`` and ``hop`` in samples, ``low`` and ``high`` in Hz.

    ``filling`` is what is done with a shorter sound: whole repetitions and silence after them (repeatpad), repetitions
    up to the end (repeat), or silence alone (pad). ``fused`` chooses four pictures of a longer one, on HTK's mel
    scale; else it is one crop, on Slaney's, as each was trained.
    """

    sample_rate: int = 48_000
    window: int = 1024
    hop: int = 480
    bands: int = 64
    low: float = 50.0
    high: float = 14_000.0
    seconds: float = 10.0
    filling: str = "repeatpad"
    fused: bool = False

    @property
    def samples(self) -> int:
        return round(self.seconds * self.sample_rate)

    @property
    def frames(self) -> int:
        return self.samples // self.hop + 1


def draw(
    blocks: Iterable[Tensor], length: int, pictures: Pictures, generator: torch.Generator | None = None
) -> tuple[Tensor, bool]:
    """mel_PTM in dB of a mono sound of ``length`` samples at the pictures' rate, and whether it is longer than one.

    The sound comes in ``blocks`` of any sizes, which are taken to the end. The published code draws the crops at
    random; here they are the middle of each third (of the whole, where there is one), unless a ``generator`` draws.
    """
    if length <= pictures.samples:
        wave_N = filled(_cut(blocks, 0, length), pictures)
        return _all_frames(wave_N, pictures), False
    if not pictures.fused:
        start = _place(0, length - pictures.samples + 1, generator)
        return _all_frames(_cut(blocks, start, pictures.samples), pictures), True
    total = length // pictures.hop + 1
    if total == pictures.frames:
        wanted_T = torch.arange(total)
        mel_TM = log_mel(gathered(blocks, wanted_T, length, pictures), pictures)
        return mel_TM.expand(1 + CROPS, -1, -1), False
    frames_N, share_T = _chosen(total, pictures.frames, generator)
    wanted_T, where = torch.unique(frames_N, return_inverse=True)
    mel_TM = log_mel(gathered(blocks, wanted_T, length, pictures), pictures)
    return _shown(mel_TM[where], share_T), True


def whole(wave_N: Tensor, pictures: Pictures) -> Tensor:
    """mel_TM in dB of a sound at the pictures' rate, of its whole length or, where that is less, of one picture."""
    if len(wave_N) <= pictures.samples:
        wave_N = filled(wave_N, pictures)
    total = max(len(wave_N) // pictures.hop + 1, pictures.frames)
    parts = torch.arange(total).split(_FRAMES_AT_ONCE)
    return torch.cat([log_mel(gathered([wave_N], part_T, len(wave_N), pictures), pictures) for part_T in parts])


def draw_again(mel_TM: Tensor, pictures: Pictures, generator: torch.Generator) -> tuple[Tensor, bool]:
    """``draw`` with its crops at random, from what ``whole`` gave once: for training."""
    total, frames = len(mel_TM), pictures.frames
    if total <= frames:
        return mel_TM.expand(1 + CROPS if pictures.fused else 1, -1, -1), False
    if not pictures.fused:
        start = _place(0, total - frames + 1, generator)
        return mel_TM[None, start : start + frames], True
    frames_N, share_T = _chosen(total, frames, generator)
    return _shown(mel_TM[frames_N].float(), share_T), True


def _chosen(total: int, frames: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Which of ``total`` frames four pictures need (those before and after each of the shrunk one's, then the crops'),
    and the share of those after."""
    starts = [_place(*third, generator) for third in thirds(total - frames + 1)]
    before_T, after_T, share_T = shrunk(total, frames)
    crops_PT = torch.tensor(starts)[:, None] + torch.arange(frames)
    return torch.cat([before_T, after_T, crops_PT.flatten()]), share_T


def _shown(mel_NM: Tensor, share_T: Tensor) -> Tensor:
    """mel_PTM of the frames that ``_chosen`` named."""
    before, after, *crops = mel_NM.unflatten(0, (2 + CROPS, -1))
    return torch.stack([torch.lerp(before, after, share_T[:, None]), *crops])


def filled(wave_N: Tensor, pictures: Pictures) -> Tensor:
    """``wave_N``, not longer than a picture, repeated and padded to its length."""
    times = pictures.samples // len(wave_N)
    repeats = {"repeatpad": times, "repeat": times + 1, "pad": 1}[pictures.filling]
    wave_N = wave_N.repeat(repeats)[: pictures.samples]
    return torch.nn.functional.pad(wave_N, (0, pictures.samples - len(wave_N)))


def _all_frames(wave_N: Tensor, pictures: Pictures) -> Tensor:
    mel_TM = log_mel(gathered([wave_N], torch.arange(pictures.frames), len(wave_N), pictures), pictures)
    return mel_TM.expand(1 + CROPS if pictures.fused else 1, -1, -1)


def thirds(places: int) -> list[tuple[int, int]]:
    """(first, number) of each third of that many places to start at; the earlier ones get what is left over."""
    sizes = [places // CROPS + (i < places % CROPS) for i in range(CROPS)]
    return [(sum(sizes[:i]), size) if size else (0, 1) for i, size in enumerate(sizes)]


def _place(first: int, places: int, generator: torch.Generator | None) -> int:
    if generator is None:
        return first + (places - 1) // 2
    return first + int(torch.randint(places, (), generator=generator))


def shrunk(total: int, frames: int) -> tuple[Tensor, Tensor, Tensor]:
    """Where each of ``frames`` lies among ``total``: the frame before, the one after, and the second's share.

    As bilinear interpolation without smoothing has it, in single precision as in training.
    """
    ratio = torch.tensor(total / frames)
    place_T = (ratio * (torch.arange(frames) + 0.5) - 0.5).clamp(min=0)
    before_T = place_T.long().clamp(max=total - 1)
    return before_T, (before_T + 1).clamp(max=total - 1), place_T - before_T


def gathered(blocks: Iterable[Tensor], frames_T: Tensor, length: int, pictures: Pictures) -> Tensor:
    """The windows (T, window) around the ascending ``frames_T``, out of a sound that is mirrored at both ends."""
    half = pictures.window // 2
    centres_T = frames_T * pictures.hop
    offsets = torch.arange(-half, half)
    windows = torch.zeros(len(frames_T), pictures.window)
    # A window that reaches over an end is folded back, and stays within half a window of it.
    firsts = (centres_T - half).clamp(0, max(length - 1 - half, 0)).tolist()
    lasts = (centres_T + half - 1).clamp(min(half, length - 1), length - 1).tolist()
    start = 0
    for block in blocks:
        rows = slice(bisect_left(lasts, start), bisect_left(firsts, start + len(block)))
        if rows.start < rows.stop:
            at = (centres_T[rows, None] + offsets).abs()
            at = torch.where(at < length, at, 2 * (length - 1) - at) - start
            here = (at >= 0) & (at < len(block))
            windows[rows][here] = block[at[here]]
        start += len(block)
    return windows


def log_mel(windows: Tensor, pictures: Pictures) -> Tensor:
    """Mel power of each window in dB, no lower than -100: (T, M) float32."""
    # Double precision: a quiet band beside a loud one is below what single precision resolves.
    hann = torch.hann_window(pictures.window, dtype=torch.float64)
    power_TF = torch.view_as_real(torch.fft.rfft(windows.double() * hann)).square().sum(-1)
    filters_MF = mel_filters(
        pictures.sample_rate, pictures.window, pictures.bands, pictures.low, pictures.high, htk=pictures.fused
    )
    return (10 * (power_TF @ filters_MF.double().T).clamp(min=1e-10).log10()).float()


def _cut(blocks: Iterable[Tensor], start: int, length: int) -> Tensor:
    """``length`` samples from ``start``; the rest is let go by as it comes."""
    parts = list(_within(blocks, start, start + length))
    return torch.cat(parts) if parts else torch.zeros(1)


def _within(blocks: Iterable[Tensor], start: int, stop: int) -> Iterator[Tensor]:
    at = 0
    for block in blocks:
        if at < stop and start < at + len(block):
            yield block[max(start - at, 0) : stop - at]
        at += len(block)
