"""MuLan's recipe on a folder of sounds: it resumes exactly, what it writes loads, hard negatives are alike."""

from dataclasses import replace

import pytest
import torch

from toccata.encoders.mulan import load_mulan, mini
from toccata.encoders.words import WordsConfig
from toccata.errors import InputError
from toccata.recipes import mulan, pairs
from toccata.training.state import load_state


@pytest.fixture
def recipe(tmp_path, monkeypatch, manifest):
    """A recipe of a tiny MuLan on twelve sounds of three kinds."""
    tower = replace(mini().audio, bands=32, frames=50, width=48, layers=1)
    tiny = replace(mini(), audio=tower, text=WordsConfig(64, 1, 2), width=16, bands=32, window_seconds=1.0, levels=2,
                   vocabulary=4)  # fmt: skip
    monkeypatch.setitem(mulan.PRESETS, "mini", lambda: tiny)
    monkeypatch.setattr(pairs, "PIECES", 2)
    return mulan.MuLanRecipe(
        out=tmp_path / "out", mels=tmp_path / "mels", manifest=manifest(lambda index: 1.5), steps=4, batch=6, chunk=4,
        workers=0, held_out_shards=2, first_shards=2,
    )  # fmt: skip


def test_it_resumes_exactly_and_its_model_loads(recipe, tmp_path, capsys):
    mulan.train(replace(recipe, out=tmp_path / "whole"))
    mulan.train(replace(recipe, out=tmp_path / "parts", minutes=0))
    assert load_state(tmp_path / "parts/state.safetensors")["step"] == 1
    mulan.train(replace(recipe, out=tmp_path / "parts"))
    whole, parts = (load_state(tmp_path / name / "state.safetensors")["learner"] for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole if not name.startswith("quantiser"))
    model = load_mulan(tmp_path / "whole/model")
    codes = model.quantise(model.embed_text(["high flute"]))
    assert codes.shape == (1, 2)
    assert "cosine to what they keep" in capsys.readouterr().out


def test_too_small_a_manifest_is_told(recipe, tmp_path):
    lines = recipe.manifest.read_text().splitlines()[:4]
    recipe.manifest.write_text("\n".join(lines))
    with pytest.raises(InputError, match="give at least"):
        mulan.train(recipe)


def test_an_unknown_preset_is_told(recipe):
    with pytest.raises(InputError, match="unknown preset"):
        mulan.train(replace(recipe, preset="huge"))
