"""Integers for weights: how far they may be off, and that bytes hold what was put in."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.engines.quantise import group_size, pack, quantise, restore


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 300), st.sampled_from([4, 8]), st.integers(0, 10**6))
def test_every_value_is_within_the_stated_distance(rows, columns, bits, seed):
    weight_ND = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) ** 3
    small = quantise(weight_ND, bits)
    group = group_size(columns)
    scale_ND = small.scales_NG.abs().repeat_interleave(group, 1)[:, :columns]
    off_ND = (restore(small) - weight_ND).abs() / scale_ND
    longest_NG = torch.nn.functional.pad(weight_ND, (0, -columns % group)).view(rows, -1, group).abs().amax(-1)
    assert off_ND.max() <= 1.001
    below_top = weight_ND / (small.scales_NG.repeat_interleave(group, 1)[:, :columns]) < 2 ** (bits - 1) - 0.5
    assert off_ND[below_top].max() <= 0.501
    assert torch.all(small.scales_NG.abs() <= longest_NG / 2 ** (bits - 1) * 1.001 + (longest_NG == 0))


@pytest.mark.parametrize(("bits", "least_db"), [(4, 18.5), (8, 42)])
def test_noise_on_weights_as_they_are(bits, least_db):
    weight_ND = torch.randn(256, 1024, generator=torch.Generator().manual_seed(0))
    noise = restore(quantise(weight_ND, bits)) - weight_ND
    assert 10 * torch.log10(weight_ND.var() / noise.var()) > least_db


def test_what_integers_hold_comes_back_exactly():
    values = torch.randint(-8, 8, (3, 256), generator=torch.Generator().manual_seed(0)).float()
    values[:, ::128] = -8
    assert torch.equal(restore(quantise(values, 4)), values)
    assert torch.equal(restore(quantise(torch.zeros(2, 32), 8)), torch.zeros(2, 32))


def test_two_small_values_share_a_byte_the_first_below():
    small = quantise(torch.randn(2, 64, generator=torch.Generator().manual_seed(0)), 4)
    packed = pack(small)
    assert packed.shape == (2, 1, 32)
    assert torch.equal(packed & 15, small.values_NGQ[..., 0::2])
    assert torch.equal(packed >> 4, small.values_NGQ[..., 1::2])
