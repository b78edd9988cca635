"""Moûsai's recipes: both go on exactly where they stopped, what they write loads, and the whole plays."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

import toccata
from toccata.codecs.magnitude import MagnitudeAutoencoder, load_magnitude, save_magnitude
from toccata.codecs.magnitude_config import CosineConfig, MagnitudeConfig
from toccata.corpus.stream import corpus_name
from toccata.errors import InputError
from toccata.models.mousai.config import MousaiConfig, MousaiSampling
from toccata.nn.unet import UNetSizes
from toccata.recipes import mousai, mousai_autoencoder, stereo
from toccata.training.state import load_state

RATE = 4000  # 62.5 latent frames a second
CODEC = MagnitudeConfig(
    sample_rate=RATE, n_fft=63, hop=32, width=16, factors=(2,), blocks=(1,), latent=3, patch=16, filters=4,
    unet=UNetSizes(
        inputs=8, channels=(8, 16, 16), factors=(1, 2, 2), blocks=(1, 1, 1), attentions=(0,) * 3, crosses=(0,) * 3,
        features=16, injected=3, inject_depth=2,
    ),
    window=50, steps=2,
)  # fmt: skip
COSINE = CosineConfig(
    sample_rate=RATE, stride=64, width=16, blocks=(1, 1), latent=3, drawn=8, window=32, steps=2,
    unet=UNetSizes(
        inputs=16, channels=(16, 16), factors=(1, 2), blocks=(1, 1), attentions=(0, 0), crosses=(0, 0), features=16,
        injected=3,
    ),
)  # fmt: skip
MODEL = MousaiConfig(
    unet=UNetSizes(
        inputs=4, channels=(16, 16), factors=(1, 4), blocks=(1, 1), attentions=(0, 1), crosses=(1, 1), heads=2,
        head_width=8, tokens=16, features=16,
    ),
    window=100, text_width=256, text_tokens=8, sampling=MousaiSampling(steps=2, guidance=3.0),
)  # fmt: skip
FRAMES = (150, 40)


@pytest.fixture(autouse=True)
def _few_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=[CODEC, COSINE], ids=["wave", "cosine"])
def autoencoder_recipe(tmp_path, monkeypatch, request):
    monkeypatch.setitem(mousai_autoencoder.PRESETS, "mini", lambda: request.param)
    folder = tmp_path / "band" / f"{corpus_name(1)}-{RATE}-stereo"
    folder.mkdir(parents=True)
    time_N = torch.arange(5 * RATE) / RATE
    wave_NC = torch.stack([torch.sin(2 * torch.pi * f * time_N) for f in (220, 330)], dim=1) * 8000
    records = {"records": json.dumps([{"samples": len(wave_NC)}])}
    save_file({"wave": wave_NC.to(torch.int16)}, folder / "000000.safetensors", metadata=records)
    return mousai_autoencoder.MousaiAutoencoderRecipe(
        band=tmp_path / "band", out=tmp_path / "whole", steps=3, batch=2, seconds=0.5, steps_per_shard=100, workers=0
    )


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A recipe of a tiny model, whose shards hold two pieces of 2.4 and .64 seconds; a window is 1.6."""
    torch.manual_seed(0)
    save_magnitude(tmp_path / "codec", MagnitudeAutoencoder(CODEC))
    monkeypatch.setitem(mousai.PRESETS, "mini", lambda: MODEL)
    made = mousai.MousaiRecipe(
        out=tmp_path / "whole", latents=tmp_path / "latents", codec=tmp_path / "codec", steps=3, batch=2,
        first_shards=1, steps_per_shard=100, workers=0,
    )  # fmt: skip
    for seed in (1, mousai.HELD_OUT_SEED):
        folder = mousai.latent_store(made, seed).folder
        folder.mkdir(parents=True)
        latent_TD = torch.arange(sum(FRAMES))[:, None].expand(-1, 3).half().contiguous() / 100
        told = zip(FRAMES, ("piano", "drums"), strict=True)
        records = [{"frames": frames, "captions": [{"text": text}]} for frames, text in told]
        save_file({"latent": latent_TD}, folder / "000000.safetensors", metadata={"records": json.dumps(records)})
    return made


def resumed_is_whole(train, recipe, tmp_path):
    """Train at once, and in three runs, to ``parts``; both end in the same weights."""
    train(recipe)
    for step in (1, 2):
        train(replace(recipe, out=tmp_path / "parts", minutes=0))
        assert load_state(tmp_path / "parts/state.safetensors")["step"] == step
    train(replace(recipe, out=tmp_path / "parts"))
    whole, parts = (load_state(out / "state.safetensors") for out in (recipe.out, tmp_path / "parts"))
    for part in ("learner", "ema"):
        assert whole[part].keys() == parts[part].keys()
        assert all(torch.equal(whole[part][name], parts[part][name]) for name in whole[part])
    assert any(not torch.equal(whole["learner"][name], whole["ema"][name]) for name in whole["ema"])


