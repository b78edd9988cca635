from collections import Counter

import numpy as np
import pytest

from benchmarks import story
from benchmarks.story import PART, TEXTS, WINDOW, draw, pairs, similarities, turned
from toccata.hub import load_embedder

WINDOWS = round(2 * PART - WINDOW) + 1


def curve(turns: float) -> np.ndarray:
    """The old text is near until so many seconds after the change, then the new one."""
    near = np.zeros((WINDOWS, 2))
    turn = round(PART - WINDOW + turns)
    near[:turn, 0], near[turn:, 1] = 0.8, 0.8
    return near


def test_a_story_that_turns_in_time_is_told_from_one_that_does_not():
    found = {f.metric: f for f in turned([curve(3), curve(20)], [curve(99), curve(99)])}
    nearer = found["new text nearer than the old 15 s after a change"]
    assert (nearer.value, nearer.control, nearer.n) == (0.5, 0.0, 2)
    assert found["similarity to the new text, gained"].value == pytest.approx(0.4)
    assert found["similarity to the old text, gained"].control == 0.0
    assert found["until the new text is nearer (median; no turn counts as never)"].value == pytest.approx(11.5)


def test_music_that_never_turns_never_does():
    figures = list(turned([curve(99)] * 3, [curve(99)] * 3))
    assert figures[-1].value == np.inf
    assert figures[0].value == 0.0


def test_no_text_follows_itself_and_each_comes_first_as_often():
    for count in (12, 36):
        found = pairs(count)
        assert all(a != b for a, b in found)
        assert set(Counter(a for a, _ in found).values()) == {count // len(TEXTS)}
        assert len(set(found)) == count


def test_windows_are_a_second_apart_and_the_picture_shows_them(tmp_path):
    wave = np.random.default_rng(0).normal(size=8 * 24_000).astype(np.float32) * 0.1
    near = similarities(load_embedder(device="cpu"), wave, TEXTS[:2])
    assert near.shape == (4, 2)
    assert np.abs(near).max() <= 1
    draw(("a", "b"), near, tmp_path / "story.png")
    assert (tmp_path / "story.png").read_bytes()[:4] == b"\x89PNG"
    assert story.WITHIN + WINDOW < PART
