"""Moûsai's autoencoders, the published and the mini's: rates and sizes, what latents know, decoding, files."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from toccata.codecs.cosine import CosineAutoencoder, middle_and_side
from toccata.codecs.magnitude import MagnitudeEncoder, build, load_magnitude, save_magnitude
from toccata.codecs.magnitude_config import CosineConfig, MagnitudeConfig, full, mini
from toccata.errors import InputError, WeightsError
from toccata.nn.unet import NestedLevel, UNetSizes
from toccata.weights import checkpoint
from toccata.weights.compact import compact, expand

UNET = UNetSizes(
    inputs=16, channels=(16, 16, 16), factors=(1, 2, 2), blocks=(1, 1, 1), attentions=(0, 0, 0), crosses=(0, 0, 0),
    features=16, injected=4, inject_depth=1,
)  # fmt: skip
SMALL = MagnitudeConfig(
    sample_rate=4000, n_fft=31, hop=8, width=16, factors=(2,), blocks=(1,), latent=4, patch=8, filters=8, unet=UNET,
    window=20, steps=3,
)  # fmt: skip
COSINE = CosineConfig(
    sample_rate=4000, stride=16, width=16, blocks=(1, 1), latent=4, drawn=8, window=20, steps=3, loudness=1.0,
    unet=UNetSizes(
        inputs=16, channels=(16, 16), factors=(1, 2), blocks=(1, 1), attentions=(0, 0), crosses=(0, 0), features=16,
        injected=4,
    ),
)  # fmt: skip


@pytest.fixture(scope="module", params=[SMALL, COSINE], ids=["wave", "cosine"])
def codec(request):
    torch.manual_seed(0)
    made = build(request.param)
    for name, parameter in made.named_parameters():
        if "encoder.last" in name or "sizes.last" in name:  # new latents hardly differ from each other
            loud = isinstance(made, CosineAutoencoder) and "encoder" in name  # logarithms are larger than magnitudes
            torch.nn.init.normal_(parameter, std=0.05 if loud else 0.5)
    return made.eval()


def noise(samples, rows=1, seed=0):
    return torch.rand(rows, 2, samples, generator=torch.Generator().manual_seed(seed)) - 0.5


def seeds(*numbers):
    return [torch.Generator().manual_seed(number) for number in numbers]


@pytest.mark.parametrize("preset", [full, mini])
def test_presets_hold_a_sixty_fourth_of_the_values_at_48_khz_in_stereo(preset):
    config = preset()
    assert (config.sample_rate, config.audio_channels) == (48000, 2)
    assert config.audio_channels * config.sample_rate / (config.latent * config.frame_rate) == 64
    assert config.window % config.whole == 0


def test_the_full_size_has_the_papers_185_million_parameters():
    with torch.device("meta"):
        made = build(full())
    assert sum(p.numel() for p in made.parameters()) == pytest.approx(185e6, rel=0.01)


def test_latents_are_bounded_one_for_each_stride_begun(codec):
    for samples, frames in ((16, 1), (17, 2), (160, 10)):
        latent = codec.encode(noise(samples))
        assert latent.shape == (1, frames, 4)
        assert latent.abs().max() < 1


def test_the_magnitudes_are_those_of_numpy():
    wave = noise(160)
    found = MagnitudeEncoder(SMALL).magnitudes(wave)[0]
    assert found.shape == (32, 20)
    padded = np.pad(wave[0, 1].numpy(), 15, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(31) / 31)
    for frame in (0, 7, 19):
        spectrum = np.abs(np.fft.rfft(padded[frame * 8 : frame * 8 + 31] * window)) / 31**0.5
        assert np.allclose(found[16:, frame], spectrum, atol=1e-5)


def test_a_wave_turned_over_has_the_same_latents(codec):
    wave = noise(160)
    assert torch.allclose(codec.encode(wave), codec.encode(-wave), atol=1e-5)
    assert not torch.allclose(codec.encode(wave), codec.encode(noise(160, seed=1)), atol=1e-2)


@pytest.mark.parametrize("frames", [1, 3, 20, 47])
def test_a_decoded_wave_is_as_long_as_its_latents_say(codec, frames):
    wave = codec.decode(torch.zeros(1, frames, 4), seeds(1))
    assert wave.shape == (1, 2, frames * 16)
    assert wave.abs().max() <= 1


def test_waves_are_told_as_loud_as_the_configuration_takes_them_to_be(codec):
    softer = build(replace(codec.config, loudness=0.25)).eval()
    softer.load_state_dict(codec.state_dict())
    wave = noise(160)
    latent = codec.encode(wave)
    assert torch.allclose(softer.encode(wave / 4), latent, atol=1e-5)
    loud, soft = (made.decode(latent, seeds(1)) for made in (codec, softer))
    inside = loud.abs() < 1
    assert torch.allclose(soft[inside] * 4, loud[inside], atol=1e-4)


def test_chance_comes_from_each_rows_generator_alone_or_in_a_batch(codec):
    latent = codec.encode(noise(400, rows=2))
    before = torch.get_rng_state()
    both = codec.decode(latent, seeds(1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    for row in (0, 1):
        assert torch.allclose(both[row], codec.decode(latent[row : row + 1], seeds(row + 1))[0], atol=1e-4)
    assert not torch.allclose(both[0], codec.decode(latent[:1], seeds(7))[0], atol=1e-2)
    assert not torch.allclose(both[0], codec.decode(latent[:1], seeds(1), steps=7)[0], atol=1e-3)


def test_what_latents_say_is_heard(codec):
    one, other = (codec.decode(codec.encode(noise(320, seed=s)), seeds(1)) for s in (1, 2))
    assert not torch.allclose(one, other, atol=1e-3)


def test_windows_join_and_tell_how_far_they_are(codec):
    latent, shares = codec.encode(noise(50 * 16)), []
    parts = list(codec.decode_stream(latent, seeds(3), tell=shares.append))
    assert len(parts) == 3 + codec.beyond
    assert torch.equal(torch.cat(parts, dim=-1), codec.decode(latent, seeds(3)))
    assert shares == sorted(shares)
    assert (len(shares), shares[-1]) == (3 * len(parts), 1.0)


def test_a_known_beginning_is_gone_on_from_and_not_given_again(codec):
    old, latent = noise(10 * 16), codec.encode(noise(50 * 16))
    made = torch.cat(list(codec.decode_stream(latent, seeds(3), known_BCN=old)), dim=-1)
    assert made.shape == (1, 2, 40 * 16)
    other = torch.cat(list(codec.decode_stream(latent, seeds(3), known_BCN=-old)), dim=-1)
    assert not torch.allclose(made[..., :64], other[..., :64], atol=1e-4)


@pytest.mark.parametrize("config", [SMALL, COSINE])
def test_the_loss_repeats_with_its_generator_and_falls(config):
    torch.manual_seed(0)
    made, wave = build(config), noise(320, rows=2)
    draw = lambda seed: made.loss(wave, torch.Generator().manual_seed(seed))[0]  # noqa: E731
    assert draw(1) == draw(1) != draw(2)
    before = sum(draw(seed).item() for seed in range(4))
    optimiser = torch.optim.Adam(made.parameters(), 1e-2)
    for step in range(60):
        optimiser.zero_grad()
        draw(100 + step).backward()
        optimiser.step()
    assert sum(draw(seed).item() for seed in range(4)) < 0.9 * before


@pytest.mark.parametrize("config", [SMALL, COSINE])
def test_silence_gives_slopes_that_are_numbers(config):
    made = build(config)
    made.loss(torch.zeros(1, 2, 320), torch.Generator().manual_seed(0))[0].backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in made.parameters())


def test_saved_and_loaded_it_is_the_same_but_for_its_rounding(codec, tmp_path):
    save_magnitude(tmp_path / "codec", codec, name="magnitude-small")
    loaded, rounded = load_magnitude(tmp_path / "codec"), build(codec.config).eval()
    rounded.load_state_dict(expand(compact(codec.state_dict())))
    assert loaded.config == codec.config
    latent = rounded.encode(noise(160))
    assert torch.equal(loaded.encode(noise(160)), latent)
    assert torch.equal(loaded.decode(latent, seeds(1)), rounded.decode(latent, seeds(1)))
    assert torch.allclose(latent, codec.encode(noise(160)), atol=0.02)


def test_the_scale_divides_and_multiplies_again(codec):
    scaled = build(replace(codec.config, scale=0.5)).eval()
    scaled.load_state_dict(codec.state_dict())
    latent = codec.encode(noise(160))
    assert torch.allclose(scaled.encode(noise(160)), 2 * latent)
    assert torch.allclose(scaled.decode(2 * latent, seeds(1)), codec.decode(latent, seeds(1)), atol=1e-5)


def test_a_middle_and_a_side_are_left_and_right_again():
    wave = noise(160)
    assert torch.allclose(middle_and_side(middle_and_side(wave)), wave, atol=1e-6)
    assert middle_and_side(wave[:, :1].expand(-1, 2, -1))[:, 1].abs().max() == 0


def test_sizes_begin_as_those_of_the_coefficients_that_are_heard():
    made, wave = CosineAutoencoder(COSINE), noise(16000) / 10
    made.begin_with(wave)
    sizes = made.sizes(made.encoder(wave)).exp()
    assert sizes.mean().item() == pytest.approx(wave.std().item(), rel=0.02)


def test_coefficients_are_exact_where_training_rounds_products():
    made, wave = CosineAutoencoder(COSINE), noise(1600)
    exact = made._coefficients(wave)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(made._coefficients(wave), exact)


def test_without_a_step_of_the_decoder_sound_has_the_told_sizes():
    made, wave = CosineAutoencoder(COSINE), noise(16000) / 10
    made.begin_with(wave)
    level = made.unet.levels
    assert isinstance(level, NestedLevel)
    for told in (level.told.weight, level.told.bias):  # how much of what the U-Net makes is added to its input
        torch.nn.init.zeros_(told)
    heard = made.eval().decode(made.encode(wave), seeds(1), steps=50)
    assert heard.std().item() == pytest.approx(wave.std().item(), rel=0.05)


def test_what_is_no_sound_or_no_codec_is_told(codec, tmp_path):
    with pytest.raises(InputError, match="2 channels, samples"):
        codec.encode(torch.zeros(1, 1, 160))
    checkpoint.save(tmp_path, {"family": "soundstream"}, {"x": torch.zeros(1)})
    with pytest.raises(WeightsError, match="not a magnitude autoencoder"):
        load_magnitude(tmp_path)
    checkpoint.save(tmp_path, {"family": "magnitude-autoencoder", "codec": {"hop": 7}}, {"x": torch.zeros(1)})
    with pytest.raises(WeightsError, match="describes no magnitude autoencoder"):
        load_magnitude(tmp_path)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="does not fit"):
        build(replace(SMALL, hop=4))
    with pytest.raises(ValueError, match="does not fit"):
        build(replace(COSINE, drawn=4))
