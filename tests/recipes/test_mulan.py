"""MuLan's recipe on a folder of sounds: it resumes exactly, what it writes loads, hard negatives are alike."""

import shutil
from dataclasses import replace
from typing import Any

import pytest
import torch

from toccata.encoders.mulan import MuLan, full, full_transformer, load_mulan, mini
from toccata.encoders.words import WordsConfig
from toccata.errors import InputError, WeightsError
from toccata.recipes import mulan, music, pairs
from toccata.training.state import load_state


@pytest.fixture
def recipe(tmp_path, monkeypatch, manifest):
    """A recipe of a tiny MuLan on twelve sounds of three kinds."""
    tower = replace(mini().audio, bands=32, frames=50, patch=(32, 8), stride=(32, 8), width=48, layers=1, heads=3)
    tiny = replace(mini(), audio=tower, text=WordsConfig(64, 1, 2), width=16, bands=32, window_seconds=1.0, levels=2,
                   vocabulary=4)  # fmt: skip
    monkeypatch.setitem(mulan.PRESETS, "mini", lambda: tiny)
    monkeypatch.setattr(music, "PIECES", 2)
    return mulan.MuLanRecipe(
        out=tmp_path / "out", mels=tmp_path / "mels", manifest=manifest(lambda index: 1.5), steps=4, batch=6, chunk=4,
        workers=0, held_out_shards=2, first_shards=2,
    )  # fmt: skip


def test_it_resumes_exactly_and_its_model_loads(recipe, tmp_path, capsys):
    mulan.train(replace(recipe, out=tmp_path / "whole"))
    mulan.train(replace(recipe, out=tmp_path / "parts", minutes=0))
    assert load_state(tmp_path / "parts/state.safetensors")["step"] == 1
    with pytest.raises(WeightsError, match="no tokens yet"):
        load_mulan(tmp_path / "parts/model").quantise(torch.zeros(1, 16))
    mulan.train(replace(recipe, out=tmp_path / "parts"))
    whole, parts = (load_state(tmp_path / name / "state.safetensors")["learner"] for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole if not name.startswith("quantiser"))
    model = load_mulan(tmp_path / "whole/model")
    codes = model.quantise(model.embed_text(["high flute"]))
    assert codes.shape == (1, 2)
    assert "cosine to what they keep" in capsys.readouterr().out


def test_a_run_that_was_killed_before_it_wrote_its_model_writes_it_the_next_time(recipe, tmp_path):
    mulan.train(recipe)
    shutil.rmtree(recipe.out / "model")
    mulan.train(recipe)
    assert load_mulan(recipe.out / "model").quantise(torch.ones(1, 16)).shape == (1, 2)


def test_sounds_that_cannot_be_read_are_told_and_left_out(recipe, tmp_path, capsys):
    (tmp_path / "1.wav").write_bytes(b"no sound")
    mulan.train(recipe)
    assert "left out: " in capsys.readouterr().out


def test_a_caption_that_the_text_tower_cannot_read_is_told_before_training(recipe):
    lines = recipe.manifest.read_text().replace("a high note", "\u266a", 1)
    recipe.manifest.write_text(lines)
    with pytest.raises(InputError, match="without any word that mini knows"):
        mulan.train(recipe)
    assert not recipe.mels.exists()


def test_other_sound_under_the_same_names_is_heard_again(recipe, tmp_path):
    before = music.shards_of(recipe, mulan.front_of(mini()), captioned=True).train.folder
    assert music.shards_of(recipe, mulan.front_of(mini()), captioned=True).train.folder == before
    (tmp_path / "3.wav").write_bytes((tmp_path / "4.wav").read_bytes())
    assert music.shards_of(recipe, mulan.front_of(mini()), captioned=True).train.folder != before


@pytest.mark.parametrize("config", [full(), full_transformer()])
def test_the_published_sizes_have_matrices_for_muon(config):
    text: Any = torch.nn.Module()  # a BERT needs its tokeniser's file
    text.width = 8
    with torch.device("meta"):
        text.layers = torch.nn.ModuleList([torch.nn.Linear(8, 8)])
        model = MuLan(config, text)
    assert list(pairs.matrices(model).parameters())


def test_too_small_a_manifest_is_told(recipe, tmp_path):
    lines = recipe.manifest.read_text().splitlines()[:4]
    recipe.manifest.write_text("\n".join(lines))
    with pytest.raises(InputError, match="give at least"):
        mulan.train(recipe)


def test_an_unknown_preset_is_told(recipe):
    with pytest.raises(InputError, match="unknown preset"):
        mulan.train(replace(recipe, preset="huge"))
