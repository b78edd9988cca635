"""w2v-BERT's recipe on a folder of sounds without a word: it resumes exactly and what it writes names sound."""

import json
from dataclasses import replace

import pytest
import torch

from toccata.encoders.semantic import load_semantic
from toccata.encoders.w2vbert import mini
from toccata.errors import InputError, WeightsError
from toccata.recipes import music, w2vbert
from toccata.training.state import load_state


@pytest.fixture
def recipe(tmp_path, monkeypatch, manifest):
    """A recipe of a tiny w2v-BERT on twelve sounds, of which nothing is said."""
    tiny = replace(
        mini(), width=32, heads=2, inner=48, contrast_layers=1, prediction_layers=1, layer=1, channels=4, vocabulary=8,
        code_width=8, n_fft=512, bands=16, window_seconds=1.0, tokens=5,
    )  # fmt: skip
    monkeypatch.setitem(w2vbert.PRESETS, "mini", lambda: tiny)
    monkeypatch.setattr(music, "PIECES", 2)
    path = manifest(lambda index: 1.5)
    rows = [{"path": json.loads(line)["path"]} for line in path.read_text().splitlines()]
    path.write_text("\n".join(map(json.dumps, rows)))
    return w2vbert.W2vBertRecipe(
        out=tmp_path / "out", mels=tmp_path / "mels", manifest=path, steps=3, batch=3, workers=0, held_out_shards=2,
        first_shards=2,
    )  # fmt: skip


def test_it_resumes_exactly_and_its_tokens_name_sound(recipe, tmp_path, capsys):
    w2vbert.train(replace(recipe, out=tmp_path / "whole"))
    w2vbert.train(replace(recipe, out=tmp_path / "parts", minutes=0))
    assert load_state(tmp_path / "parts/state.safetensors")["step"] == 1
    with pytest.raises(WeightsError, match="no tokens yet"):
        load_semantic(tmp_path / "parts/model").tokens(torch.randn(1, 16_000))
    for _ in range(2):
        w2vbert.train(replace(recipe, out=tmp_path / "parts", minutes=0))
    whole, parts = (load_state(tmp_path / name / "state.safetensors")["learner"] for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    tokens = [load_semantic(tmp_path / name / "model").tokens(torch.randn(1, 16_000)) for name in ("whole", "parts")]
    assert tokens[0].shape == (1, 25)
    told = capsys.readouterr().out
    assert "held out: contrast" in told
    assert "held out, use" in told


def test_no_text_is_read(recipe, monkeypatch):
    """Neither of a manifest, of which the fixture took the captions, nor of the band's labels."""

    def refuse(*_: object):
        raise AssertionError("a caption was asked for")

    monkeypatch.setattr("toccata.data.mels._captions", refuse)
    monkeypatch.setattr("toccata.encoders.text.load_text_encoder", refuse)
    w2vbert.train(recipe)


def test_tokens_are_fitted_to_a_public_encoder(recipe, tmp_path, monkeypatch, manifest, capsys):
    transformers = pytest.importorskip("transformers")
    config = transformers.Wav2Vec2BertConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, conv_depthwise_kernel_size=5
    )
    transformers.Wav2Vec2BertModel(config).save_pretrained(tmp_path / "public")
    monkeypatch.setitem(w2vbert.PUBLIC, "w2v-bert-2.0", str(tmp_path / "public"))
    path = manifest(lambda index: 5.0)
    w2vbert.train(replace(recipe, preset="w2v-bert-2.0", layer=1, manifest=path, mels=tmp_path / "other"))
    assert "tokens of 1250 frames; held out, use" in capsys.readouterr().out
    model = load_semantic(tmp_path / "out/model")
    assert model.tokens(torch.randn(1, 16_000)).shape == (1, 25)
    assert (model.sample_rate, model.vocabulary) == (16_000, 1024)


def test_an_unknown_preset_is_told(recipe):
    with pytest.raises(InputError, match="unknown preset"):
        w2vbert.train(replace(recipe, preset="huge"))
