"""Multi-head attention: causal with a static key-value cache, and across to a condition; positions for it.

Shapes: B batch, S steps, L condition length, D width, H heads, E = D / H.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_FEW_KEYS = 256


class KVCache:
    """Keys and values of the steps so far, in buffers of fixed size: keys_BHSE, values_BHSE."""

    def __init__(self, batch: int, heads: int, steps: int, head_width: int, like: Tensor) -> None:
        self.keys_BHSE = like.new_empty(batch, heads, steps, head_width)
        self.values_BHSE = torch.empty_like(self.keys_BHSE)
        self.length = 0

    def append(self, keys_BHSE: Tensor, values_BHSE: Tensor) -> tuple[Tensor, Tensor]:
        """Add new steps and return all of them so far."""
        end = self.length + keys_BHSE.shape[2]
        self.keys_BHSE[:, :, self.length : end] = keys_BHSE
        self.values_BHSE[:, :, self.length : end] = values_BHSE
        self.length = end
        return self.keys_BHSE[:, :, :end], self.values_BHSE[:, :, :end]


class Places:
    """Where each row of a batch stands: a step writes its keys to ``place_B`` and reads the first ``room`` of them."""

    def __init__(self, place_B: Tensor, room: int) -> None:
        self.place_B, self.room = place_B, room
        self.row_B = torch.arange(len(place_B), device=place_B.device)


class PlacedCache:
    """A ``KVCache`` whose rows stand at places of their own, known to the device alone.

    A step reads ``places.room`` keys, of which those past its place are to be masked; they are numbers all the same.
    """

    def __init__(self, heads: int, steps: int, head_width: int, like: Tensor, places: Places) -> None:
        self.places = places
        self.keys_BHSE = like.new_zeros(len(places.place_B), heads, steps, head_width)
        self.values_BHSE = torch.zeros_like(self.keys_BHSE)

    def append(self, keys_BHSE: Tensor, values_BHSE: Tensor) -> tuple[Tensor, Tensor]:
        """Write several steps to the start, or one to each row's place; return what they attend to."""
        steps = keys_BHSE.shape[2]
        if steps > 1:
            self.keys_BHSE[:, :, :steps] = keys_BHSE
            self.values_BHSE[:, :, :steps] = values_BHSE
            return keys_BHSE, values_BHSE
        where = (self.places.row_B, slice(None), self.places.place_B)
        self.keys_BHSE[where] = keys_BHSE[:, :, 0]
        self.values_BHSE[where] = values_BHSE[:, :, 0]
        return self.keys_BHSE[:, :, : self.places.room], self.values_BHSE[:, :, : self.places.room]


def rotary_table(steps: int, head_width: int, base: float = 10000.0, start: int = 0) -> Tensor:
    """Cosines and sines of ``steps`` rotary positions (arXiv 2104.09864) from ``start``: (2, S, E / 2)."""
    frequencies = base ** (-torch.arange(0, head_width, 2).double() / head_width)
    angles = torch.arange(start, start + steps).double()[:, None] * frequencies
    return torch.stack([angles.cos(), angles.sin()]).float()


def rotate(x_BHSE: Tensor, table_2SE: Tensor) -> Tensor:
    """Turn each pair (first half, second half of E) by its step's angle; there may be more dimensions in front."""
    first, second = x_BHSE.chunk(2, dim=-1)
    cos, sin = table_2SE.to(x_BHSE.dtype)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


def distance_buckets(ahead: Tensor, buckets: int, max_distance: int, both_ways: bool) -> Tensor:
    """T5's bucket of each distance (arXiv 1910.10683, section 2.1), negative to what came before.

    The first half of the buckets hold one distance each, the others ever wider ranges on a logarithmic scale. With
    ``both_ways`` all of this happens twice, for what came before and for what lies ahead; without, all ahead is 0.
    """
    half = buckets // 2 if both_ways else buckets
    single = half // 2
    distance = ahead.abs() if both_ways else (-ahead).clamp(min=0)
    # Single precision, as in training: some distances fall exactly between two buckets.
    scale = torch.log(distance.clamp(min=1).float() / single) / math.log(max_distance / single)
    wide = single + (scale * (half - single)).long().clamp(max=half - single - 1)
    found = torch.where(distance < single, distance, wide)
    return found + half * (ahead > 0) if both_ways else found


class RelativeBias(nn.Module):
    """What causal attention adds to a score for the distance, learnt for each head and bucket, as in T5's decoder."""

    def __init__(self, heads: int, buckets: int = 32, max_distance: int = 128) -> None:
        super().__init__()
        self.max_distance = max_distance
        self.bias_KH = nn.Parameter(torch.zeros(buckets, heads))

    def forward(self, first: int, last: int) -> Tensor:
        """bias_HSL of queries ``first`` to ``last`` (excluded) for all keys so far; -inf for those that come later."""
        place_L = torch.arange(last, device=self.bias_KH.device)
        ahead_SL = place_L - place_L[first:, None]
        bias_SLH = self.bias_KH[distance_buckets(ahead_SL, len(self.bias_KH), self.max_distance, both_ways=False)]
        return bias_SLH.permute(2, 0, 1).masked_fill(ahead_SL > 0, -torch.inf)


