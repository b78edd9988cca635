"""MuLan: unit vectors of any length of sound, the same in blocks as whole, from disk as from memory, and as tokens."""

from dataclasses import replace

import pytest
import torch

from toccata.encoders.mulan import MuLan, full, full_transformer, load_mulan, mini, save_mulan
from toccata.encoders.text import load_text_encoder
from toccata.encoders.towers import text_tower
from toccata.encoders.words import WordsConfig
from toccata.errors import InputError, WeightsError
from toccata.nn.resnet import ResNetConfig

WORDS = load_text_encoder()


def tiny(**changes):
    tower = replace(mini().audio, bands=32, frames=100, patch=(16, 16), stride=(16, 16), width=48, layers=1, heads=3)
    sizes = {"audio": tower, "text": WordsConfig(64, 1, 2), "width": 16, "bands": 32, "window_seconds": 2.0,
             "levels": 3, "vocabulary": 8}  # fmt: skip
    return replace(mini(), **{**sizes, **changes})


RESNET = tiny(audio=ResNetConfig(stem=4, widths=(4, 4, 4, 4), depths=(1, 1, 1, 1)))


@pytest.fixture(params=[tiny(), RESNET], ids=["transformer", "resnet"])
def model(request):
    torch.manual_seed(0)
    return MuLan(request.param, text_tower(request.param.text, words=WORDS)).eval()


def noise(seconds, rate=16000, channels=None):
    shape = (int(seconds * rate),) if channels is None else (channels, int(seconds * rate))
    return 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_rows_are_of_unit_length_whatever_the_length_and_channels_of_the_sound(model):
    rows = model.embed_audio([noise(0.01), noise(1), noise(2), noise(7.3), noise(3, channels=2)], 16000)
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(5))
    torch.testing.assert_close(model.embed_text(["slow piano", "fast drums"]).norm(dim=1), torch.ones(2))


def test_a_clip_embeds_the_same_alone_as_in_company(model):
    clips = [noise(3), noise(5)]
    alone = torch.cat([model.embed_audio([clip], 16000) for clip in clips])
    torch.testing.assert_close(model.embed_audio(clips, 16000), alone)


def test_blocks_of_any_size_give_what_the_whole_gives(model):
    wave = noise(31.7)
    whole = model.embed_audio([wave], 16000)[0]
    torch.testing.assert_close(model.embed_blocks(wave.split(16000)), whole)
    torch.testing.assert_close(model.embed_blocks(wave.split(12345)), whole)


def test_longer_sound_is_the_mean_of_windows_a_second_apart(model):
    wave = noise(4)
    rows = [model.embed_audio([wave[s * 16000 : s * 16000 + 32000]], 16000)[0] for s in (0, 1, 2)]
    mean = torch.stack(rows).mean(0)
    torch.testing.assert_close(model.embed_audio([wave], 16000)[0], mean / mean.norm(), atol=1e-5, rtol=1e-5)


def test_short_sound_is_repeated(model):
    wave = noise(1)
    torch.testing.assert_close(model.embed_audio([wave], 16000), model.embed_audio([wave.repeat(2)], 16000))


def test_another_rate_says_about_the_same(model):
    wave = torch.sin(torch.arange(3 * 48000) / 48000 * 2 * torch.pi * 440) * 0.5
    same = torch.sin(torch.arange(3 * 16000) / 16000 * 2 * torch.pi * 440) * 0.5
    near = (model.embed_audio([wave], 48000) * model.embed_audio([same], 16000)).sum()
    assert near > 0.99


def test_what_was_saved_embeds_about_the_same(model, tmp_path):
    save_mulan(tmp_path, model, name="x")
    loaded = load_mulan(tmp_path, words=WORDS)
    assert loaded.config == model.config
    assert (loaded.embed_audio([noise(2)], 16000) * model.embed_audio([noise(2)], 16000)).sum() > 0.99
    assert (loaded.embed_text(["slow piano"]) * model.embed_text(["slow piano"])).sum() > 0.99


def test_tokens_of_all_levels_are_nearer_than_those_of_one(model):
    rows = torch.nn.functional.normalize(torch.randn(200, 16, generator=torch.Generator().manual_seed(1)), dim=1)
    model.quantiser.fit(rows, torch.Generator().manual_seed(0))
    codes = model.quantise(rows)
    assert codes.shape == (200, 3)
    near = [(model.dequantise(codes[:, :k]) * rows).sum(1).mean() for k in (1, 2, 3)]
    assert near[0] < near[1] < near[2]


def test_published_sizes_are_those_of_the_paper():
    from toccata.nn.resnet import ResNet
    from toccata.nn.spectrogram_transformer import SpectrogramTransformer, SpectrogramTransformerConfig

    assert full().width == full_transformer().width == 128
    with torch.device("meta"):
        resnet, transformer = ResNet(ResNetConfig()), SpectrogramTransformer(SpectrogramTransformerConfig())
    assert full().audio == ResNetConfig()
    assert full_transformer().audio == SpectrogramTransformerConfig(frames=1000)
    assert sum(p.numel() for p in resnet.parameters()) == pytest.approx(23.5e6, rel=0.01)
    assert sum(p.numel() for p in transformer.parameters()) == pytest.approx(86e6, rel=0.02)


@pytest.mark.parametrize("wave", [torch.zeros(0), torch.tensor([0.0, torch.nan]), torch.zeros(1, 2, 3)])
def test_bad_sound_is_told(model, wave):
    with pytest.raises(InputError):
        model.embed_audio([wave], 16000)


def test_no_sound_and_no_rate_are_told(model):
    with pytest.raises(InputError, match="no sound"):
        model.embed_audio([], 16000)
    with pytest.raises(InputError, match="no sound"):
        model.embed_files([])
    with pytest.raises(InputError, match="0 Hz"):
        model.embed_audio([noise(1)], 0)


def test_a_single_sample_of_a_higher_rate_has_unit_length_too(model):
    assert model.embed_audio([noise(1)[:1]], 96000).norm().item() == pytest.approx(1)


@pytest.mark.parametrize("texts", [[], [""], ["piano", " "], ["音楽"]])
def test_bad_text_is_told(model, texts):
    with pytest.raises(InputError):
        model.embed_text(texts)


def test_another_model_is_told(tmp_path, model):
    save_mulan(tmp_path, model)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"family": "mulan"', '"family": "text"'))
    with pytest.raises(WeightsError, match="not MuLan"):
        load_mulan(tmp_path)
    (tmp_path / "config.json").write_text(config.replace('"patch"', '"stitch"').replace('"stem"', '"root"'))
    with pytest.raises(WeightsError, match="does not describe a MuLan"):
        load_mulan(tmp_path)
