"""Chroma cosine: near 1 for the melody itself, near chance for another one, blind to octave and rests."""

import numpy as np
import pytest

from toccata.evaluation.melody import chroma_cosine

RATE, HOT_RATE = 24000, 8.0
NOTES = [0, 4, 7, 9, 2, 11]


def sung(notes, octave=0, seconds=1.0):
    t = np.arange(int(seconds * RATE)) / RATE
    return np.concatenate([np.sin(2 * np.pi * 261.63 * 2 ** (octave + n / 12) * t) for n in notes]).astype(np.float32)


def hot(notes, seconds=1.0):
    return np.repeat(np.eye(12)[notes], int(seconds * HOT_RATE), axis=0)


@pytest.mark.parametrize("octave", [-1, 0, 2])
def test_the_melody_itself_is_near_one_in_any_octave(octave):
    assert chroma_cosine(hot(NOTES), HOT_RATE, sung(NOTES, octave), RATE) > 0.85


def test_another_melody_and_noise_are_near_chance():
    assert chroma_cosine(hot(NOTES), HOT_RATE, sung([n + 1 for n in NOTES]), RATE) < 0.3
    noise = np.random.default_rng(0).standard_normal(6 * RATE).astype(np.float32)
    assert chroma_cosine(hot(NOTES), HOT_RATE, noise, RATE) == pytest.approx(12**-0.5, abs=0.05)


def test_rests_do_not_count_and_silence_is_no_melody():
    rested = hot(NOTES)
    rested[8:24] = 0
    wave = sung(NOTES)
    wave[RATE : 3 * RATE] = sung([1, 1])
    assert chroma_cosine(rested, HOT_RATE, wave, RATE) > 0.8
    assert chroma_cosine(hot(NOTES), HOT_RATE, np.zeros(6 * RATE, np.float32), RATE) == 0
    assert chroma_cosine(np.zeros((48, 12)), HOT_RATE, wave, RATE) == 0


def test_the_shorter_of_both_decides():
    assert chroma_cosine(hot(NOTES), HOT_RATE, sung(NOTES[:3]), RATE) > 0.85


def test_in_any_key_a_transposed_melody_is_found_and_another_is_not():
    higher = sung([n + 5 for n in NOTES])
    assert chroma_cosine(hot(NOTES), HOT_RATE, higher, RATE) < 0.4
    assert chroma_cosine(hot(NOTES), HOT_RATE, higher, RATE, any_key=True) > 0.85
    assert chroma_cosine(hot(NOTES), HOT_RATE, sung([0, 1, 0, 1, 0, 1]), RATE, any_key=True) < 0.5
