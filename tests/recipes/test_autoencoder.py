"""The autoencoder's recipe goes on exactly where it stopped, learns, and writes a codec that loads."""

import functools
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from toccata.codecs.autoencoder import AutoencoderConfig, load_autoencoder
from toccata.corpus import stream
from toccata.corpus.stream import corpus_name
from toccata.data.shards import ShardStore
from toccata.errors import InputError
from toccata.recipes import autoencoder
from toccata.training.state import load_state

RATE = 8000
TINY = AutoencoderConfig(sample_rate=RATE, channels=4, decoder_channels=4, widths=(2, 3), strides=(8, 8), latent=4)


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.setitem(autoencoder.PRESETS, "mini", lambda: TINY)
    folder = tmp_path / "band" / f"{corpus_name(1)}-{RATE}-stereo"
    folder.mkdir(parents=True)
    time_N = torch.arange(5 * RATE) / RATE
    wave_NC = torch.stack([torch.sin(2 * torch.pi * f * time_N) for f in (220, 330)], dim=1) * 8000
    records = {"records": json.dumps([{"samples": len(wave_NC)}])}
    save_file({"wave": wave_NC.to(torch.int16)}, folder / "000000.safetensors", metadata=records)
    before = torch.get_num_threads()
    yield autoencoder.AutoencoderRecipe(
        band=tmp_path / "band", out=tmp_path / "whole", steps=3, adversarial_steps=1, batch=1, seconds=2.1,
        steps_per_shard=100, workers=0,
    )  # fmt: skip
    torch.set_num_threads(before)


def test_it_resumes_exactly_and_its_codec_loads(recipe, tmp_path):
    autoencoder.train(recipe)
    for step in (1, 2):
        autoencoder.train(replace(recipe, out=tmp_path / "parts", minutes=0))
        assert load_state(tmp_path / "parts/state.safetensors")["step"] == step
    autoencoder.train(replace(recipe, out=tmp_path / "parts"))
    whole, parts = (load_state(tmp_path / run / "state.safetensors") for run in ("whole", "parts"))
    for part in ("codec", "judges"):
        assert whole[part].keys() == parts[part].keys()
        assert all(torch.equal(whole[part][name], parts[part][name]) for name in whole[part])
    codec = load_autoencoder(tmp_path / "parts/codec")
    assert codec.config.scale > 0
    assert codec.config == replace(TINY, scale=codec.config.scale)
    assert codec.encode(torch.zeros(1, 2, RATE)).shape == (1, 125, 4)


def test_a_stereo_shard_can_be_kept_and_holds_both_sides(tmp_path, monkeypatch):
    mixes = [np.random.default_rng(i).uniform(-0.5, 0.5, (2, 300 + i)).astype(np.float32) for i in range(4)]
    monkeypatch.setattr(stream, "piece", lambda seed, number, sample_rate: SimpleNamespace(mix_CN=mixes[number]))
    monkeypatch.setattr(stream, "labels", lambda made: {"captions": []})
    store = ShardStore(tmp_path, functools.partial(stream.stereo_shard, seed=1, pieces=2))
    tensors, records = store.read(1)
    assert [record["samples"] for record in records] == [302, 303]
    expected_NC = torch.from_numpy(np.concatenate(mixes[2:], axis=1).T)
    assert torch.allclose(tensors["wave"].float() / 32767, expected_NC, atol=1e-4)


def test_the_middle_and_the_side_are_two_sounds():
    wave_BCN = torch.randn(3, 2, 50)
    middle, side = autoencoder.middle_and_side(wave_BCN).split(3)
    assert torch.allclose(middle + side, wave_BCN[:, :1], atol=1e-6)
    assert torch.allclose(middle - side, wave_BCN[:, 1:], atol=1e-6)


def test_an_unknown_preset_is_told():
    with pytest.raises(InputError, match="choose from mini, half, full"):
        autoencoder.train(autoencoder.AutoencoderRecipe(preset="huge"))
