"""Stable Audio's autoencoder: lengths, tiles, chance, files."""

import json
from dataclasses import replace

import pytest
import torch

from toccata.codecs import autoencoder
from toccata.codecs.autoencoder import (
    Autoencoder,
    AutoencoderConfig,
    full,
    half,
    kl_divergence,
    load_autoencoder,
    mini,
    save_autoencoder,
)
from toccata.codecs.frames import FrameSizes
from toccata.errors import InputError, WeightsError
from toccata.nn.weightnorm import fold

SMALL = AutoencoderConfig(
    sample_rate=8000, channels=4, decoder_channels=6, widths=(1, 2, 3), strides=(2, 4, 4), latent=5
)
FRAMES = FrameSizes(
    sample_rate=8000, stride=32, hop=8, latent=5, mel_bands=12, mel_fft=64, mel_high=2000.0, low_bins=6, low_fft=128,
    n_fft=32, encoder_width=8, encoder_depth=2, decoder_width=8, decoder_depth=2, synthesis_width=6, synthesis_depth=2,
    octaves=2, per_octave=12,
)  # fmt: skip
ON_FRAMES = AutoencoderConfig(sample_rate=8000, latent=5, frames=FRAMES)


def small(config=SMALL):
    torch.manual_seed(0)
    codec = Autoencoder(config)
    for name, parameter in codec.named_parameters():
        if name.endswith(("alpha_C", "beta_C")) or (config.frames and "bank" not in name and parameter.dim() > 1):
            torch.nn.init.normal_(parameter, std=0.3)
    fold(codec)
    return codec.eval()


@pytest.fixture(scope="module", params=[SMALL, ON_FRAMES], ids=["samples", "frames"])
def codec(request):
    return small(request.param)


def wave(samples, seed=1):
    return torch.randn(2, 2, samples, generator=torch.Generator().manual_seed(seed)) * 0.3


@pytest.mark.parametrize(("samples", "frames"), [(1, 1), (32, 1), (33, 2), (1000, 32)])
def test_a_frame_is_a_stride_of_samples(codec, samples, frames):
    latent_BTD = codec.encode(wave(samples))
    assert latent_BTD.shape == (2, frames, 5)
    assert codec.decode(latent_BTD).shape == (2, 2, 32 * frames)


@pytest.mark.parametrize("samples", [3, 900, 2500])
def test_tiles_equal_the_whole(codec, samples, monkeypatch):
    """With tiles far shorter than what the network sees, and with tiles longer than the sound."""
    wave_BCN = wave(samples)
    whole_BTD = codec.distribution(torch.nn.functional.pad(wave_BCN, (0, -samples % 32)))[0]
    sound_BCN = codec.synthesise(whole_BTD).clamp(-1, 1)
    for tile in (1, 7, 40, 1000):
        monkeypatch.setattr(autoencoder, "TILE_FRAMES", tile)
        assert torch.allclose(codec.encode(wave_BCN), whole_BTD, atol=1e-5)
        assert torch.allclose(codec.decode(whole_BTD), sound_BCN, atol=1e-5)


def test_nothing_beyond_the_stated_view_is_seen(codec):
    latent_BTD = codec.encode(wave(32 * 60))
    before, after = codec.decoder.view
    changed = latent_BTD.clone()
    changed[:, 30] += 1
    differs = (codec.decode(changed) != codec.decode(latent_BTD)).any(1).any(0).unflatten(0, (60, 32)).any(1)
    seen = differs.nonzero().flatten()
    assert 30 - after <= seen.min() < 30 - after // 2
    assert 30 + before // 2 < seen.max() <= 30 + before
    wave_BCN = wave(32 * 60)
    far_BCN, (before, after) = wave_BCN.clone(), codec.encoder.view
    far_BCN[..., 32 * 30 : 32 * 31] += 0.5
    moved = (codec.encode(far_BCN) != codec.encode(wave_BCN)).any(2).any(0).nonzero().flatten()
    assert 30 - after <= moved.min() < 30 - after // 2
    assert 30 + before // 2 < moved.max() <= 30 + before


def test_decoding_in_parts_joins_to_the_whole(codec):
    latent_BTD = torch.randn(1, 50, 5)
    parts = list(codec.decode_stream(latent_BTD.split([3, 1, 26, 20], dim=1)))
    assert len(parts) > 1
    assert torch.allclose(torch.cat(parts, dim=-1), codec.decode(latent_BTD), atol=1e-5)


def test_latents_are_means_or_draws_around_them(codec):
    wave_BCN = wave(64)[:1].expand(1000, -1, -1)
    mean_BTD, spread_BTD = codec.distribution(wave_BCN)
    draws_BTD = codec.encode(wave_BCN, torch.Generator().manual_seed(3))
    away_BTD = (draws_BTD - mean_BTD) / spread_BTD
    assert torch.allclose(codec.encode(wave_BCN), mean_BTD, atol=1e-5)
    assert away_BTD.mean(0).abs().max() < 5 / 1000**0.5  # standard errors
    assert (away_BTD.std() - 1).abs() < 0.05
    assert torch.equal(draws_BTD, codec.encode(wave_BCN, torch.Generator().manual_seed(3)))


def test_a_scale_is_divided_by_and_given_back(codec):
    scaled = small(replace(codec.config, scale=4.0))
    wave_BCN = wave(640)
    assert torch.allclose(scaled.encode(wave_BCN) * 4, codec.encode(wave_BCN), atol=1e-5)
    assert torch.allclose(scaled.decode(scaled.encode(wave_BCN)), codec.decode(codec.encode(wave_BCN)), atol=1e-5)


def test_the_divergence_is_that_of_normals():
    mean, spread = torch.randn(3, 4, 5), torch.rand(3, 4, 5) + 0.1
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mean, spread), normal(torch.zeros(()), torch.ones(())))
    assert torch.allclose(kl_divergence(mean, spread), 2 * expected.sum(-1).mean(), rtol=1e-5)


def test_saved_and_loaded_it_is_the_same(codec, tmp_path):
    torch.manual_seed(0)
    fresh = Autoencoder(codec.config).eval()  # its weight norm not yet folded
    save_autoencoder(tmp_path, fresh, name="small")
    again, wave_BCN = load_autoencoder(tmp_path), wave(640)
    assert again.config == codec.config
    assert not again.training
    near = 0.05 if codec.config.frames else 1e-5  # those are rounded
    assert torch.allclose(again.encode(wave_BCN), fresh.encode(wave_BCN), atol=near)
    assert json.loads((tmp_path / "config.json").read_text())["name"] == "small"


def test_other_folders_and_other_sounds_are_refused(codec, tmp_path):
    with pytest.raises(InputError, match="2 channels"):
        codec.encode(torch.zeros(1, 1, 640))
    with pytest.raises(InputError, match="2 channels"):
        codec.encode(torch.zeros(1, 2, 0))
    save_autoencoder(tmp_path, codec)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"family": "musicgen"}))
    with pytest.raises(WeightsError, match="holds a musicgen model"):
        load_autoencoder(tmp_path)


@pytest.mark.parametrize(("preset", "stride", "latent"), [(full, 2048, 64), (half, 1024, 64), (mini, 1764, 64)])
def test_presets_can_be_built(preset, stride, latent):
    config = preset()
    assert (config.sample_rate, config.audio_channels, config.stride, config.latent) == (44100, 2, stride, latent)
    with torch.device("cpu" if config.frames else "meta"):
        codec = Autoencoder(config)
        assert codec.synthesise(codec.distribution(torch.empty(1, 2, 4 * stride))[0]).shape == (1, 2, 4 * stride)
