"""Stable Audio's recipe: crops know their place, a run goes on exactly where it stopped, and its model plays."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

import toccata
from toccata import Prompt
from toccata.codecs.autoencoder import Autoencoder, AutoencoderConfig, load_autoencoder, save_autoencoder
from toccata.encoders.clap import CLAPConfig, build, save_clap
from toccata.encoders.clap_pictures import Pictures
from toccata.encoders.htsat import HTSATConfig
from toccata.encoders.readers import CLAPReader
from toccata.encoders.words import WordsConfig
from toccata.errors import WeightsError
from toccata.models.stable_audio.canvas import Window
from toccata.models.stable_audio.config import first, mini
from toccata.models.stable_audio.pipeline import StableAudio
from toccata.nn.dit import DiTCondition
from toccata.nn.unet import UNetSizes
from toccata.recipes import stable_audio, stereo
from toccata.training import precision
from toccata.training.state import load_state
from toccata.weights import checkpoint

CODEC = AutoencoderConfig(sample_rate=4000, channels=2, decoder_channels=2, widths=(1, 2), strides=(8, 8), latent=3)
FRAMES = (150, 40)


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A recipe of a tiny model, whose shards hold two pieces of 2.4 and .64 seconds; a window is 1.6."""
    torch.manual_seed(0)
    save_autoencoder(tmp_path / "codec", Autoencoder(CODEC))
    small = replace(mini().dit, width=32, layers=1, heads=2, tokens=16, context=32, whole=32)
    tiny = replace(mini(), dit=small, window=100, sampling=replace(mini().sampling, steps=2))
    monkeypatch.setitem(stable_audio.PRESETS, "mini", lambda: tiny)
    made = stable_audio.StableAudioRecipe(
        out=tmp_path / "whole", latents=tmp_path / "latents", codec=tmp_path / "codec", steps=3, batch=2,
        first_shards=1, steps_per_shard=100, workers=0,
    )  # fmt: skip
    for seed in (1, stable_audio.HELD_OUT_SEED):
        folder = stable_audio.latent_store(made, seed).folder
        folder.mkdir(parents=True)
        latent_TD = torch.arange(sum(FRAMES))[:, None].expand(-1, 3).half().contiguous()
        told = zip(FRAMES, ("piano", "drums"), strict=True)
        bars = {"tempo": 600, "meter": [2, 4]}  # a fifth of a second, 12.5 frames
        records = [{"frames": frames, "captions": [{"text": text}], **bars} for frames, text in told]
        save_file({"latent": latent_TD}, folder / "000000.safetensors", metadata={"records": json.dumps(records)})
    before = torch.get_num_threads()
    yield made
    torch.set_num_threads(before)


def crops_of(recipe, count):
    """(piece, first frame, frames heard, told start, told total, what follows is silence) of so many crops."""
    codec = load_autoencoder(recipe.codec)
    read = stable_audio.latent_store(recipe, 1).read
    draw = stable_audio.sampler(recipe, stable_audio.PRESETS["mini"](), codec, read, count)
    batch, silence_TD = draw(0), codec.encode(torch.zeros(1, 2, 6400))[0]
    assert torch.equal(batch.latent_BTD, draw(0).latent_BTD)
    for latent_TD, text, start, total in zip(*batch[:2], *batch.timing.values(), strict=True):
        piece = ("piano", "drums").index(text)
        at = round(latent_TD[0, 0].item())
        begun = at - sum(FRAMES[:piece])
        heard = min(100, FRAMES[piece] - begun)
        assert latent_TD[:heard, 0].tolist() == [*range(at, at + heard)]
        assert torch.equal(latent_TD[heard:], silence_TD[heard:])
        yield piece, begun, heard, start.item() * 62.5, total.item() * 62.5


def test_a_crop_knows_its_place_and_ends_in_silence(recipe):
    found = list(crops_of(replace(recipe, short=0.0), 32))
    assert [start for *_, start, _ in found] == pytest.approx([begun for _, begun, *_ in found], abs=1e-3)
    assert [total for *_, total in found] == pytest.approx([FRAMES[piece] for piece, *_ in found])
    assert len({begun for _, begun, *_ in found}) > 4
    long = [heard for piece, _, heard, *_ in found if piece == 0]
    assert min(long) < 100 == max(long)  # some end within, though their piece is longer than a window


def test_the_last_bars_are_told_as_a_piece_of_their_own(recipe):
    for piece, begun, heard, start, total in crops_of(replace(recipe, from_start=0, to_end=0, short=1), 32):
        assert start == 0
        assert total == pytest.approx(heard)
        assert heard == FRAMES[piece] - begun
        assert begun in [round(12.5 * bar) for bar in range(12)] or piece == 1


def test_it_resumes_exactly_and_its_model_plays(recipe, tmp_path):
    stable_audio.train(recipe)
    for step in (1, 2):
        stable_audio.train(replace(recipe, out=tmp_path / "parts", minutes=0))
        assert load_state(tmp_path / "parts/state.safetensors")["step"] == step
    stable_audio.train(replace(recipe, out=tmp_path / "parts"))
    whole, parts = (load_state(tmp_path / run / "state.safetensors") for run in ("whole", "parts"))
    for part in ("learner", "ema"):
        assert all(torch.equal(whole[part][name], parts[part][name]) for name in whole[part])
    clip = toccata.load(str(tmp_path / "parts/model"), device="cpu").generate("slow piano", 2.0, 1)
    assert clip.samples.shape == (2, 8000)


