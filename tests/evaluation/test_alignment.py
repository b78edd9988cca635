import numpy as np
import pytest

from toccata.evaluation.alignment import chroma_cosine, other_text_fit, text_fit


def test_texts_are_compared_with_their_own_clips_and_shuffled_ones_with_all_others():
    audio, text = np.eye(4)[[0, 1, 2]] * 3, np.eye(4)[[0, 1, 3]]
    assert text_fit(audio, text).tolist() == [1, 1, 0]
    assert other_text_fit(audio, text, ["a", "b", "c"]) == 0
    assert other_text_fit(audio, text[[1, 0, 2]], ["b", "a", "c"]) == pytest.approx(2 / 6)


def test_the_same_prompt_twice_is_no_wrong_prompt():
    same = np.ones((2, 3))
    assert other_text_fit(same, same, ["a", "a"]) == 0
    assert other_text_fit(same, same, ["a", "b"]) == pytest.approx(1)


def test_chroma_agrees_with_itself_and_by_chance_in_one_frame_of_twelve():
    rng = np.random.default_rng(0)
    one, other = (np.eye(12, dtype=np.int8)[rng.integers(12, size=5000)] for _ in range(2))
    assert chroma_cosine(one, one[:4000]) == 1
    assert chroma_cosine(one, other) == pytest.approx(1 / 12, abs=0.02)
    assert chroma_cosine(one, np.zeros_like(one)) == 0
    assert chroma_cosine(one[:0], other) == 0
