"""A melody is found in a recording, agrees with its score, begins again at its end, and bad ones are refused."""

import numpy as np
import pytest
import torch

from toccata.audio.melody import FRAME_RATE, Melody, melody_of, melody_of_notes
from toccata.errors import InputError

RATE = 24000
NOTES = [0, 4, 7, 9, 7, 4]


def sung(notes=NOTES, seconds=0.8):
    t = np.arange(int(seconds * RATE)) / RATE
    waves = [
        0.2 * sum(np.sin(2 * np.pi * 440 * 2 ** ((60 + n - 69) / 12) * h * t) / h for h in (1, 2, 3)) for n in notes
    ]
    return np.concatenate(waves)[None].astype(np.float32)


def test_sound_and_score_agree():
    heard = melody_of(sung(), RATE).hot_TC.argmax(1)
    scored = melody_of_notes([[0.8 * i, 0.8 * (i + 1), 60 + n] for i, n in enumerate(NOTES)], 4.8)
    assert scored is not None
    frames = min(len(heard), len(scored.hot_TC))
    assert float((heard[:frames] == scored.hot_TC.argmax(1)[:frames]).float().mean()) > 0.85


@pytest.mark.parametrize("channels", [1, 8])
def test_channels_and_rates_make_no_difference(channels):
    from toccata.audio.resample import resample

    wave = np.repeat(resample(sung(), RATE, 8000), channels, axis=0)
    a, b = melody_of(wave, 8000).hot_TC.argmax(1), melody_of(sung(), RATE).hot_TC.argmax(1)
    assert float((a == b).float().mean()) > 0.9


def test_it_begins_again_at_its_end():
    melody = Melody(torch.eye(12)[[0, 4, 7, 11]])
    pitches = melody.at(0.0, 8, FRAME_RATE).argmax(1).tolist()
    assert pitches == [0, 4, 7, 11, 0, 4, 7, 11]
    assert melody.at(2 / FRAME_RATE, 3, FRAME_RATE).argmax(1).tolist() == [7, 11, 0]


def test_a_score_without_a_melody_has_none_and_rests_are_rests():
    assert melody_of_notes([], 3.0) is None
    melody = melody_of_notes([[0.0, 1.0, 62]], 6.0)
    assert melody is not None
    assert melody.hot_TC[2].argmax() == 2
    assert float(melody.hot_TC[-8:].sum()) == 0


@pytest.mark.parametrize(
    ("wave", "what"),
    [
        (np.zeros((1, RATE), np.float32), "silent"),
        (sung()[:, : RATE // 10], "0.1 seconds"),
        (np.full((1, RATE), np.nan, np.float32), "no numbers"),
    ],
)
def test_bad_melodies_are_refused(wave, what):
    with pytest.raises(InputError, match=what):
        melody_of(wave, RATE)
