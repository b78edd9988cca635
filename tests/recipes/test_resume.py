"""Recipes resume exactly: a run that stopped and went on ends in the same weights as one that never stopped."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from toccata.codecs.encodec import encodec_mini, load_encodec
from toccata.codecs.soundstream import SoundStream, codes_hash, load_soundstream, mini, save_soundstream
from toccata.corpus.band import sheet, sheet_labels
from toccata.corpus.stream import corpus_name
from toccata.errors import InputError, WeightsError
from toccata.models.musicgen.config import mini as mini_musicgen
from toccata.recipes import codec, musicgen, words
from toccata.training.state import load_state
from toccata.weights import checkpoint
from toccata.weights.compact import expand

LABELS = sheet_labels(sheet(1, 0), 2.0) | {"sections": []}


@pytest.fixture(autouse=True)
def _few_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def tiny_codec():
    return replace(
        mini(), levels=2, vocabulary=16, latent=8, encoder_width=16, encoder_depth=1, decoder_width=16, decoder_depth=1,
        synthesis_width=16, synthesis_depth=1,
    )  # fmt: skip


def write_band(folder, shards):
    for index in range(shards):
        generator = torch.Generator().manual_seed(index)
        wave = (torch.randn(48000, generator=generator) * 3000).to(torch.int16)
        roll = (torch.rand(50, 29, generator=generator) < 0.2).to(torch.uint8)
        captions = [{"text": "slow piano in C", "named": {"key": [0, "major"]}}, {"text": "fast drums", "named": {}}]
        records = [{"samples": 48000, "frames": 50, **LABELS, "captions": captions}]
        folder.mkdir(parents=True, exist_ok=True)
        metadata = {"records": json.dumps(records)}
        save_file({"wave": wave, "roll": roll}, folder / f"{index:06d}.safetensors", metadata=metadata)


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A recipe of a tiny MusicGen on a tiny codec and band."""
    torch.manual_seed(0)
    save_soundstream(tmp_path / "codec", SoundStream(tiny_codec()))
    tiny = replace(mini_musicgen(), width=64, layers=1, heads=2, codebooks=2, text_layers=1, window_seconds=1.0)
    monkeypatch.setitem(musicgen.PRESETS, "mini", lambda: tiny)
    for seed in (1, 2, musicgen.HELD_OUT_SEED):
        write_band(tmp_path / "band" / corpus_name(seed), 1)
    monkeypatch.setattr(words, "PIECES", 4)
    monkeypatch.setattr(words, "HELD_OUT_PIECES", 2)
    return musicgen.MusicGenRecipe(
        band=tmp_path / "band", tokens=tmp_path / "tokens", codec=tmp_path / "codec", steps=4, batch=2, workers=0,
        first_shards=0, word_steps=2, word_batch=4,
    )  # fmt: skip


def test_musicgen_resumes_exactly_and_its_model_loads(recipe, tmp_path, capsys):
    musicgen.train(replace(recipe, out=tmp_path / "whole"))
    musicgen.train(replace(recipe, out=tmp_path / "parts", minutes=0))
    assert load_state(tmp_path / "parts/state.safetensors")["step"] == 1
    musicgen.train(replace(recipe, out=tmp_path / "parts"))
    whole, parts = (load_state(tmp_path / name / "state.safetensors") for name in ("whole", "parts"))
    assert whole["step"] == parts["step"] == 4
    assert same(whole["learner"], parts["learner"])
    assert same(whole["ema"], parts["ema"])
    assert "held out: own caption" in capsys.readouterr().out
    assert json.loads((tmp_path / "parts/model/config.json").read_text())["steps"] == 4


def test_a_run_can_start_from_a_models_weights(recipe, tmp_path):
    recipe = replace(recipe, steps=1, muon_rate=0.0, adam_rate=0.0)
    musicgen.train(replace(recipe, out=tmp_path / "first", seed=1))
    musicgen.train(replace(recipe, out=tmp_path / "second", seed=2, start=tmp_path / "first/model"))
    first, second = (expand(checkpoint.load(tmp_path / name / "model")[1]) for name in ("first", "second"))
    assert first.keys() == second.keys()
    for name, value in first.items():  # they are rounded when they are written
        torch.testing.assert_close(second[name], value, atol=1e-5, rtol=1e-2)


def test_after_the_last_shard_the_music_begins_again(recipe):
    endless, asked = musicgen.token_store(recipe, 1).read(0), set()

    def read(index: int):
        asked.add(index)
        return endless

    draw = musicgen.sampler(replace(recipe, shards=3, steps_per_shard=1), musicgen.PRESETS["mini"](), read)
    for step in range(20):
        draw(step)
    assert asked == {0, 1, 2}


