"""The delay pattern and its inverse."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toccata.nn.codebooks import delay, delay_mask, undelay


@given(st.integers(1, 3), st.integers(1, 8), st.integers(1, 20))
def test_undelay_undoes_delay(batch, codebooks, frames):
    codes_BKT = torch.arange(batch * codebooks * frames).view(batch, codebooks, frames)
    assert torch.equal(undelay(delay(codes_BKT, -1)), codes_BKT)


@given(st.integers(1, 8), st.integers(1, 20))
def test_the_mask_marks_exactly_the_codes(codebooks, frames):
    steps_BKS = delay(torch.zeros(1, codebooks, frames, dtype=torch.int64), -1)
    assert torch.equal(steps_BKS[0] == 0, delay_mask(codebooks, frames))


def test_the_drawn_example():
    steps = delay(torch.arange(4).repeat(1, 3, 1), 9)
    assert steps[0].tolist() == [[0, 1, 2, 3, 9, 9], [9, 0, 1, 2, 3, 9], [9, 9, 0, 1, 2, 3]]


@pytest.mark.parametrize("codebooks", [1, 4])
def test_a_level_never_comes_before_the_one_it_refines(codebooks):
    mask_KS = delay_mask(codebooks, 5)
    first = mask_KS.int().argmax(1)
    assert first.tolist() == list(range(codebooks))
