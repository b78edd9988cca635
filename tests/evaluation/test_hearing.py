"""Listening: once a clip, a stopped run goes on, what can't be heard is named."""

from dataclasses import replace

import numpy as np
import pytest

from toccata.audio import io
from toccata.clip import Clip
from toccata.errors import InputError, OutputError
from toccata.evaluation.hearing import listen
from toccata.evaluation.sets import Item, read_set


class Ear:
    def __init__(self, edition: int = 1) -> None:
        self.recipe, self.heard = {"judge": "ear", "edition": edition}, 0

    def hear(self, clip: Clip) -> dict[str, np.ndarray]:
        if clip.seconds < 0.5:
            raise InputError("it is too short")
        self.heard += 1
        return {"loudest": np.array(np.abs(clip.samples).max())}


@pytest.fixture
def items(tmp_path):
    (tmp_path / "set").mkdir()
    for k in range(4):
        io.write(tmp_path / "set" / f"{k}.wav", np.full((1, 8000), 0.1 * (k + 1), np.float32), 8000, {})
    return read_set(tmp_path / "set")


def test_each_clip_is_heard_once_whatever_it_is_called(items, tmp_path):
    ear = Ear()
    hearing = listen(items, [ear], tmp_path / "kept")
    assert [round(float(value), 1) for value in hearing.found(ear, "loudest")] == [0.1, 0.2, 0.3, 0.4]
    items[0].path.rename(tmp_path / "moved.wav")
    again = listen([replace(items[0], path=tmp_path / "moved.wav"), *items[1:]], [ear], tmp_path / "kept")
    assert len(again) == 4
    assert ear.heard == 4


def test_another_recipe_or_another_sound_is_heard_anew(items, tmp_path):
    listen(items, [Ear()], tmp_path / "kept")
    newer = Ear(edition=2)
    listen(items, [newer], tmp_path / "kept")
    assert newer.heard == 4
    io.write(items[0].path, np.full((1, 8000), 0.9, np.float32), 8000, {})
    hearing = listen(items, [newer], tmp_path / "kept")
    assert newer.heard == 5
    assert float(hearing.of(newer, 0)["loudest"]) == pytest.approx(0.9, abs=1e-3)


def test_a_stopped_run_goes_on_where_it_was(items, tmp_path):
    ear = Ear()

    def stop(done: float, total: float) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        listen(items, [ear], tmp_path / "kept", stop)
    listen(items, [ear], tmp_path / "kept")
    assert ear.heard == 4


def test_a_damaged_note_is_made_again(items, tmp_path):
    ear = Ear()
    listen(items, [ear], tmp_path / "kept")
    for path in (tmp_path / "kept").rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:40])
    assert len(list(listen(items, [ear], tmp_path / "kept").found(ear, "loudest"))) == 4
    assert ear.heard == 8


def test_what_cannot_be_heard_is_named_and_left_out(items, tmp_path):
    (tmp_path / "set/0.wav").write_bytes(b"RIFF nothing")
    io.write(tmp_path / "set/1.wav", np.zeros((1, 800), np.float32), 8000, {})
    (tmp_path / "set/2.wav").unlink()
    hearing = listen(items, [Ear()], tmp_path / "kept")
    assert [item.name for item in hearing.items] == ["3"]
    assert [name in line for name, line in zip(("0.wav", "1.wav", "2.wav"), hearing.left_out, strict=True)] == [
        True
    ] * 3
    assert "too short" in hearing.left_out[1]


def test_where_nothing_can_be_kept_it_says_so(items, tmp_path):
    (tmp_path / "taken").write_text("no folder")
    with pytest.raises(OutputError, match="TOCCATA_HOME"):
        listen(items, [Ear()], tmp_path / "taken")


def test_sound_in_memory_is_heard_too(tmp_path):
    ear = Ear()
    sound = Item("hum", sound=Clip(np.full((1, 8000), 0.25, np.float32), 8000))
    assert float(listen([sound], [ear], tmp_path).of(ear, 0)["loudest"]) == 0.25