def test_the_codec_resumes_exactly_in_both_phases(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(codec.PRESETS, "mini", tiny_codec)
    write_band(tmp_path / "band" / corpus_name(1), 1)
    recipe = codec.CodecRecipe(
        band=tmp_path / "band", steps=4, free_steps=1, refit_steps=2, sound_steps=1, adversarial_steps=2, batch=2,
        seconds=1.0, steps_per_shard=10, workers=0, compile=False,
    )  # fmt: skip
    codec.train(replace(recipe, out=tmp_path / "whole"))
    for _ in range(5):
        codec.train(replace(recipe, out=tmp_path / "parts", minutes=0))
    codec.train(replace(recipe, out=tmp_path / "parts"))
    for name in ("codes", "sound"):
        whole, parts = (load_state(tmp_path / run / f"{name}.safetensors") for run in ("whole", "parts"))
        assert same(whole["codec"], parts["codec"]), name
    trained = load_soundstream(tmp_path / "parts/codec")
    assert trained.encode(torch.randn(1, 1, 24000) * 0.1).shape == (1, 2, 25)
    assert "refitted codebooks" in capsys.readouterr().out


def test_encodec_resumes_exactly_with_its_balancer_and_loads(tmp_path, monkeypatch):
    tiny = replace(encodec_mini(), channels=2, latent=8, levels=2, vocabulary=16)
    monkeypatch.setitem(codec.PRESETS, "encodec-mini", lambda: tiny)
    write_band(tmp_path / "band" / corpus_name(1), 1)
    recipe = codec.CodecRecipe(
        band=tmp_path / "band", preset="encodec-mini", steps=3, batch=1, seconds=0.6, steps_per_shard=10,
        workers=0,
    )  # fmt: skip
    codec.train(replace(recipe, out=tmp_path / "whole"))
    for step in (1, 2):
        codec.train(replace(recipe, out=tmp_path / "parts", minutes=0))
        assert load_state(tmp_path / "parts/balanced.safetensors")["step"] == step
    codec.train(replace(recipe, out=tmp_path / "parts"))
    whole, parts = (load_state(tmp_path / run / "balanced.safetensors") for run in ("whole", "parts"))
    assert whole["step"] == parts["step"] == 3
    assert same(whole["codec"], parts["codec"])
    assert same(whole["codebooks"], parts["codebooks"])
    assert same(whole["judges"], parts["judges"])
    assert whole["balancer"] == parts["balancer"]
    assert all(seen == pytest.approx(1 + 0.999 + 0.999**2) for seen in whole["balancer"]["seen"].values())
    trained = load_encodec(tmp_path / "parts/codec")
    assert trained.encode(torch.randn(1, 1, 24000) * 0.1).shape == (1, 2, 50)


def test_phase_two_leaves_the_codes_alone(tmp_path, monkeypatch):
    monkeypatch.setitem(codec.PRESETS, "mini", tiny_codec)
    write_band(tmp_path / "band" / corpus_name(1), 1)
    recipe = codec.CodecRecipe(
        out=tmp_path / "run", band=tmp_path / "band", steps=2, free_steps=1, refit_steps=2, batch=2, seconds=1.0,
        sound_steps=0, adversarial_steps=0, steps_per_shard=10, workers=0, compile=False,
    )  # fmt: skip
    wave = torch.randn(1, 1, 24000, generator=torch.Generator().manual_seed(5)) * 0.1
    codec.train(recipe)
    before = load_soundstream(tmp_path / "run/codec")
    codec.train(replace(recipe, sound_steps=1, adversarial_steps=1))
    after = load_soundstream(tmp_path / "run/codec")
    codes = before.encode(wave)
    assert torch.equal(codes, after.encode(wave))
    assert not torch.equal(before.decode(codes), after.decode(codes))


def test_a_codec_can_get_another_decoder_and_keep_its_codes(tmp_path, monkeypatch):
    monkeypatch.setitem(codec.PRESETS, "mini", tiny_codec)
    write_band(tmp_path / "band" / corpus_name(1), 1)
    torch.manual_seed(0)
    old = SoundStream(replace(tiny_codec(), octaves=0))
    for level in old.quantiser.levels:
        torch.nn.init.normal_(level.get_buffer("codes_VD"))
    save_soundstream(tmp_path / "old", old)
    old = load_soundstream(tmp_path / "old")
    recipe = codec.CodecRecipe(
        out=tmp_path / "run", band=tmp_path / "band", codes=tmp_path / "old", sound_steps=2, adversarial_steps=0,
        batch=2, seconds=1.0, steps_per_shard=10, sound_rate=1e-6, workers=0, compile=False,
    )  # fmt: skip
    codec.train(recipe)
    new = load_soundstream(tmp_path / "run/codec")
    assert new.config.octaves == 7
    assert codes_hash(tmp_path / "run/codec") == codes_hash(tmp_path / "old")
    wave = torch.randn(1, 1, 24000, generator=torch.Generator().manual_seed(5)) * 0.1
    codes = old.encode(wave)
    assert torch.equal(codes, new.encode(wave))
    assert torch.allclose(old.decode(codes), new.decode(codes), atol=0.05)  # it goes on from the old decoder


def test_codes_of_another_size_are_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(codec.PRESETS, "mini", tiny_codec)
    save_soundstream(tmp_path / "old", SoundStream(replace(tiny_codec(), latent=16)))
    with pytest.raises(WeightsError, match="are of another model"):
        codec.train(codec.CodecRecipe(out=tmp_path / "run", codes=tmp_path / "old", workers=0, compile=False))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("room", [codec, musicgen])
def test_an_unknown_preset_is_refused(room):
    recipe = room.CodecRecipe if room is codec else room.MusicGenRecipe
    with pytest.raises(InputError, match="unknown preset 'huge'"):
        room.train(recipe(preset="huge"))
