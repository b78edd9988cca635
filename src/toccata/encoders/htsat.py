"""HTSAT (Chen et al. 2022, arXiv 2202.00874): a Swin transformer that hears, with CLAP's feature fusion.

A spectrogram is cut along time into a few strips, which are stacked to a square picture. Patches of it attend to each
other within windows, which shift by half a window in every other block; between stages, four neighbours become one.
Fusion (CLAP, arXiv 2211.06687, section 2.2) adds three pictures of details to that of the whole.

Shapes: B clips, P pictures of a clip (1, or the whole and three crops), T frames, M mel bands, Y rows, X columns,
D width, W windows of all clips, L patches of a window, H heads, E width of a head.
"""

from collections import OrderedDict
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CROPS = 3


@dataclass(frozen=True)
class HTSATConfig:
    """Sizes of a tower: ``width`` is the first stage's and doubles with each of the others.

    The picture is ``side`` x ``side``, of patches of ``patch`` x ``patch``; ``inner`` is how many times wider the
    feed-forward is. ``fused`` adds the fusion, whose attention is ``squeeze`` times narrower inside. Raises
    ``ValueError`` for sizes that don't divide into strips, patches, stages and windows.
    """

    width: int = 96
    depths: tuple[int, ...] = (2, 2, 6, 2)
    heads: tuple[int, ...] = (4, 8, 16, 32)
    bands: int = 64
    side: int = 256
    patch: int = 4
    window: int = 8
    inner: float = 4.0
    fused: bool = False
    squeeze: int = 4

    def __post_init__(self) -> None:
        halvings = 2 ** (len(self.depths) - 1)
        whole = len(self.heads) == len(self.depths) and self.side % self.bands == 0
        if not whole or self.side % (self.patch * halvings) or any(size % self.window_of(size) for size in self.sizes):
            raise ValueError(f"a picture of {self.side} does not divide into its strips, patches, stages and windows")

    @property
    def strips(self) -> int:
        return self.side // self.bands

    @property
    def frames(self) -> int:
        """The most frames that a picture holds."""
        return self.side * self.strips

    @property
    def sizes(self) -> tuple[int, ...]:
        """Patches along a side of each stage's picture."""
        return tuple(self.side // self.patch // 2**stage for stage in range(len(self.depths)))

    def window_of(self, size: int) -> int:
        return min(self.window, size)


def htsat_tiny(fused: bool = False) -> HTSATConfig:
    return HTSATConfig(fused=fused)


def htsat_base(fused: bool = False) -> HTSATConfig:
    return HTSATConfig(width=128, depths=(2, 2, 12, 2), fused=fused)


class WindowAttention(nn.Module):
    """Attention within each window, biased by how far two patches lie apart in rows and columns."""

    apart_LL: Tensor

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.bias = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("apart_LL", offsets(window), persistent=False)

    def forward(self, x_WLD: Tensor, mask_WLL: Tensor | None) -> Tensor:
        """Windows of all clips in turn; ``mask_WLL`` is added to the scores of one clip's."""
        q, k, v = self.qkv(x_WLD).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        bias = self.bias[self.apart_LL].permute(2, 0, 1)[None]
        if mask_WLL is not None:
            bias = (bias + mask_WLL[:, None]).repeat(len(x_WLD) // len(mask_WLL), 1, 1, 1)
        mixed_WHLE = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.out(mixed_WHLE.transpose(1, 2).flatten(2))


def offsets(window: int) -> Tensor:
    """Which of the (2 window - 1)^2 offsets each two patches of a window have: (L, L) int64."""
    place_L = torch.arange(window**2)
    down_LL, right_LL = (at[:, None] - at[None] + window - 1 for at in (place_L // window, place_L % window))
    return down_LL * (2 * window - 1) + right_LL


def to_windows(x_BYXD: Tensor, window: int) -> Tensor:
    """x_BYXD -> x_WLD, each clip's windows row by row."""
    cut = x_BYXD.unflatten(2, (-1, window)).unflatten(1, (-1, window))
    return cut.transpose(2, 3).flatten(3, 4).flatten(0, 2)


def from_windows(x_WLD: Tensor, window: int, size: int) -> Tensor:
    """What ``to_windows`` made of a picture of ``size`` x ``size`` patches, undone."""
    cut = x_WLD.unflatten(1, (window, window)).unflatten(0, (-1, size // window, size // window))
    return cut.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def shift_mask(size: int, window: int, shift: int) -> Tensor:
    """(windows, L, L): -100, as published, between patches that only the shift round the edge made neighbours."""
    place = torch.arange(size)
    region = (place >= size - window).long() + (place >= size - shift).long()
    regions_WL = to_windows((3 * region[:, None] + region[None])[None, :, :, None], window)[..., 0]
    apart_WLL = regions_WL[:, :, None] != regions_WL[:, None]
    return torch.zeros(apart_WLL.shape).masked_fill(apart_WLL, -100.0)


class Block(nn.Module):
    """Window attention, then a feed-forward, each after a layer norm and added to its input."""

    mask_WLL: Tensor | None

    def __init__(self, width: int, heads: int, size: int, window: int, shift: int, inner: float) -> None:
        super().__init__()
        self.size, self.window, self.shift = size, window, shift
        self.norm_attention = nn.LayerNorm(width)
        self.attention = WindowAttention(width, heads, window)
        self.norm_inner = nn.LayerNorm(width)
        self.up = nn.Linear(width, int(inner * width))
        self.down = nn.Linear(int(inner * width), width)
        self.register_buffer("mask_WLL", shift_mask(size, window, shift) if shift else None, persistent=False)

    def forward(self, x_BYXD: Tensor) -> Tensor:
        turned = self.norm_attention(x_BYXD).roll((-self.shift, -self.shift), (1, 2))
        mixed = self.attention(to_windows(turned, self.window), self.mask_WLL)
        x = x_BYXD + from_windows(mixed, self.window, self.size).roll((self.shift, self.shift), (1, 2))
        return x + self.down(F.gelu(self.up(self.norm_inner(x))))


class Merge(nn.Module):
    """Each square of four patches becomes one of twice the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduce = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x_BYXD: Tensor) -> Tensor:
        four = [x_BYXD[:, down::2, right::2] for right in (0, 1) for down in (0, 1)]
        return self.reduce(self.norm(torch.cat(four, dim=-1)))


class Fusion(nn.Module):
    """Attentional feature fusion (Dai et al. 2021, arXiv 2009.14082): how much of each of two pictures, by place."""

    def __init__(self, width: int, squeeze: int) -> None:
        super().__init__()
        self.near = nn.Sequential(*_bottleneck(width, width // squeeze))
        self.far = nn.Sequential(nn.AdaptiveAvgPool2d(1), *_bottleneck(width, width // squeeze))

    def forward(self, whole_BDYX: Tensor, detail_BDYX: Tensor) -> Tensor:
        both = whole_BDYX + detail_BDYX
        share = torch.sigmoid(self.near(both) + self.far(both))
        return 2 * whole_BDYX * share + 2 * detail_BDYX * (1 - share)


def _bottleneck(width: int, inner: int) -> list[nn.Module]:
    narrow, wide = nn.Conv2d(width, inner, 1), nn.Conv2d(inner, width, 1)
    return [narrow, nn.BatchNorm2d(inner), nn.ReLU(), wide, nn.BatchNorm2d(width)]


class Patches(nn.Module):
    """Pictures into patches; of a clip that is longer than one picture, with its crops' details fused in."""

    def __init__(self, config: HTSATConfig) -> None:
        super().__init__()
        self.whole = nn.Conv2d(1, config.width, config.patch, config.patch)
        self.norm = nn.LayerNorm(config.width)
        if config.fused:
            wide = (config.patch, CROPS * config.patch)  # three crops side by side are then as wide as the whole
            self.detail = nn.Conv2d(1, config.width, wide, wide)
            self.fusion = Fusion(config.width, config.squeeze)

    def forward(self, pictures_BPYX: Tensor, longer_B: Tensor) -> Tensor:
        x_BDYX = self.whole(pictures_BPYX[:, :1])
        if pictures_BPYX.shape[1] > 1 and longer_B.any():
            crops = self.detail(pictures_BPYX[longer_B, 1:].flatten(0, 1)[:, None])
            beside = crops.unflatten(0, (-1, CROPS)).permute(0, 2, 3, 1, 4).flatten(3)
            beside = F.pad(beside, (0, x_BDYX.shape[-1] - beside.shape[-1]))
            x_BDYX[longer_B] = self.fusion(x_BDYX[longer_B], beside)
        return self.norm(x_BDYX.permute(0, 2, 3, 1))


class HTSAT(nn.Module):
    """One vector of ``width`` numbers for the pictures of each clip; their work does not depend on its length."""

    def __init__(self, config: HTSATConfig) -> None:
        super().__init__()
        self.config = config
        self.norm_mel = nn.BatchNorm2d(config.bands)
        self.patches = Patches(config)
        self.stages = nn.ModuleList(_stage(config, stage) for stage in range(len(config.depths)))
        self.norm = nn.LayerNorm(self.width)

    @property
    def width(self) -> int:
        return self.config.width * 2 ** (len(self.config.depths) - 1)

    def summarise(self, mel_BPTM: Tensor, longer_B: Tensor) -> Tensor:
        """(B, width) of mel spectrograms in dB; where ``longer_B`` is True, the crops are fused in (if fused)."""
        pictures = self.picture(self.norm_mel(mel_BPTM.transpose(1, 3)).transpose(1, 3))
        x = self.patches(pictures if self.config.fused else pictures[:, :1], longer_B)
        for stage in self.stages:
            x = stage(x)
        return self.norm(x).mean((1, 2))

    def picture(self, mel_BPTM: Tensor) -> Tensor:
        """Stretched to the picture's frames, cut along time into strips, and these stacked: (B, P, Y, X).

        Raises ``ValueError`` for more frames than a picture holds.
        """
        frames, strips = mel_BPTM.shape[2], self.config.strips
        if frames > self.config.frames:
            raise ValueError(f"{frames} frames are more than the {self.config.frames} that fit a picture")
        if frames < self.config.frames:
            size = (self.config.frames, mel_BPTM.shape[3])
            mel_BPTM = F.interpolate(mel_BPTM, size, mode="bicubic", align_corners=True)
        return mel_BPTM.unflatten(2, (strips, -1)).transpose(-1, -2).flatten(2, 3)


def _stage(config: HTSATConfig, stage: int) -> nn.Sequential:
    """Blocks whose windows are shifted by turns, unless one window is all; then, but in the last stage, merging."""
    width, size = config.width * 2**stage, config.sizes[stage]
    window = config.window_of(size)
    shift = window // 2 if window < size else 0
    blocks = [
        Block(width, config.heads[stage], size, window, shift * (i % 2), config.inner)
        for i in range(config.depths[stage])
    ]
    parts: dict[str, nn.Module] = {"blocks": nn.Sequential(*blocks)}
    if stage < len(config.depths) - 1:
        parts["merge"] = Merge(width)
    return nn.Sequential(OrderedDict(parts))
