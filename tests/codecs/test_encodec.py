"""EnCodec: sound in parts equals the whole, lengths, levels, bad input, its files and audiocraft's."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from toccata.codecs.encodec import (
    EnCodec,
    encodec_24khz,
    encodec_32khz,
    encodec_48khz,
    encodec_from_audiocraft,
    load_encodec,
    save_encodec,
)
from toccata.errors import InputError, WeightsError
from toccata.nn.seanet import Upsample
from toccata.nn.weightnorm import fold, folded
from toccata.weights import checkpoint

PRESETS = {"24khz": encodec_24khz, "32khz": encodec_32khz, "48khz": encodec_48khz}


def randomised(preset):
    torch.manual_seed(0)
    codec = EnCodec(replace(preset(), channels=4, latent=8, levels=4, vocabulary=16)).eval()
    for level in codec.quantiser.levels:
        torch.nn.init.normal_(level.get_buffer("codes_VD"))
    return codec


@pytest.fixture(scope="module", params=PRESETS)
def codec(request):
    return randomised(PRESETS[request.param])


@pytest.fixture(scope="module")
def mono():
    return randomised(encodec_32khz)


def codes_of(codec, frames, batch=1):
    return torch.randint(0, 16, (batch, 4, frames), generator=torch.Generator().manual_seed(frames))


def scales_of(codec, codes_BKT):
    """Loudnesses of the chunks; None where there are no chunks."""
    chunks = -(-codes_BKT.shape[-1] // codec.config.chunk_frames) if codec.config.chunk else 0
    return torch.linspace(0.1, 0.5, chunks)[None].expand(len(codes_BKT), -1) if chunks else None


@pytest.mark.parametrize(
    "sizes", [[331], [1] * 25, [7, 0, 1, 3, 30, 2, 0, 1], [149, 2, 150, 150, 7], [3, 2], [1]], ids=str
)
def test_sound_decoded_in_parts_is_the_whole_sound(codec, sizes):
    codes_BKT = codes_of(codec, sum(sizes), batch=2)
    scales_BP = scales_of(codec, codes_BKT)
    parts = list(codec.decode_stream(iter(codes_BKT.split(sizes, dim=-1)), scales_BP))
    whole = codec.decode(codes_BKT, scales_BP)
    assert torch.allclose(torch.cat(parts, dim=-1), whole, atol=1e-5)
    assert float(whole.std()) > 1e-3


def test_a_stream_gives_sound_early_and_keeps_little(mono):
    """After each part all is out but what looks ahead, and no part is read together with the distant past."""
    given, lengths = 0, []
    mono_decoder = mono.decoder.layers[-1]
    handle = mono_decoder.register_forward_hook(lambda module, inputs, output: lengths.append(output.shape[-1]))
    for frames, wave in zip(
        itertools.count(20, 20), mono.decode_stream(codes_of(mono, 400).split(20, -1)), strict=False
    ):
        given += wave.shape[-1]
        assert given >= (min(frames, 400) - 5) * mono.config.stride
    handle.remove()
    assert given == 400 * mono.config.stride
    assert max(lengths) <= 30 * mono.config.stride


@pytest.mark.parametrize("samples", [1, 479, 48000, 48001, 48400, 48481, 95520, 95521, 100_000])
def test_wave_in_wave_out_of_the_same_length(codec, samples):
    wave_BCN = torch.randn(1, codec.config.audio_channels, samples) * 0.1
    assert codec.reconstruct(wave_BCN, levels=2).shape == wave_BCN.shape
    frames, stride = codec.encode(wave_BCN).shape[-1], codec.config.stride
    if codec.config.chunk:
        assert frames * stride >= samples
    else:
        assert frames == -(-samples // stride)


def test_loudness_scales_the_stereo_codecs_sound_and_nothing_else():
    codec = randomised(encodec_48khz)
    wave_BCN = torch.randn(1, 2, 60_000) * 0.01
    assert torch.equal(codec.encode(wave_BCN), codec.encode(wave_BCN * 8))
    assert torch.allclose(codec.scales(wave_BCN * 8), codec.scales(wave_BCN) * 8)
    assert torch.allclose(codec.reconstruct(wave_BCN * 8), codec.reconstruct(wave_BCN) * 8, atol=1e-5)


@pytest.mark.parametrize(("name", "lookahead"), [("24khz", 0), ("32khz", 1)])
def test_only_the_causal_codec_hears_nothing_ahead(name, lookahead):
    codec = randomised(PRESETS[name])
    wave = torch.randn(1, 1, 24000) * 0.1
    later = wave.clone()
    later[..., 12800:] = 0.0
    same = 12800 // codec.config.stride
    before, after = codec.latents(wave), codec.latents(later)
    assert torch.allclose(before[:, :same], after[:, :same], atol=1e-5) == (lookahead == 0)
    codes = codes_of(codec, 40)
    other = codes.clone()
    other[..., 20:] = 0
    until = 20 * codec.config.stride
    assert torch.allclose(codec.decode(codes)[..., :until], codec.decode(other)[..., :until], atol=1e-5) == (
        lookahead == 0
    )


def test_the_published_sizes_are_the_papers_rates():
    rates = {name: (config().frame_rate, config().levels, config().vocabulary) for name, config in PRESETS.items()}
    assert rates == {"24khz": (75, 32, 1024), "32khz": (50, 4, 2048), "48khz": (150, 16, 1024)}
    for config in (encodec_24khz(), encodec_48khz()):
        assert config.levels * config.level_bandwidth == pytest.approx(24)
    assert (encodec_48khz().chunk, encodec_48khz().chunk_hop, encodec_48khz().chunk_frames) == (48000, 47520, 150)


def test_a_bandwidth_is_as_many_levels_as_fit(mono):
    wave = torch.randn(1, 1, 6400) * 0.1
    level = mono.config.level_bandwidth
    for bandwidth, levels in ((level, 1), (2.5 * level, 2), (4 * level, 4)):
        assert torch.equal(mono.encode(wave, bandwidth=bandwidth), mono.encode(wave, levels=levels))
    for wrong in (0.9 * level, 4.1 * level, float("nan")):
        with pytest.raises(InputError, match="bandwidth is"):
            mono.encode(wave, bandwidth=wrong)
    with pytest.raises(InputError, match="in place of levels"):
        mono.encode(wave, levels=2, bandwidth=level)


def test_impossible_input_is_refused(mono):
    stereo = randomised(encodec_48khz)
    for codec, wave in ((mono, torch.zeros(1, 2, 960)), (stereo, torch.zeros(1, 1, 960)), (mono, torch.zeros(1, 1, 0))):
        with pytest.raises(InputError, match="the codec takes"):
            codec.encode(wave)
    with pytest.raises(InputError, match="1 to 4 levels"):
        mono.encode(torch.zeros(1, 1, 960), levels=5)
    with pytest.raises(InputError, match="1 to 4 levels"):
        mono.decode(torch.zeros(1, 5, 10, dtype=torch.int64))
    with pytest.raises(InputError, match=r"codec\.scales"):
        stereo.decode(codes_of(stereo, 160))
    with pytest.raises(InputError, match="more chunks than the 1"):
        stereo.decode(codes_of(stereo, 160), torch.ones(1, 1))
    with pytest.raises(InputError, match="chunk_seconds"):
        EnCodec(replace(encodec_48khz(), chunk_seconds=None))


def test_bfloat16_decodes_nearly_the_same(mono):
    codes_BKT = codes_of(mono, 30)
    half = randomised(encodec_32khz)
    half.decoder.bfloat16()
    wave, rounded = mono.decode(codes_BKT), half.decode(codes_BKT)
    assert rounded.dtype == torch.float32
    assert float((wave - rounded).square().mean()) < 1e-3 * float(wave.var())


def test_weights_survive_the_disk_exactly_with_weight_norm_folded(codec, tmp_path):
    save_encodec(tmp_path, codec, steps=3)
    assert checkpoint.read_config(tmp_path)["steps"] == 3
    again = load_encodec(tmp_path)
    assert again.config == codec.config
    codes_BKT = codes_of(codec, 20)
    scales_BP = scales_of(codec, codes_BKT)
    assert torch.allclose(codec.decode(codes_BKT, scales_BP), again.decode(codes_BKT, scales_BP), atol=1e-5)
    assert not [name for name in again.state_dict() if "parametrizations" in name]
    save_encodec(tmp_path / "again", again)
    assert torch.equal(
        load_encodec(tmp_path / "again").decode(codes_BKT, scales_BP), again.decode(codes_BKT, scales_BP)
    )


def test_foreign_truncated_and_missing_weights_are_named(mono, tmp_path):
    with pytest.raises(WeightsError, match=r"config\.json is missing"):
        load_encodec(tmp_path)
    checkpoint.save(tmp_path / "other", {"family": "musicgen"}, {"x": torch.zeros(1)})
    with pytest.raises(WeightsError, match="not an EnCodec"):
        load_encodec(tmp_path / "other")
    save_encodec(tmp_path / "cut", mono)
    file = next((tmp_path / "cut").glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="damaged or incomplete"):
        load_encodec(tmp_path / "cut")


def audiocraft_names(codec):
    """``codec``'s weights as audiocraft names them: weight norm apart, transposed convolutions as torch has them."""
    plain = randomised(encodec_32khz)
    plain.load_state_dict(codec.state_dict())
    fold(plain)
    ours, theirs = plain.state_dict(), {}
    upsamples = {f"decoder.{n}": m for n, m in plain.decoder.named_modules() if isinstance(m, Upsample)}
    for name, module in upsamples.items():
        pair = ours.pop(f"{name}.pair.weight")
        rows = pair.view(module.stride, -1, 2, pair.shape[1] // 2)  # place, output, before or this, input
        ours[f"{name}.convtr.weight"] = torch.cat([rows[:, :, 1], rows[:, :, 0]]).permute(2, 1, 0).contiguous()
        ours[f"{name}.convtr.bias"] = ours.pop(f"{name}.bias")
    for name, tensor in ours.items():
        if name.startswith("quantiser."):
            stem = f"quantizer.vq.layers.{name.split('.')[2]}._codebook."
            theirs |= {stem + "embed": tensor, stem + "embed_avg": tensor, stem + "cluster_size": tensor[:, 0]}
            continue
        name = name.replace("coder.layers.", "coder.model.").replace(".layers.", ".block.")
        name = name.replace(".conv.", ".conv.conv.").replace(".convtr.", ".convtr.convtr.")
        if name.endswith("conv.weight") or name.endswith("convtr.weight"):
            theirs[name + "_g"] = tensor.flatten(1).norm(dim=1)[:, None, None]
            theirs[name + "_v"] = tensor * 1.7
        else:
            theirs[name] = tensor
    return theirs


@pytest.mark.parametrize("packed", [lambda best: best, lambda best: {"model": best}], ids=["exported", "training's"])
def test_audiocrafts_weights_become_ours(mono, packed):
    names = audiocraft_names(mono)
    assert "decoder.model.3.convtr.convtr.weight_g" in names
    assert "encoder.model.1.block.1.conv.conv.weight_v" in names
    loaded = encodec_from_audiocraft({"best_state": packed(names)}, Path("state.bin"), mono.config)
    codes_BKT = codes_of(mono, 20)
    assert torch.allclose(loaded.decode(codes_BKT), mono.decode(codes_BKT), atol=1e-5)
    wave = torch.randn(1, 1, 3200) * 0.1
    assert torch.allclose(loaded.latents(wave), mono.latents(wave), atol=1e-5)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"pretrained": "facebook/encodec_32khz"}, "holds no weights, only the name"),
        ({"weights": 1}, "no tensors in 'best_state'"),
        ({"best_state": {"a": torch.zeros(1)}}, "another model"),
        ({"best_state": {"a": "b"}}, "no tensors in 'best_state'"),
    ],
)
def test_what_is_not_audiocrafts_is_refused(mono, state, message):
    with pytest.raises(WeightsError, match=message):
        encodec_from_audiocraft(state, Path("state.bin"), mono.config)


def test_folding_weight_norm_changes_nothing(mono):
    plain = randomised(encodec_32khz)
    fold(plain)
    state = folded(mono.state_dict())
    assert state.keys() == plain.state_dict().keys()
    assert all(torch.allclose(state[name], tensor, atol=1e-5) for name, tensor in plain.state_dict().items())
