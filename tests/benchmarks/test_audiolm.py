from dataclasses import dataclass

import numpy as np
import pytest

from benchmarks.audiolm import alike, continued, kept
from benchmarks.held_out import RATE
from benchmarks.prompts import Heard
from toccata.clip import Clip
from toccata.evaluation.judges import Key


def heard(tempo: float, tonic: int, drums: bool, *families: str) -> Heard:
    embedding = np.zeros((4, 200))
    embedding[:, tonic] = 1.0
    return Heard(tempo, Key(tonic, False), drums, frozenset(families), embedding)


BEGUN = [heard(90, 0, True, "piano"), heard(133, 6, False, "strings", "harp"), heard(0, 3, True, "brass")]


def test_music_that_goes_on_as_it_began_scores_what_its_own_second_half_does():
    for figure in kept("band", BEGUN, BEGUN, BEGUN):
        assert figure.value == pytest.approx(1.0)
        assert figure.ratio == pytest.approx(1.0)
        assert figure.control is not None
        assert figure.control < 0.9
    assert [figure.n for figure in kept("band", BEGUN, BEGUN, BEGUN)] == [2, 3, 3, 3, 3]


def test_music_that_goes_on_as_another_scores_less_than_its_control():
    moved = [BEGUN[1], BEGUN[2], BEGUN[0]]
    for figure in kept("band", BEGUN, BEGUN, moved):
        assert figure.value is not None
        assert figure.control is not None
        assert figure.value <= figure.control


def test_instruments_are_alike_as_far_as_both_have_them():
    assert alike(BEGUN[0], BEGUN[1]) == 0.0
    assert alike(heard(1, 0, True, "piano", "bass"), BEGUN[0]) == 0.5
    assert alike(heard(1, 0, True), heard(1, 0, True)) == 1.0


@dataclass
class Echo:
    """Gives back the last second of what it hears, and then a tone."""

    def continue_(self, audio: Clip, seconds: float, seed: int) -> Clip:
        tone = np.full((1, round(seconds * audio.sample_rate)), 0.25, np.float32)
        return Clip(np.concatenate([audio.samples[:, -audio.sample_rate :], tone], axis=1), audio.sample_rate)


def test_only_what_is_new_is_judged():
    new = continued(Echo(), np.full(3 * RATE, -0.5, np.float32), 0)
    assert len(new) == 12 * RATE
    assert (new == 0.25).all()
