"""Every pattern is undone exactly, holds each code once, and looks as it is drawn."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toccata.nn.codebooks import PATTERNS, coarse_fine, interleave, restore, steps_of

NAMES = sorted(PATTERNS)


@given(st.sampled_from(NAMES), st.integers(1, 3), st.integers(1, 8), st.integers(1, 20))
def test_restore_undoes_interleave(name, batch, codebooks, frames):
    places_KS = PATTERNS[name](codebooks, frames)
    codes_BKT = torch.arange(batch * codebooks * frames).view(batch, codebooks, frames)
    assert torch.equal(restore(interleave(codes_BKT, places_KS, -1), places_KS), codes_BKT)


@given(st.sampled_from(NAMES), st.integers(1, 8), st.integers(1, 20))
def test_every_code_has_one_place_and_every_step_a_code(name, codebooks, frames):
    places_KS = PATTERNS[name](codebooks, frames)
    for row in places_KS.tolist():
        assert [place for place in row if place >= 0] == list(range(frames))
    assert bool((places_KS >= 0).any(0).all())


@pytest.mark.parametrize("name", NAMES)
def test_the_drawing_in_the_docstring_is_what_is_laid_out(name):
    drawn = [
        line.split() for line in (PATTERNS[name].__doc__ or "").splitlines() if re.fullmatch(r"\s+[\d.][\d. ]*", line)
    ]
    codebooks, frames = len(drawn), 1 + max(int(x) for x in drawn[0] if x != ".")
    places = coarse_fine(codebooks, frames, 2) if name == "coarse-fine" else PATTERNS[name](codebooks, frames)
    assert [["." if place < 0 else str(place) for place in row] for row in places.tolist()] == drawn


@pytest.mark.parametrize("name", [name for name in NAMES if name != "parallel"])
def test_the_first_codebook_never_comes_after_those_that_refine_it(name):
    at_KT = steps_of(PATTERNS[name](4, 5))
    assert bool((at_KT[1:] >= at_KT[:1]).all())
    assert bool((at_KT[2:] > at_KT[:1]).all())


@pytest.mark.parametrize(
    ("name", "steps"),
    [("parallel", 1500), ("delay", 1503), ("partial-delay", 1501), ("partial-flattening", 3000),
     ("coarse-first", 3000), ("flattening", 6000)],
)  # fmt: skip
def test_the_papers_steps_for_thirty_seconds(name, steps):
    assert PATTERNS[name](4, 1500).shape[1] == steps
