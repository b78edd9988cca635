"""``toccata embed``, ``search`` and ``tag``: what can be read is done, what can't is told, stdout is data."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from toccata.audio import io
from toccata.clip import Clip
from toccata.encoders.mulan import MuLan, mini, save_mulan
from toccata.encoders.towers import text_tower
from toccata.encoders.words import WordsConfig
from toccata.hub import load, load_embedder


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A tiny random MuLan, in a folder with music: one good file, one in a folder below, one broken."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOCCATA_HOME", str(tmp_path / "home"))
    tower = replace(mini().audio, bands=32, frames=50, patch=(32, 10), stride=(32, 10), width=48, layers=1)
    config = replace(mini(), audio=tower, text=WordsConfig(64, 1, 2), width=16, bands=32, window_seconds=1.0, levels=2,
                     vocabulary=4)  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_mulan(tmp_path / "tiny", MuLan(config, text_tower(config.text)), name="tiny")
    (tmp_path / "music/below").mkdir(parents=True)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 44_100)).astype(np.float32)
    io.write("music/a.wav", noise, 22_050, {})
    io.write("music/below/b.flac", noise[:, :20_000] / 9, 22_050, {})
    (tmp_path / "music/broken.mp3").write_bytes(b"not a sound")
    return tmp_path / "tiny"


def test_files_become_unit_vectors_and_broken_ones_are_told(toccata, model):
    arguments = ["embed", "music/a.wav", "music/broken.mp3", "music/below/b.flac", "--out", "x.npz", "--model", model]
    code, out, err = toccata(*arguments, "--json")
    with np.load("x.npz", allow_pickle=False) as file:
        rows, files = file["embeddings"], file["files"].tolist()
    assert code == 0
    assert files == ["music/a.wav", "music/below/b.flac"]
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    assert json.loads(out) == json.loads(out) | {"files": 2, "left_out": 1, "width": 16}
    assert "music/broken.mp3 is not a sound file" in err


def test_a_folder_is_ranked_and_heard_only_once(toccata, model, monkeypatch):
    code, out, err = toccata("search", "slow sad cello", "music", "--model", model, "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [row["rank"] for row in rows] == [1, 2]
    assert rows[0]["similarity"] >= rows[1]["similarity"]
    assert {row["path"] for row in rows} == {"music/a.wav", "music/below/b.flac"}
    assert "broken.mp3" in err
    monkeypatch.setattr(MuLan, "embed_blocks", None)
    again = toccata("search", "slow sad cello", "music", "--model", model, "--json", "--count", 1)
    assert again[0] == 0
    assert json.loads(again[1]) == rows[0]


def test_without_a_model_s_name_music_is_found_by_its_words(toccata, tmp_path, monkeypatch):
    monkeypatch.setenv("TOCCATA_HOME", str(tmp_path / "home"))
    (tmp_path / "music").mkdir()
    player, asked = load(), {"a": "a slow solo piano piece", "b": "fast driving techno with drums and synths"}
    for name, text in asked.items():
        player.generate(text, seconds=8, seed=1).save(tmp_path / "music" / f"{name}.wav")
    for name, text in asked.items():
        _, out, _ = toccata("search", text, tmp_path / "music", "--json", "--count", 1)
        assert json.loads(out)["path"].endswith(f"{name}.wav")
    _, out, _ = toccata("tag", tmp_path / "music" / "b.wav", "--labels", "solo piano,techno", "--json")
    assert json.loads(out.splitlines()[0])["label"] == "techno"


def test_a_name_may_be_any_bytes(toccata, model, tmp_path):
    (tmp_path / "music/a.wav").rename(tmp_path / "music" / os.fsdecode(b"caf\xe9.wav"))
    for arguments in (["--json"], []):
        code, out, err = toccata("search", "slow sad cello", "music", "--model", model, *arguments)
        assert code == 0, err
        assert "caf\ufffd.wav" in out.decode()


def test_damaged_numbers_are_no_hit(toccata, model, tmp_path):
    soundfile.write(tmp_path / "music/loud.wav", np.full(44_100, 1e30, np.float32), 22_050, subtype="FLOAT")
    code, out, err = toccata("search", "slow sad cello", "music", "--model", model, "--json")
    assert code == 0
    assert "loud.wav" not in out.decode()
    assert "loud.wav is too loud to be sound" in err


def test_labels_are_ranked_and_their_shares_sum_to_one(toccata, model):
    code, out, _ = toccata("tag", "music/a.wav", "--labels", "piano, drums,flute,drums", "--model", model, "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert {row["label"] for row in rows} == {"piano", "drums", "flute"}
    assert sum(row["share"] for row in rows) == pytest.approx(1, abs=1e-3)
    assert [row["similarity"] for row in rows] == sorted((row["similarity"] for row in rows), reverse=True)


def test_wrong_input_is_one_line(toccata, model, tmp_path):
    (tmp_path / "empty").mkdir()
    before = set(tmp_path.rglob("*"))
    for arguments, says in (
        (["embed", "music/a.wav", "--out", "x.txt"], ".npz"),
        (["embed", "music/a.wav", "--out", "none/x.npz"], "does not exist"),
        (["embed", "music/broken.mp3", "--out", "x.npz"], "none of the files"),
        (["search", "cello", "empty"], "holds no sound files"),
        (["search", "cello", "nowhere"], "is not a folder"),
        (["search", "", "music"], "empty"),
        (["search", "大提琴", "music"], "no word that can be understood"),
        (["tag", "music/a.wav", "--labels", " , "], "no label"),
        (["tag", "music/broken.mp3", "--labels", "piano"], "is not a sound file"),
        (["tag", "music/a.wav", "--labels", "piano", "--model", "musicgen-mini"], "compares no music with words"),
    ):
        model_given = [] if "--model" in arguments else ["--model", model]
        code, out, err = toccata(*arguments, *model_given)
        assert (code, out) == (2, b""), arguments
        assert err.splitlines()[-1].startswith("error: ")
        assert says in err.splitlines()[-1]
        assert set(tmp_path.rglob("*")) == before


def test_python_gives_the_same(model):
    embedder = load_embedder(str(model))
    table = embedder.similarity(["piano", "drums"], ["music/a.wav"])
    assert table.shape == (2, 1)
    found = {tag.label: tag.similarity for tag in embedder.tag("music/a.wav", ["piano", "drums"])}
    assert found == pytest.approx({"piano": float(table[0]), "drums": float(table[1])})
    samples, rate = io.read("music/a.wav")
    clip = Clip(samples, rate, "", 0, "", "")
    torch.testing.assert_close(embedder.embed(clip), embedder.embed("music/a.wav"), atol=1e-3, rtol=1e-3)
