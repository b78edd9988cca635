"""A folder's embeddings: only what changed is heard again, what is broken is told and skipped, nothing is lost."""

import os

import numpy as np
import pytest
import torch

from toccata.data.sounds import sounds_below
from toccata.errors import InputError
from toccata.search.folder import kept_at, library


class Ear:
    """An embedding that says how long a file is; remembers what it heard."""

    def __init__(self):
        self.heard = []

    def __call__(self, path):
        self.heard.append(path.name)
        if path.read_bytes() == b"bad":
            raise InputError(f"{path} is not a sound file")
        angle = torch.tensor(float(len(path.read_bytes())) / 10)
        return torch.stack([angle.cos(), angle.sin()])


@pytest.fixture
def folder(tmp_path):
    music = tmp_path / "music"
    (music / "sub").mkdir(parents=True)
    for name, size in (("a.wav", 1), ("b.FLAC", 4), ("sub/c.mp3", 8)):
        (music / name).write_bytes(b"x" * size)
    (music / "notes.txt").write_text("no sound")
    return music


def test_files_of_all_folders_are_ranked_by_likeness(folder, tmp_path):
    found = library(folder, Ear(), tmp_path / "kept.npz")
    ranked = found.nearest(torch.tensor([1.0, 0.0]), 10)
    assert [path.name for path, _ in ranked] == ["a.wav", "b.FLAC", "c.mp3"]
    assert ranked[0][1] == pytest.approx(np.cos(0.1))
    assert len(found.nearest(torch.tensor([1.0, 0.0]), 2)) == 2


def test_only_what_is_new_or_changed_is_heard_again(folder, tmp_path):
    kept = tmp_path / "deep/kept.npz"
    first = library(folder, Ear(), kept)
    ear = Ear()
    again = library(folder, ear, kept)
    assert ear.heard == []
    assert again.paths == first.paths
    torch.testing.assert_close(again.rows_ND, first.rows_ND)
    (folder / "a.wav").write_bytes(b"xx")
    (folder / "d.ogg").write_bytes(b"xxx")
    (folder / "b.FLAC").unlink()
    later = library(folder, ear, kept)
    assert ear.heard == ["a.wav", "d.ogg"]
    assert [p.name for p in later.paths] == ["a.wav", "d.ogg", "c.mp3"]


def test_what_cannot_be_read_is_told_and_the_rest_is_done(folder, tmp_path):
    (folder / "b.FLAC").write_bytes(b"bad")
    (folder / "gone.wav").symlink_to(folder / "nowhere")
    found = library(folder, Ear(), tmp_path / "kept.npz")
    assert [p.name for p in found.paths] == ["a.wav", "c.mp3"]
    assert len(found.problems) == 2
    assert "b.FLAC is not a sound file" in found.problems[0]


def test_a_damaged_cache_is_made_again(folder, tmp_path):
    kept = tmp_path / "kept.npz"
    for damage in (b"", b"PK\x03\x04 not a zip", b"\x93NUMPY"):
        kept.write_bytes(damage)
        ear = Ear()
        assert len(library(folder, ear, kept).paths) == len(ear.heard) == 3


@pytest.mark.parametrize("every", [-1.0, 30.0])
def test_an_interrupted_run_keeps_what_it_heard(folder, tmp_path, monkeypatch, every):
    monkeypatch.setattr("toccata.search.folder._SAVE_EVERY", every)
    kept, ear = tmp_path / "kept.npz", Ear()

    def stopped(path):
        if path.name == "c.mp3":
            raise KeyboardInterrupt
        return ear(path)

    with pytest.raises(KeyboardInterrupt):
        library(folder, stopped, kept)
    ear.heard.clear()
    library(folder, ear, kept)
    assert ear.heard == ["c.mp3"]


def test_where_nothing_can_be_kept_the_ranking_is_still_there(folder, tmp_path):
    (tmp_path / "taken").write_text("no folder")
    found = library(folder, Ear(), tmp_path / "taken/kept.npz")
    assert len(found.paths) == 3
    assert "cannot be written" in found.problems[0]


def test_a_closed_folder_is_told_and_what_was_heard_of_it_is_kept(folder, tmp_path, monkeypatch):
    kept, ear = tmp_path / "kept.npz", Ear()
    library(folder, ear, kept)
    real = os.walk

    def closed(top, onerror):
        onerror(PermissionError(13, "Permission denied", str(folder / "sub")))
        return [entry for entry in real(top) if not entry[0].endswith("sub")]

    with monkeypatch.context() as patched:
        patched.setattr("os.walk", closed)
        found = library(folder, ear, kept)
    assert [p.name for p in found.paths] == ["a.wav", "b.FLAC"]
    assert "sub cannot be opened" in found.problems[0]
    ear.heard.clear()
    assert len(library(folder, ear, kept).paths) == 3
    assert ear.heard == []


def test_folders_and_models_have_caches_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("TOCCATA_HOME", str(tmp_path))
    places = {kept_at(tmp_path / f, m) for f in "ab" for m in "xy"}
    assert len(places) == 4
    assert all(tmp_path in place.parents for place in places)


def test_folders_without_sound_are_told(tmp_path):
    with pytest.raises(InputError, match="holds no sound files"):
        sounds_below(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        sounds_below(tmp_path / "none")
