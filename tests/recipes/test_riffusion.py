"""Riffusion's recipe: it goes on exactly where it stopped, what it writes loads and plays."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

import toccata
from toccata.errors import InputError
from toccata.models.riffusion.config import RiffusionConfig, RiffusionSampling
from toccata.models.riffusion.network import picture_of
from toccata.nn.picture_unet import PictureUNetSizes
from toccata.recipes import riffusion
from toccata.recipes.music import HELD_OUT_SEED, shards_of
from toccata.training.state import load_state

RATE = 4000
MODEL = RiffusionConfig(
    sample_rate=RATE, n_fft=256, hop=64, bands=16, frames=32, fold=2,
    unet=PictureUNetSizes(inputs=4, channels=(32, 32), attentions=(0, 1), blocks=1, heads=2, tokens=16),
    text_width=256, text_tokens=8, sampling=RiffusionSampling(steps=2, guidance=3.0, phase_steps=2),
)  # fmt: skip
FRAMES = (100, 20)


@pytest.fixture(autouse=True)
def _few_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A recipe of a tiny model, whose shards hold a piece that is longer than a picture and one that is shorter."""
    monkeypatch.setitem(riffusion.PRESETS, "mini", lambda: MODEL)
    monkeypatch.setattr(riffusion, "HELD_OUT_CROPS", 4)
    made = riffusion.RiffusionRecipe(
        out=tmp_path / "whole", mels=tmp_path / "mels", steps=3, batch=4, first_shards=0, steps_per_shard=100, workers=0
    )
    for seed in (1, HELD_OUT_SEED):
        folder = shards_of(replace(made, seed=seed), riffusion.front_of(MODEL), captioned=True).train.folder
        folder.mkdir(parents=True)
        mel_TM = torch.arange(sum(FRAMES))[:, None].expand(-1, 16).half().contiguous() / 100
        told = zip(FRAMES, ("piano", "drums"), strict=True)
        records = [{"frames": frames, "captions": [{"text": text}]} for frames, text in told]
        save_file({"mel": mel_TM}, folder / "000000.safetensors", metadata={"records": json.dumps(records)})
    return made


def test_it_resumes_exactly_and_plays(recipe, tmp_path):
    riffusion.train(recipe)
    for step in (1, 2):
        riffusion.train(replace(recipe, out=tmp_path / "parts", minutes=0))
        assert load_state(tmp_path / "parts/state.safetensors")["step"] == step
    riffusion.train(replace(recipe, out=tmp_path / "parts"))
    whole, parts = (load_state(tmp_path / run / "state.safetensors") for run in ("whole", "parts"))
    for part in ("learner", "ema"):
        assert whole[part].keys() == parts[part].keys()
        assert all(torch.equal(whole[part][name], parts[part][name]) for name in whole[part])
    assert any(not torch.equal(whole["learner"][name], whole["ema"][name]) for name in whole["ema"])
    model = toccata.load(str(tmp_path / "parts/model"), device="cpu")
    assert model.name == "riffusion-mini"
    assert model.generate("slow piano", 2.0, 1).samples.shape == (1, 8000)


def test_crops_lie_anywhere_in_their_piece_and_short_pieces_are_repeated(recipe):
    source = shards_of(recipe, riffusion.front_of(MODEL), captioned=True)
    draw = riffusion.sampler(replace(recipe, batch=16), 32, source, source.train.read)
    batch = draw(0)
    assert batch.picture_BMT.shape == (16, 16, 32)
    assert torch.equal(batch.picture_BMT, draw(0).picture_BMT)
    assert not torch.equal(batch.picture_BMT, draw(1).picture_BMT)
    assert set(batch.captions) == {"piano", "drums"}
    for picture_MT, text in zip(*batch, strict=True):
        frames = (picture_MT[0] * 100).round()
        assert ((frames < 100) == (text == "piano")).all()
        assert text == "drums" or torch.equal(frames.diff(), torch.ones(31))


def test_a_shard_is_pictures_of_rendered_sound():
    wave = torch.rand(2000, generator=torch.Generator().manual_seed(0)) - 0.5
    tensors, records = riffusion.front_of(MODEL).shard(iter([(wave, {"captions": []})]))
    assert [record["frames"] for record in records] == [32]
    torch.testing.assert_close(tensors["mel"].float(), picture_of(wave[None], MODEL)[0], atol=1e-2, rtol=1e-2)


def test_an_unknown_preset_is_told():
    with pytest.raises(InputError, match="choose from mini"):
        riffusion.train(riffusion.RiffusionRecipe(preset="huge"))
