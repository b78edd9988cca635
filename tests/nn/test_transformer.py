"""Attention and blocks: the cached path equals the whole, rotary positions are relative, conditions can be dropped."""

import pytest
import torch

from toccata.nn.attention import KVCache, SelfAttention, attend, rotary_table, rotate
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
