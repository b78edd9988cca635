"""The picture of a sound shows where the sound is."""

import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import QuadMesh

from toccata import Clip
from toccata.audio.plot import plot
from toccata.errors import InputError, OutputError

RATE = 16_000


def test_the_picture_is_written_and_is_loudest_at_the_tone(tmp_path: Path):
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)[None].astype(np.float32)
    figure = plot(tone, RATE, "a $100 tone", tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    mesh = figure.axes[1].collections[0]
    assert isinstance(mesh, QuadMesh)
    levels = np.asarray(mesh.get_array())
    frequencies = np.asarray(mesh.get_coordinates())[:, 0, 1]
    assert frequencies[int(levels[:, levels.shape[1] // 2].argmax())] == pytest.approx(1000, abs=10)


@pytest.mark.parametrize("samples", [0, 1, 100])
def test_very_short_and_silent_sounds_have_a_picture(samples: int):
    assert plot(np.zeros((2, samples), np.float32), RATE, "").axes


def test_a_picture_that_cannot_be_written_is_refused(tmp_path: Path):
    for name in ("a.xyz", "missing/a.png"):
        with pytest.raises(OutputError):
            plot(np.zeros((1, 100), np.float32), RATE, "", tmp_path / name)


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "toccata.audio.plot")
    with pytest.raises(InputError, match=r"pip install 'toccata\[plot\]'"):
        Clip(np.zeros((1, 100), np.float32), RATE, "piano", 7, "a-model", "").plot()
