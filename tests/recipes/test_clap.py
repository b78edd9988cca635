"""CLAP's recipe on a folder of sounds shorter and longer than a picture: it resumes exactly, what it writes loads."""

from dataclasses import replace

import pytest
import torch

import toccata
from toccata.encoders.clap import CLAPConfig, clap_mini
from toccata.encoders.htsat import HTSATConfig
from toccata.encoders.words import WordsConfig
from toccata.errors import InputError
from toccata.hub import load_embedder
from toccata.recipes import clap, music
from toccata.training.state import load_state


@pytest.fixture
def recipe(tmp_path, monkeypatch, manifest):
    """A recipe of a tiny CLAP on twelve sounds of three kinds, of a half to four seconds."""
    tower = HTSATConfig(width=8, depths=(2, 2), heads=(2, 4), bands=16, side=32, window=4, fused=True)
    pictures = replace(clap_mini().pictures, sample_rate=8000, window=256, hop=160, bands=16, high=4000, seconds=1.0)
    tiny = CLAPConfig(tower, WordsConfig(64, 1, 2), pictures, width=12)
    monkeypatch.setitem(clap.PRESETS, "mini", lambda: tiny)
    monkeypatch.setattr(music, "PIECES", 2)
    return clap.CLAPRecipe(
        out=tmp_path / "out", mels=tmp_path / "mels", manifest=manifest(lambda index: (1 + index % 8) / 2), steps=4,
        batch=6, chunk=4,
        workers=0, held_out_shards=2, first_shards=2,
    )  # fmt: skip


def test_it_resumes_exactly_and_its_model_loads(recipe, tmp_path):
    clap.train(replace(recipe, out=tmp_path / "whole"))
    clap.train(replace(recipe, out=tmp_path / "parts", minutes=0))
    assert load_state(tmp_path / "parts/state.safetensors")["step"] == 1
    clap.train(replace(recipe, out=tmp_path / "parts"))
    whole, parts = (load_state(tmp_path / name / "state.safetensors")["learner"] for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    model = load_embedder(str(tmp_path / "whole/model"))
    told = model.similarity(["high flute", "a low note"], [tmp_path / "0.wav", tmp_path / "7.wav"])
    assert told.shape == (2, 2)
    assert torch.isfinite(told).all()


def test_an_unknown_preset_is_told(recipe):
    with pytest.raises(InputError, match="unknown preset"):
        clap.train(replace(recipe, preset="huge"))


def test_a_preset_that_reads_with_bert_asks_for_its_tokeniser(recipe):
    with pytest.raises(toccata.ToccataError, match=r"tokenizer\.json"):
        clap.train(replace(recipe, preset="fused"))
