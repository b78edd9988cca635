import numpy as np
import pytest
import torch

from benchmarks import melody_retrieval
from benchmarks.melody_retrieval import _around, _by, _found
from benchmarks.report import Options
from toccata.corpus.covers import Cover
from toccata.encoders.melody import MelodyEncoder, mini
from toccata.errors import WeightsError


def test_a_melody_is_found_where_it_comes_first():
    rows = torch.eye(5)
    whole = _found("x", rows, rows)
    assert (whole.value, whole.control, whole.n) == (1.0, 0.0, 5)
    assert whole.ratio == pytest.approx(1 / melody_retrieval.AIM)
    assert _found("x", rows, rows.roll(1, 0)).value == 0.0
    assert _found("x", rows, rows[[1, 0, 2, 3, 4]]).value == pytest.approx(0.6)


def test_a_window_lies_around_its_note_and_inside_the_sound():
    encoder = MelodyEncoder(mini())
    wave_N = torch.arange(10 * 16_000).float()
    assert _around(wave_N, 5.0, encoder, 16_000)[0] == 3 * 16_000
    assert _around(wave_N, 0.5, encoder, 16_000)[0] == 0
    assert _around(wave_N, 9.9, encoder, 16_000)[-1] == 10 * 16_000 - 1
    assert len(_around(wave_N, 5.0, encoder, 16_000)) == 4 * 16_000


def test_voices_are_told_from_instruments():
    made = [Cover(np.zeros(1, np.float32), np.zeros(1), sound) for sound in ("band", "band", "flute", "whistle")]
    assert (_by(made, voice=True).sound, _by(made, voice=False).sound) == ("whistle", "flute")


def test_a_folder_without_an_encoder_is_told(tmp_path):
    with pytest.raises(WeightsError):
        next(melody_retrieval.run(Options(model=str(tmp_path))))