def attend(
    q_BHSE: Tensor,
    k_BHLE: Tensor,
    v_BHLE: Tensor,
    mask_BL: Tensor | None,
    causal: bool,
    bias_HSL: Tensor | None = None,
) -> Tensor:
    """Scaled dot-product attention -> (B, H, S, E); keys where ``mask_BL`` is False (or -inf) don't count.

    A ``bias_HSL`` is added to the scores and says itself what is ``causal``; it has no mask beside it.
    """
    if bias_HSL is not None:
        bias = bias_HSL[None].to(q_BHSE.dtype)
        return F.scaled_dot_product_attention(q_BHSE, k_BHLE, v_BHLE, attn_mask=bias)
    training = torch.is_grad_enabled() and q_BHSE.requires_grad
    if q_BHSE.device.type == "cpu" and training and (k_BHLE.shape[2] < _FEW_KEYS or q_BHSE.dtype == torch.bfloat16):
        return _attend_by_products(q_BHSE, k_BHLE, v_BHLE, mask_BL, causal)
    mask = None if mask_BL is None else mask_BL[:, None, None]
    return F.scaled_dot_product_attention(q_BHSE, k_BHLE, v_BHLE, attn_mask=mask, is_causal=causal)


def _attend_by_products(q_BHSE: Tensor, k_BHLE: Tensor, v_BHLE: Tensor, mask_BL: Tensor | None, causal: bool) -> Tensor:
    """``attend`` for training on a CPU, where the fused kernel is slower with few keys, and in bfloat16 by far."""
    B, H, S, E = q_BHSE.shape
    L = k_BHLE.shape[2]
    bias = q_BHSE.new_zeros(1, 1, 1, 1)
    if mask_BL is not None:
        bias = bias.masked_fill(~mask_BL[:, None, None], float("-inf"))
    if causal:
        bias = bias + bias.new_full((S, L), float("-inf")).triu(1)
    bias = bias.expand(B, H, S, L).flatten(0, 1)
    keys_NEL = k_BHLE.flatten(0, 1).transpose(1, 2)
    weights_NSL = torch.baddbmm(bias, q_BHSE.flatten(0, 1) * E**-0.5, keys_NEL).softmax(-1)
    return torch.bmm(weights_NSL, v_BHLE.flatten(0, 1)).unflatten(0, (B, H))


class SelfAttention(nn.Module):
    """Attention of each step to itself and what came before (``causal``) or to all steps."""

    def __init__(
        self, width: int, heads: int, causal: bool = True, bias: bool = False, head_width: int | None = None
    ) -> None:
        """``head_width`` is ``width`` / ``heads`` unless given."""
        super().__init__()
        self.heads, self.causal = heads, causal
        inner = heads * (head_width or width // heads)
        self.qkv = nn.Linear(width, 3 * inner, bias=bias)
        self.out = nn.Linear(inner, width, bias=bias)

    def forward(
        self,
        x_BSD: Tensor,
        rotary_2SE: Tensor | None = None,
        cache: KVCache | PlacedCache | None = None,
        mask_BS: Tensor | None = None,
        bias_HSL: Tensor | None = None,
    ) -> Tensor:
        """``rotary_2SE`` or ``bias_HSL`` are of exactly these steps; a ``cache`` takes several only when empty."""
        B, S, _ = x_BSD.shape
        qkv = self.qkv(x_BSD).view(B, S, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv
        if rotary_2SE is not None:
            q, k = rotate(qkv[:2], rotary_2SE)
        if cache is not None:
            k, v = cache.append(k, v)
        out = attend(q, k, v, mask_BS, self.causal and S > 1, bias_HSL)
        return self.out(out.transpose(1, 2).reshape(B, S, -1))


class CrossAttention(nn.Module):
    """Attention to a condition whose keys and values are computed once (``condition``)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.kv = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def condition(self, text_BLD: Tensor) -> tuple[Tensor, Tensor]:
        B, L, D = text_BLD.shape
        keys, values = self.kv(text_BLD).view(B, L, 2, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        return keys, values

    def forward(self, x_BSD: Tensor, condition: tuple[Tensor, Tensor], mask_BL: Tensor) -> Tensor:
        B, S, D = x_BSD.shape
        q = self.query(x_BSD).view(B, S, self.heads, D // self.heads).transpose(1, 2)
        out = attend(q, *condition, mask_BL, causal=False)
        return self.out(out.transpose(1, 2).reshape(B, S, D))
