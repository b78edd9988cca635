"""Pieces drawn in windows: they cover it, go on from one another, and keep what is known to the letter."""

import pytest
import torch

from toccata.sampling.diffusion import COSINE
from toccata.sampling.windows import going_on, in_windows, spans

SIZE = 20


@pytest.mark.parametrize("frames", [1, 19, 20, 21, 34, 35, 36, 200])
def test_windows_cover_a_piece_overlap_and_end_with_it(frames):
    made = 0
    for span in spans(frames, SIZE):
        assert span.made == made < span.until <= span.first + SIZE
        assert span.first == 0 or (span.made - span.first >= SIZE // 4 and span.first + SIZE <= frames)
        made = span.until
    assert made == frames


def test_a_new_window_begins_where_something_changes():
    assert {0, 13, 40} <= {span.made for span in spans(60, SIZE, [0, 13, 40])}


@pytest.mark.parametrize("unit", [1, 3])
def test_every_window_is_told_the_end_of_what_there_is(unit):
    told = []

    def draw(known, span):
        told.append(known)
        place = torch.arange(span.first * unit, (span.first + SIZE) * unit, dtype=torch.float32)
        return place.expand(2, -1)

    parts = list(in_windows(draw, torch.zeros(2, 0), 47, SIZE, [30], unit))
    whole = torch.cat(parts, dim=-1)
    assert torch.equal(whole, torch.arange(47.0 * unit).expand(2, -1))
    assert not told[0].numel()
    for known, span in zip(told, spans(47, SIZE, [30]), strict=True):
        assert torch.equal(known, whole[:, span.first * unit : span.made * unit])


def test_a_window_that_goes_on_keeps_what_is_known_and_is_led_by_it():
    """The prediction of a world in which every value equals the mean of the window's sounds."""

    def predict(x, t):
        signal, noise = COSINE.at(t)
        sound = (signal * x).mean(-1, keepdim=True).expand_as(x)
        return (signal * x - sound) / noise

    noise = torch.randn(2, 3, 40, generator=torch.Generator().manual_seed(0))
    shares: list[float] = []
    low, high = (going_on(predict, torch.full((2, 3, 30), v), noise, 8, COSINE, shares.append) for v in (-1.0, 1.0))
    assert torch.equal(low[..., :30], torch.full((2, 3, 30), -1.0))
    assert (high[..., 30:] > low[..., 30:] + 0.5).all()
    assert shares == [i / 8 for i in range(1, 9)] * 2


def test_a_piece_that_has_begun_goes_on_from_its_end():
    past = torch.arange(12.0).expand(2, -1)

    def draw(known, span):
        assert torch.equal(known, torch.arange(float(span.first), float(span.made)).expand(2, -1))
        return torch.arange(float(span.first), float(span.first + SIZE)).expand(2, -1)

    made = torch.cat(list(in_windows(draw, past, 47, SIZE)), dim=-1)
    assert torch.equal(made, torch.arange(12.0, 47.0).expand(2, -1))