def test_the_autoencoder_resumes_exactly_and_loads(autoencoder_recipe, tmp_path):
    resumed_is_whole(mousai_autoencoder.train, autoencoder_recipe, tmp_path)
    codec = load_magnitude(tmp_path / "parts/codec")
    trained = mousai_autoencoder.PRESETS["mini"]()
    assert codec.config == replace(trained, scale=codec.config.scale)
    latent = codec.encode(torch.rand(1, 2, RATE) - 0.5)
    assert latent.shape == (1, 63, 3)
    assert codec.decode(latent, [torch.Generator().manual_seed(1)]).shape == (1, 2, 63 * 64)


def test_a_trained_ones_decoder_goes_on_alone(autoencoder_recipe, tmp_path):
    mousai_autoencoder.train(autoencoder_recipe)
    start = tmp_path / "whole/codec"
    resumed_is_whole(
        mousai_autoencoder.train, replace(autoencoder_recipe, out=tmp_path / "whole/on", start=start), tmp_path
    )
    before, after = (load_magnitude(folder / "codec") for folder in (tmp_path / "whole", tmp_path / "parts"))
    wave, seeds = torch.rand(1, 2, RATE) - 0.5, [torch.Generator().manual_seed(1)]
    latent = before.encode(wave)
    assert torch.allclose(after.encode(wave), latent, atol=1e-4)
    assert not torch.equal(after.decode(latent, seeds), before.decode(latent, [torch.Generator().manual_seed(1)]))


def test_the_model_resumes_exactly_and_plays(recipe, tmp_path):
    resumed_is_whole(mousai.train, recipe, tmp_path)
    model = toccata.load(str(tmp_path / "parts/model"), device="cpu")
    assert model.name == "mousai-mini"
    assert model.generate("slow piano", 2.0, 1).samples.shape == (2, 8000)


def test_crops_of_long_pieces_are_told_their_part_and_short_ones_end_in_silence(recipe):
    codec = load_magnitude(recipe.codec)
    draw = mousai.sampler(recipe, 100, codec, mousai.latent_store(recipe, 1).read, 16)
    batch, silence_TD = draw(0), codec.encode(torch.zeros(1, 2, 6400))[0]
    assert torch.equal(batch.latent_BDT, draw(0).latent_BDT)
    assert set(batch.captions) == {"piano, 1 of 2", "piano, 2 of 2", "drums"}
    for latent_TD, text in zip(batch.latent_BDT.mT, batch.captions, strict=True):
        first = round(latent_TD[0, 0].item() * 100)
        if text == "drums":
            assert first == 150
            assert torch.equal(latent_TD[40:], silence_TD[40:])
        else:
            assert text == f"piano, {1 + (first > 25)} of 2"


@pytest.mark.parametrize(
    ("start", "frames", "says"), [(0, 90, "a"), (0, 250, "a, 1 of 3"), (90, 250, "a, 2 of 3"), (150, 250, "a, 3 of 3")]
)
def test_the_part_is_counted_along_the_starts(start, frames, says):
    assert mousai.told("a", start, frames, 100) == says


def test_a_shard_is_what_the_codec_makes_of_rendered_pieces(recipe, monkeypatch):
    waves = [torch.randint(-9000, 9000, (n, 2)).to(torch.int16) for n in (700, 320)]
    records = [{"samples": len(wave), "captions": []} for wave in waves]
    monkeypatch.setattr(stereo, "stereo_shard", lambda index, seed, sample_rate: ({"wave": torch.cat(waves)}, records))
    tensors, kept = stereo.latent_shard(0, 1, recipe.codec, load_magnitude)
    assert [record["frames"] for record in kept] == [11, 5]
    expected = load_magnitude(recipe.codec).encode(waves[1].T[None].float() / 32767)[0]
    assert torch.allclose(tensors["latent"][11:].float(), expected, rtol=1e-2, atol=1e-2)


def test_unknown_presets_are_told():
    with pytest.raises(InputError, match="choose from mini, full"):
        mousai.train(mousai.MousaiRecipe(preset="huge"))
    with pytest.raises(InputError, match="choose from mini, full"):
        mousai_autoencoder.train(mousai_autoencoder.MousaiAutoencoderRecipe(preset="huge"))
