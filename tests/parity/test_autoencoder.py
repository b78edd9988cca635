"""Stable Audio's autoencoder against diffusers' on the same random weights, saved and read as a folder."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from toccata.codecs.autoencoder import Autoencoder, AutoencoderConfig, autoencoder_of, full, load_autoencoder
from toccata.codecs.autoencoder_names import config_of_diffusers, config_of_tools, of_tools
from toccata.errors import WeightsError

diffusers = pytest.importorskip("diffusers")
pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
SIZES = {
    "small": {"encoder_hidden_size": 8, "downsampling_ratios": [2, 4, 4], "channel_multiples": [1, 2, 4],
              "decoder_channels": 8, "decoder_input_channels": 4},
    "wider decoder, mono": {"encoder_hidden_size": 6, "downsampling_ratios": [4, 8], "channel_multiples": [3, 2],
                            "decoder_channels": 10, "decoder_input_channels": 3, "audio_channels": 1},
}  # fmt: skip


def random_weights(**sizes):
    torch.manual_seed(0)
    theirs = diffusers.AutoencoderOobleck(**sizes).eval()
    for name, parameter in theirs.named_parameters():
        if name.endswith(("alpha", "beta")):
            torch.nn.init.normal_(parameter, std=0.3)
        elif name.endswith("weight_g"):
            parameter.data.mul_(torch.rand_like(parameter) * 0.5 + 0.6)
    return theirs


@pytest.fixture(scope="module", params=SIZES)
def pair(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vae")
    theirs = random_weights(**SIZES[request.param])
    theirs.save_pretrained(folder)
    return theirs, load_autoencoder(folder)


@pytest.mark.parametrize("frames", [1, 40, 140])
def test_latents_and_sound_agree(pair, frames):
    theirs, ours = pair
    torch.manual_seed(1)
    wave_BCN = torch.randn(2, ours.config.audio_channels, frames * ours.config.stride) * 0.4
    with torch.no_grad():
        expected = theirs.encode(wave_BCN).latent_dist
        sound = theirs.decode(expected.mean).sample
    mean_BTD, spread_BTD = ours.distribution(wave_BCN)
    assert torch.allclose(mean_BTD.transpose(1, 2), expected.mean, atol=1e-4)
    assert torch.allclose(spread_BTD.transpose(1, 2), expected.std, atol=1e-4)
    assert torch.allclose(ours.encode(wave_BCN).transpose(1, 2), expected.mean, atol=1e-4)
    assert torch.allclose(ours.decode(mean_BTD), sound.clamp(-1, 1), atol=1e-4)
    assert sound.std() > 1e-3


def tools_names(tensors):
    """The same weights as stable-audio-tools lays them out."""
    units = {"snake1": "layers.0", "conv1": "layers.1", "snake2": "layers.2", "conv2": "layers.3"}
    places = {
        "encoder": {"res_unit1": 0, "res_unit2": 1, "res_unit3": 2, "snake1": 3, "conv1": 4},
        "decoder": {"snake1": 0, "conv_t1": 1, "res_unit1": 2, "res_unit2": 3, "res_unit3": 4},
    }
    blocks = 1 + max(int(name.split(".")[2]) for name in tensors if ".block." in name)
    made = {}
    for name, tensor in tensors.items():
        side, part, *rest = name.split(".")
        if part == "block":
            index, inner, *rest = rest
            new = f"{side}.layers.{int(index) + 1}.layers.{places[side][inner]}"
            if inner.startswith("res_unit"):
                new, rest = f"{new}.{units[rest[0]]}", rest[1:]
        else:
            new = f"{side}.layers.{ {'conv1': 0, 'snake1': blocks + 1, 'conv2': blocks + 2}[part] }"
        made[".".join([new, *rest])] = tensor.flatten() if rest[-1] in ("alpha", "beta") else tensor
    return made


def test_stable_audio_tools_layout_is_read_too(pair):
    theirs, ours = pair
    said = theirs.config
    shape = {"c_mults": said.channel_multiples, "strides": said.downsampling_ratios, "use_snake": True}
    both = shape | {"channels": said.encoder_hidden_size}
    settings = {
        "sample_rate": 44100,
        "config": {
            "encoder": {"type": "oobleck", "config": both | {"latent_dim": 2 * said.decoder_input_channels}},
            "decoder": {"type": "oobleck", "config": both | {"channels": said.decoder_channels, "final_tanh": False}},
            "bottleneck": {"type": "vae"},
            "latent_dim": said.decoder_input_channels,
            "io_channels": said.audio_channels,
        },
    }
    again = autoencoder_of(config_of_tools(settings, Path("x")), of_tools(tools_names(theirs.state_dict())), Path("x"))
    assert again.config == ours.config
    for name, tensor in ours.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)
    for change in ({"type": "dac"}, {"type": "taae"}):
        settings["config"]["encoder"] |= change
        with pytest.raises(WeightsError, match="Oobleck with Snake only"):
            config_of_tools(settings, Path("x"))


def test_the_published_configuration_is_the_preset(tmp_path):
    with torch.device("meta"):
        theirs = diffusers.AutoencoderOobleck()
        ours = Autoencoder(full())
    assert sum(p.numel() for p in theirs.parameters()) == pytest.approx(
        sum(p.numel() for p in ours.parameters()), rel=1e-3
    )
    theirs.save_config(tmp_path)
    fields = config_of_diffusers(json.loads((tmp_path / "config.json").read_text()), tmp_path)
    assert AutoencoderConfig(**fields) == full()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"_class_name": "AutoencoderKL"}, "holds a AutoencoderKL"),
        ({"encoder_hidden_size": 16}, "it takes twice"),
        ({"downsampling_ratios": None}, "does not describe"),
        ({"downsampling_ratios": [2, 4, 8]}, "of another model"),
        ({"channel_multiples": [1, 2, 8]}, "another shape for"),
    ],
)
def test_other_autoencoders_are_refused_in_a_sentence(change, message, tmp_path):
    random_weights(**SIZES["small"]).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(WeightsError, match=message):
        load_autoencoder(tmp_path)


def test_unknown_names_are_told(tmp_path):
    random_weights(**SIZES["small"]).save_pretrained(tmp_path)
    file = tmp_path / "diffusion_pytorch_model.safetensors"
    save_file(load_file(file) | {"quant_conv.weight": torch.zeros(1)}, file)
    with pytest.raises(WeightsError, match=r"unknown 'quant_conv\.weight'"):
        load_autoencoder(tmp_path)
