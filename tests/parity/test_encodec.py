"""EnCodec against transformers' on the same random weights, saved and read as a checkpoint folder."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from toccata.codecs.encodec import (
    EnCodec,
    encodec_24khz,
    encodec_32khz,
    encodec_48khz,
    encodec_from_transformers,
    load_encodec,
)
from toccata.errors import WeightsError

transformers = pytest.importorskip("transformers")
PUBLISHED = {
    "24khz": {},
    "32khz": {
        "sampling_rate": 32000, "num_filters": 64, "upsampling_ratios": [8, 5, 4, 4], "codebook_size": 2048,
        "target_bandwidths": [2.2], "use_causal_conv": False, "use_conv_shortcut": False,
    },
    "48khz": {
        "sampling_rate": 48000, "audio_channels": 2, "target_bandwidths": [3.0, 6.0, 12.0, 24.0], "normalize": True,
        "use_causal_conv": False, "norm_type": "time_group_norm", "chunk_length_s": 1.0, "overlap": 0.01,
    },
}  # fmt: skip
PRESETS = {"24khz": encodec_24khz, "32khz": encodec_32khz, "48khz": encodec_48khz}
SMALL = {"num_filters": 4, "hidden_size": 8, "codebook_size": 16}
# Four levels each: 4 bits at 1000 Hz. A chunk of the stereo one is 480 samples, the next one starts after 360.
TINY = {
    "mono causal": {"upsampling_ratios": [4, 2], "sampling_rate": 8000, "target_bandwidths": [4.0, 16.0]},
    "mono": {"upsampling_ratios": [5, 3], "sampling_rate": 15000, "target_bandwidths": [16.0], "num_residual_layers": 2,
             "use_causal_conv": False, "use_conv_shortcut": False},
    "stereo": {**PUBLISHED["48khz"], "upsampling_ratios": [4, 2], "sampling_rate": 8000, "chunk_length_s": 0.06,
               "overlap": 0.25, "target_bandwidths": [16.0]},
}  # fmt: skip


def random_weights(settings):
    torch.manual_seed(0)
    theirs = transformers.EncodecModel(transformers.EncodecConfig(**settings)).eval()
    for name, tensor in theirs.state_dict().items():
        if name.endswith("codebook.embed"):
            torch.nn.init.normal_(tensor, std=0.1)
        elif name.endswith("original0"):
            tensor.mul_(torch.rand_like(tensor) + 0.5)  # so that length and direction differ
        elif "lstm" in name:
            tensor.mul_(3)
    return theirs


@pytest.fixture(scope="module", params=TINY)
def pair(request, tmp_path_factory):
    theirs, folder = random_weights(SMALL | TINY[request.param]), tmp_path_factory.mktemp("codec")
    theirs.save_pretrained(folder)
    return theirs, load_encodec(folder)


def wave_of(codec, samples):
    return torch.randn(2, codec.config.audio_channels, samples, generator=torch.Generator().manual_seed(1)) * 0.3


@pytest.mark.parametrize("samples", [1, 17, 1700, 3100])
def test_codes_are_identical_and_their_sound_agrees(pair, samples):
    theirs, ours = pair
    wave_BCN = wave_of(ours, samples)
    with torch.no_grad():
        encoded = theirs.encode(wave_BCN, bandwidth=16.0)
        last = encoded.last_frame_pad_length
        decoded = theirs.decode(encoded.audio_codes, encoded.audio_scales, last_frame_pad_length=last)
    frames = encoded.audio_codes.shape[-1]
    expected_BKT = torch.cat([*encoded.audio_codes[:-1], encoded.audio_codes[-1][..., : frames - last]], dim=-1)
    codes_BKT, scales_BP = ours.encode(wave_BCN), ours.scales(wave_BCN)
    assert torch.equal(codes_BKT, expected_BKT)
    assert len(codes_BKT.unique()) > 8 or samples < 100
    if ours.config.normalise:
        assert torch.allclose(scales_BP, torch.cat(encoded.audio_scales, dim=1))
    wave = ours.decode(codes_BKT, scales_BP)
    assert wave.shape == decoded.audio_values.shape
    assert torch.allclose(wave, decoded.audio_values.clamp(-1, 1), atol=1e-4)


def test_only_a_last_chunk_without_a_sample_of_its_own_is_left_out():
    """The published code encodes it too, and fades its sound into the end of the chunk before."""
    theirs = random_weights(SMALL | TINY["stereo"])
    ours = encodec_from_transformers(theirs.config.to_dict(), theirs.state_dict(), Path("memory"))
    wave_BCN = wave_of(ours, 3 * ours.config.chunk_hop + ours.config.chunk)
    with torch.no_grad():
        encoded = theirs.encode(wave_BCN, bandwidth=16.0)
        expected = theirs.decode(
            encoded.audio_codes, encoded.audio_scales, last_frame_pad_length=encoded.last_frame_pad_length
        ).audio_values
    codes_BKT, wave = ours.encode(wave_BCN), ours.reconstruct(wave_BCN)
    assert len(encoded.audio_codes) == 5
    assert torch.equal(codes_BKT, torch.cat([*encoded.audio_codes[:4]], dim=-1))
    until = 4 * ours.config.chunk_hop
    assert torch.allclose(wave[..., :until], expected[..., :until].clamp(-1, 1), atol=1e-4)


def test_a_bandwidth_chooses_the_same_levels(pair):
    theirs, ours = pair
    bandwidth, wave_BCN = theirs.config.target_bandwidths[0], wave_of(ours, 480)
    with torch.no_grad():
        expected = theirs.encode(wave_BCN, bandwidth=bandwidth).audio_codes[0]
    assert torch.equal(ours.encode(wave_BCN, bandwidth=bandwidth)[..., : expected.shape[-1]], expected)


def older_names(tensors):
    names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    for new, old in names.items():
        tensors = {name.replace(new, old): tensor for name, tensor in tensors.items()}
    return tensors


def test_the_older_names_of_weight_norm_are_read_too(pair, tmp_path):
    theirs, ours = pair
    theirs.save_pretrained(tmp_path)
    tensors = older_names(load_file(tmp_path / "model.safetensors"))
    assert any(name.endswith("weight_g") for name in tensors) == (ours.config.norm == "weight")
    save_file(tensors, tmp_path / "model.safetensors")
    again = load_encodec(tmp_path)
    wave_BCN = wave_of(ours, 700)
    assert torch.equal(again.encode(wave_BCN), ours.encode(wave_BCN))


def test_the_codec_inside_a_musicgen_is_found_by_its_prefix(pair):
    theirs, ours = pair
    whole = {f"audio_encoder.{name}": tensor for name, tensor in theirs.state_dict().items()}
    whole["decoder.embed.weight"] = torch.zeros(3)
    again = encodec_from_transformers(theirs.config.to_dict(), whole, Path("musicgen"), prefix="audio_encoder.")
    codes_BKT = torch.randint(0, 16, (1, 4, 50))
    scales_BP = torch.ones(1, 1)
    assert torch.equal(again.decode(codes_BKT, scales_BP), ours.decode(codes_BKT, scales_BP))


def test_shards_with_an_index_are_read(pair, tmp_path):
    theirs, ours = pair
    theirs.save_pretrained(tmp_path, max_shard_size="5KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    codes_BKT, scales_BP = torch.randint(0, 16, (1, 4, 50)), torch.ones(1, 1)
    assert torch.equal(load_encodec(tmp_path).decode(codes_BKT, scales_BP), ours.decode(codes_BKT, scales_BP))


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_configuration_is_its_preset(name, tmp_path):
    with torch.device("meta"):
        theirs = transformers.EncodecModel(transformers.EncodecConfig(**PUBLISHED[name]))
        ours = EnCodec(PRESETS[name]())
    count = sum(parameter.numel() for parameter in theirs.parameters())
    gains = sum(p.numel() for n, p in ours.named_parameters() if n.endswith("original0"))
    theirs_gains = sum(p.numel() for n, p in theirs.named_parameters() if n.endswith("original0"))
    assert sum(p.numel() for p in ours.parameters()) - gains == count - theirs_gains
    theirs.config.save_pretrained(tmp_path)
    small = {"channels": 2, "latent": 4}
    config = json.loads((tmp_path / "config.json").read_text()) | {
        "num_filters": 2,
        "hidden_size": 4,
        "codebook_dim": 4,
    }
    tiny = transformers.EncodecModel(transformers.EncodecConfig(**config))
    loaded = encodec_from_transformers(config, tiny.state_dict(), tmp_path)
    assert loaded.config == replace(PRESETS[name](), **small)


@pytest.mark.slow
def test_the_full_size_32khz_codec_loads_and_agrees(tmp_path):
    theirs = random_weights(PUBLISHED["32khz"])
    theirs.save_pretrained(tmp_path)
    ours = load_encodec(tmp_path)
    wave_BCN = torch.randn(1, 1, 16000) * 0.1
    with torch.no_grad():
        codes = theirs.encode(wave_BCN, bandwidth=2.2).audio_codes
        expected = theirs.decode(codes, [None]).audio_values
    assert torch.equal(ours.encode(wave_BCN), codes[0])
    assert torch.allclose(ours.decode(codes[0]), expected.clamp(-1, 1), atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel_size": 5}, "kernel_size 5; toccata knows 7 only"),
        ({"norm_type": "spectral"}, "does not describe an EnCodec"),
        ({"model_type": "dac"}, "holds a dac model"),
        ({"num_filters": 8}, "another shape for"),
        ({"target_bandwidths": [20.0]}, "lack 'quantiser.levels.4.codes_VD'"),
        ({"use_conv_shortcut": False}, "have the unknown 'decoder.layers.*shortcut"),
    ],
)
def test_other_architectures_are_refused_in_a_sentence(change, message, tmp_path):
    random_weights(SMALL | TINY["mono causal"]).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(WeightsError, match=message):
        load_encodec(tmp_path)


def test_truncated_and_missing_weights_are_named(tmp_path):
    random_weights(SMALL | TINY["mono causal"]).save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(WeightsError, match=r"model\.safetensors is damaged or incomplete"):
        load_encodec(tmp_path)
    file.unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(WeightsError, match="run toccata models convert"):
        load_encodec(tmp_path)
