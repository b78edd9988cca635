"""SoundStream: codes to sound in parts equals the whole, lengths, causality, bad input, files."""

import itertools
from dataclasses import replace

import pytest
import torch

from toccata.codecs.soundstream import SoundStream, codes_hash, full, load_soundstream, mini, save_soundstream
from toccata.errors import InputError, WeightsError
from toccata.weights import checkpoint


def randomised(config):
    torch.manual_seed(0)
    codec = SoundStream(config).eval()
    for level in codec.quantiser.levels:
        torch.nn.init.normal_(level.get_buffer("codes_VD"))
    return codec


@pytest.fixture(scope="module")
def codec():
    return randomised(replace(mini(), levels=4, vocabulary=64))


@pytest.fixture(scope="module")
def published():
    return randomised(replace(full(), channels=4, latent=16, levels=4, vocabulary=64))


@pytest.mark.parametrize("kind", ["codec", "published"])
def test_sound_decoded_in_parts_is_the_whole_sound(kind, request):
    codec = request.getfixturevalue(kind)
    codes_BKT = torch.randint(0, 64, (1, 4, 130))
    cuts = [0, 1, 20, 21, 80, 130]
    parts = codec.decode_stream(codes_BKT[..., a:b] for a, b in itertools.pairwise(cuts))
    assert torch.allclose(torch.cat(list(parts), dim=-1), codec.decode(codes_BKT), atol=1e-5)


@pytest.mark.parametrize("samples", [1, 959, 960, 24001])
@pytest.mark.parametrize("kind", ["codec", "published"])
def test_codes_cover_every_sample(kind, samples, request):
    codec = request.getfixturevalue(kind)
    stride = codec.config.stride
    codes_BKT = codec.encode(torch.randn(1, 1, samples) * 0.1)
    assert codes_BKT.shape == (1, 4, -(-samples // stride))
    assert codec.decode(codes_BKT).shape == (1, 1, codes_BKT.shape[2] * stride)


@pytest.mark.parametrize("kind", ["codec", "published"])
def test_codes_see_no_further_ahead_than_stated(kind, request):
    codec = request.getfixturevalue(kind)
    wave = torch.randn(1, 1, 24000) * 0.1
    later = wave.clone()
    later[..., 12000:] = 0.0
    lookahead = 2048 if codec.config.kind == "frames" else 0
    same = (12000 - lookahead) // codec.config.stride
    before, after = codec.latents(wave), codec.latents(later)
    assert torch.allclose(before[:, :same], after[:, :same], atol=1e-5)
    assert not torch.allclose(before, after, atol=1e-3)


def test_decoding_the_published_network_is_causal(published):
    codes = torch.randint(0, 64, (1, 4, 20))
    other = codes.clone()
    other[..., 10:] = 0
    same = 10 * published.config.stride
    assert torch.allclose(published.decode(codes)[..., :same], published.decode(other)[..., :same], atol=1e-6)


def test_the_published_size_is_the_papers_rate():
    config = full()
    assert config.frame_rate * config.levels == 600
    assert torch.tensor(config.strides).prod() == config.stride


def test_weights_survive_the_disk(codec, tmp_path):
    save_soundstream(tmp_path, codec)
    again = load_soundstream(tmp_path)
    codes_BKT = torch.randint(0, 64, (1, 4, 20))
    assert torch.allclose(codec.decode(codes_BKT), again.decode(codes_BKT), atol=0.02)
    save_soundstream(tmp_path / "again", again)
    wave = torch.randn(1, 1, 9600) * 0.1
    assert torch.equal(again.encode(wave), load_soundstream(tmp_path / "again").encode(wave))


def test_another_decoder_leaves_the_hash_of_the_codes_and_another_codebook_does_not(codec, tmp_path):
    save_soundstream(tmp_path / "one", codec)
    again = load_soundstream(tmp_path / "one")
    torch.nn.init.zeros_(again.decoder.get_parameter("lift.bias"))
    save_soundstream(tmp_path / "other decoder", again)
    again.quantiser.levels[0].get_buffer("codes_VD").mul_(2)
    save_soundstream(tmp_path / "other codes", again)
    one, same, other = (codes_hash(tmp_path / name) for name in ("one", "other decoder", "other codes"))
    assert one == same != other


def test_stereo_and_impossible_levels_are_refused(codec):
    with pytest.raises(InputError, match="mono"):
        codec.encode(torch.zeros(1, 2, 960))
    with pytest.raises(InputError, match="1 to 4 levels"):
        codec.encode(torch.zeros(1, 1, 960), levels=5)


def test_foreign_truncated_and_missing_weights_are_named(codec, tmp_path):
    with pytest.raises(WeightsError, match=r"config\.json is missing"):
        load_soundstream(tmp_path)
    checkpoint.save(tmp_path / "other", {"family": "musicgen"}, {"x": torch.zeros(1)})
    with pytest.raises(WeightsError, match="not a SoundStream"):
        load_soundstream(tmp_path / "other")
    save_soundstream(tmp_path / "cut", codec)
    file = next((tmp_path / "cut").glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="damaged or incomplete"):
        load_soundstream(tmp_path / "cut")
