"""Conformer blocks (arXiv 2005.08100): attention by relative positions between convolution and two half feed-forwards.

Shapes: B batch, T frames, D width, H heads, E = D / H, P = 2 T - 1 distances.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def distances(frames: int, width: int) -> Tensor:
    """Sinusoids (P, D) of the distances frames - 1 (a key that far in the past) down to 1 - frames."""
    apart_P = torch.arange(frames - 1, -frames, -1.0)
    angles = apart_P[:, None] * 10000.0 ** (-torch.arange(0, width, 2) / width)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


class RelativeAttention(nn.Module):
    """Attention that adds to each pair what their distance says (Transformer-XL, arXiv 1901.02860, section 3.3)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.far = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width)
        self.content_HE = nn.Parameter(torch.zeros(heads, width // heads))
        self.place_HE = nn.Parameter(torch.zeros(heads, width // heads))

    def forward(self, x_BTD: Tensor, distances_PD: Tensor) -> Tensor:
        B, T, D = x_BTD.shape
        q, k, v = self.qkv(x_BTD).view(B, T, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        far_HEP = self.far(distances_PD.to(x_BTD.dtype)).view(-1, self.heads, D // self.heads).permute(1, 2, 0)
        bias_BHTT = by_distance((q + self.place_HE[:, None].to(q.dtype)) @ far_HEP) * (D // self.heads) ** -0.5
        q = q + self.content_HE[:, None].to(q.dtype)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias_BHTT.to(q.dtype))
        return self.out(out.transpose(1, 2).reshape(B, T, D))


def by_distance(scores_BHTP: Tensor) -> Tensor:
    """Scores by (query, distance) -> by (query, key): (B, H, T, T), by the shift of Transformer-XL's appendix B."""
    B, H, T, P = scores_BHTP.shape
    shifted = F.pad(scores_BHTP, (1, 0)).view(B, H, P + 1, T)[:, :, 1:].reshape(B, H, T, P)
    return shifted[..., :T]


class ConvolutionModule(nn.Module):
    """Gate, depthwise convolution over ``kernel`` frames (odd, centred), batch norm, Swish."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, 2 * width, bias=False)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width, bias=False)
        self.norm = nn.BatchNorm1d(width)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        gated_BDT = F.glu(self.gate(x_BTD), dim=-1).transpose(1, 2)
        return self.out(F.silu(self.norm(self.depthwise(gated_BDT))).transpose(1, 2))


class FeedForward(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        return self.down(F.silu(self.up(x_BTD)))


class ConformerBlock(nn.Module):
    """Half a feed-forward, attention, convolution, half a feed-forward; each on a layer norm, one more at the end."""

    def __init__(self, width: int, heads: int, inner: int, kernel: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(5))
        self.before, self.after = FeedForward(width, inner), FeedForward(width, inner)
        self.attention = RelativeAttention(width, heads)
        self.convolution = ConvolutionModule(width, kernel)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BTD: Tensor, distances_PD: Tensor) -> Tensor:
        """``distances_PD`` are ``distances(T, D)``."""
        x = x_BTD + 0.5 * self.dropout(self.before(self.norms[0](x_BTD)))
        x = x + self.dropout(self.attention(self.norms[1](x), distances_PD))
        x = x + self.dropout(self.convolution(self.norms[2](x)))
        x = x + 0.5 * self.dropout(self.after(self.norms[3](x)))
        return self.norms[4](x)
