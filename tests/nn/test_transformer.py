"""Attention and blocks: the cached path equals the whole, rotary positions are relative, conditions can be dropped."""

import pytest
import torch

from toccata.nn.attention import (
    KVCache,
    RelativeBias,
    SelfAttention,
    attend,
    distance_buckets,
    rotary_table,
    rotate,
)
from toccata.nn.transformer import Block


def test_step_by_step_with_a_cache_equals_all_at_once():
    torch.manual_seed(0)
    attention = SelfAttention(32, 4)
    x_BSD, table = torch.randn(2, 12, 32), rotary_table(12, 8)
    whole = attention(x_BSD, table)
    cache = KVCache(2, 4, 12, 8, x_BSD)
    parts = [attention(x_BSD[:, :5], table[:, :5], cache)]
    parts += [attention(x_BSD[:, s : s + 1], table[:, s : s + 1], cache) for s in range(5, 12)]
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-5)


def test_rotary_attention_depends_on_distance_only():
    torch.manual_seed(0)
    query, key = torch.randn(2, 1, 1, 1, 16)
    table = rotary_table(40, 16)

    def score(a: int, b: int) -> float:
        return float((rotate(query, table[:, a : a + 1]) * rotate(key, table[:, b : b + 1])).sum())

    assert score(7, 3) == pytest.approx(score(36, 32), abs=1e-4)
    assert score(7, 3) != pytest.approx(score(8, 3), abs=1e-3)


@pytest.mark.parametrize(("causal", "masked"), [(True, False), (False, True), (False, False)])
def test_attention_in_training_equals_attention_in_use(causal, masked):
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, 7, 8).unbind(0)
    mask = torch.tensor([[True] * 7, [True] * 3 + [False] * 4]) if masked else None
    used = attend(q, k, v, mask, causal)
    trained = attend(q.requires_grad_(), k, v, mask, causal)
    assert trained.requires_grad
    assert torch.allclose(used, trained, atol=1e-6)


def test_a_causal_block_sees_nothing_later():
    torch.manual_seed(0)
    block = Block(32, 4, 64, cross=False)
    x = torch.randn(1, 10, 32)
    y = x.clone()
    y[:, 6:] = 0
    assert torch.allclose(block(x)[:, :6], block(y)[:, :6], atol=1e-6)


def test_masked_condition_tokens_do_not_matter():
    torch.manual_seed(0)
    block = Block(32, 4, 64, cross=True)
    x, text = torch.randn(1, 3, 32), torch.randn(1, 5, 32)
    mask = torch.tensor([[True, True, False, False, False]])
    other = text.clone()
    other[:, 2:] = 7.0
    a = block(x, block.condition(text), mask)
    b = block(x, block.condition(other), mask)
    assert torch.allclose(a, b, atol=1e-6)
    assert not torch.allclose(a, block(x), atol=1e-3)


def test_near_distances_are_told_apart_and_far_ones_share_a_bucket():
    place_L = torch.arange(300)
    buckets_LL = distance_buckets(place_L - place_L[:, None], 32, 128, both_ways=True)
    behind, ahead = buckets_LL[150, :150].flip(0), buckets_LL[150, 151:]
    assert behind[:7].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert (behind.diff() >= 0).all()
    assert behind.max() == 15
    assert (behind[127:] == 15).all()
    assert torch.equal(ahead, behind[:149] + 16)
    assert buckets_LL.diagonal().eq(0).all()


def test_a_bias_by_distance_hides_what_comes_later_and_is_the_same_step_by_step():
    torch.manual_seed(0)
    attention, bias = SelfAttention(32, 4), RelativeBias(4)
    torch.nn.init.normal_(bias.bias_KH)
    x_BSD = torch.randn(2, 12, 32)
    whole = attention(x_BSD, bias_HSL=bias(0, 12))
    cache = KVCache(2, 4, 12, 8, x_BSD)
    parts = [attention(x_BSD[:, :5], None, cache, bias_HSL=bias(0, 5))]
    parts += [attention(x_BSD[:, s : s + 1], None, cache, bias_HSL=bias(s, s + 1)) for s in range(5, 12)]
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-5)
    changed = torch.cat([x_BSD[:, :6], torch.zeros_like(x_BSD[:, 6:])], dim=1)
    assert torch.allclose(attention(changed, bias_HSL=bias(0, 12))[:, :6], whole[:, :6], atol=1e-6)


def test_a_gate_scales_what_passes():
    torch.manual_seed(0)
    block = Block(16, 2, 24, cross=False, gated=True)
    assert block.gate is not None
    x = torch.randn(1, 4, 16)
    torch.nn.init.zeros_(block.gate.weight)
    assert torch.allclose(block(x), x + block.attention(block.norm_self(x)), atol=1e-6)