def test_it_may_read_with_a_clap_and_its_model_too(recipe, tmp_path):
    config = CLAPConfig(
        HTSATConfig(width=8, depths=(2, 2), heads=(2, 4), bands=16, side=32, window=4),
        WordsConfig(width=24, layers=2, heads=2),
        Pictures(8000, window=256, hop=160, bands=16, low=50, high=4000, seconds=1),
        width=12,
    )
    save_clap(tmp_path / "clap", build(config), config)
    stable_audio.train(replace(recipe, text=str(tmp_path / "clap")))
    shutil.rmtree(tmp_path / "clap")
    model = toccata.load(str(recipe.out / "model"), device="cpu")
    assert isinstance(model, StableAudio)
    assert isinstance(model.text, CLAPReader)
    assert model.config.text_width == 24
    assert model.generate("slow piano", 1.0, 1).samples.shape == (2, 4000)
    one, other = (model.condition(Prompt(text), Window(0, 0, 62), 1.0) for text in ("slow piano", "loud drums"))
    assert isinstance(one, DiTCondition)
    assert isinstance(other, DiTCondition)
    assert not torch.allclose(one.keys[0][0], other.keys[0][0], atol=1e-3)


def test_the_first_ones_unet_trains_and_plays_too(recipe, monkeypatch):
    unet = UNetSizes(
        inputs=3, channels=(16, 32), factors=(1, 4), blocks=(1, 1), attentions=(1, 1), crosses=(1, 1), heads=2,
        head_width=0, tokens=16, features=16, stacked=True, middle=1,
    )  # fmt: skip
    tiny = replace(first(), unet=unet, dit=stable_audio.PRESETS["mini"]().dit, window=100, text_tokens=8)
    monkeypatch.setitem(stable_audio.PRESETS, "first", lambda: tiny)
    stable_audio.train(replace(recipe, preset="first", steps=1))
    model = toccata.load(str(recipe.out / "model"), device="cpu")
    assert model.generate("slow piano", 2.0, 1, steps=2).samples.shape == (2, 8000)  # type: ignore[call-overload]


def test_a_shard_is_what_the_codec_makes_of_rendered_pieces(recipe, monkeypatch):
    waves = [torch.randint(-9000, 9000, (n, 2)).to(torch.int16) for n in (700, 320)]
    records = [{"samples": len(wave), "captions": []} for wave in waves]
    monkeypatch.setattr(stereo, "stereo_shard", lambda index, seed, sample_rate: ({"wave": torch.cat(waves)}, records))
    tensors, kept = stereo.latent_shard(0, 1, recipe.codec, load_autoencoder)
    assert [record["frames"] for record in kept] == [11, 5]
    expected = load_autoencoder(recipe.codec).encode(waves[1].T[None].float() / 32767)[0]
    assert torch.allclose(tensors["latent"][11:].float(), expected, rtol=1e-2, atol=1e-2)


def test_shards_made_while_it_trains_are_those_made_alone(recipe, monkeypatch):
    waves = [torch.randint(-9000, 9000, (n, 2)).to(torch.int16) for n in (700, 320)]
    told = {"captions": [{"text": "piano"}], "tempo": 120, "meter": [4, 4]}
    records = [{"samples": len(wave), **told} for wave in waves]
    monkeypatch.setattr(stereo, "stereo_shard", lambda index, seed, sample_rate: ({"wave": torch.cat(waves)}, records))
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda device: True)  # as with AMX
    store = stable_audio.latent_store(recipe, 1)
    store.path(0).unlink()
    stable_audio.train(replace(recipe, steps=1))
    alone, _ = stereo.latent_shard(0, 1, recipe.codec, load_autoencoder)
    assert torch.equal(store.read(0)[0]["latent"], alone["latent"])


def test_a_model_that_is_not_timed_cannot_tell_lengths_apart(recipe):
    heard = {}
    for timed in (True, False):
        stable_audio.train(replace(recipe, out=recipe.out / str(timed), timed=timed, steps=1))
        model = toccata.load(str(recipe.out / str(timed) / "model"), device="cpu")
        assert isinstance(model, StableAudio)
        one, other = (model.condition(Prompt("slow piano"), Window(0, 0, 62), seconds) for seconds in (1.0, 30.0))
        assert isinstance(one, DiTCondition)
        assert isinstance(other, DiTCondition)
        heard[timed] = torch.equal(one.whole_BW, other.whole_BW) and torch.equal(one.keys[0][0], other.keys[0][0])
    assert heard == {True: False, False: True}


def test_it_may_begin_as_a_trained_model_and_as_no_other(recipe, tmp_path):
    stable_audio.train(recipe)
    slow = {"muon_rate": 0.0, "adam_rate": 0.0}
    stable_audio.train(replace(recipe, out=tmp_path / "on", start=recipe.out / "model", steps=1, **slow))
    trained, begun = (checkpoint.load(folder / "model")[1] for folder in (recipe.out, tmp_path / "on"))
    assert all(torch.allclose(begun[name].float(), value.float(), atol=1e-2) for name, value in trained.items())
    stable_audio.train(replace(recipe, out=tmp_path / "untimed", start=recipe.out / "model", steps=1, timed=False))
    untimed = checkpoint.load(tmp_path / "untimed/model")[1]
    for name in ("timing.seconds_start.rows.weight", "timing.seconds_total.rows.weight"):
        assert torch.allclose(untimed[name][0].float(), trained[name].float().mean(0), atol=1e-2)
    with pytest.raises(WeightsError, match="not Stable Audio"):
        stable_audio.train(replace(recipe, out=tmp_path / "other", start=recipe.codec))
