"""How others lay out the weights of Stable Audio's autoencoder, in our names: diffusers and stable-audio-tools."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from toccata.errors import WeightsError

DIFFUSERS_FILE = "diffusion_pytorch_model.safetensors"
# Where the parts of a block lie in stable-audio-tools' list of its layers.
_PLACES = {
    "encoder": {"res_unit1": 0, "res_unit2": 1, "res_unit3": 2, "snake1": 3, "conv1": 4},
    "decoder": {"snake1": 0, "conv_t1": 1, "res_unit1": 2, "res_unit2": 3, "res_unit3": 4},
}
_UNIT = {"snake1": 0, "conv1": 1, "snake2": 2, "conv2": 3}
_BLOCK = 5
_INSIDE = re.compile(r"(encoder|decoder)\.layers\.(\d+)\.layers\.(\d+)\.(.+)")


def config_of_diffusers(config: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """The fields of ``AutoencoderConfig`` from the configuration of diffusers' ``AutoencoderOobleck``."""
    if config.get("_class_name") != "AutoencoderOobleck":
        raise WeightsError(f"{source} holds a {config.get('_class_name')}, not Stable Audio's autoencoder")
    try:
        channels = int(config["encoder_hidden_size"])
        fields = {
            "sample_rate": int(config["sampling_rate"]),
            "audio_channels": int(config["audio_channels"]),
            "channels": channels,
            "decoder_channels": int(config["decoder_channels"]),
            "widths": tuple(config["channel_multiples"]),
            "strides": tuple(config["downsampling_ratios"]),
            "latent": int(config["decoder_input_channels"]),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{source} does not describe an autoencoder ({error}); fetch it again") from None
    if channels != 2 * fields["latent"]:
        raise WeightsError(
            f"{source} has an encoder of width {channels} for {fields['latent']} latents; it takes twice"
        )
    return fields


def config_of_tools(config: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """The fields of ``AutoencoderConfig`` from the pretransform in model_config.json of stable-audio-tools."""
    try:
        inside, kinds = config["config"], {config["config"][side]["type"] for side in ("encoder", "decoder")}
        encoder, decoder = (inside[side]["config"] for side in ("encoder", "decoder"))
        known = kinds == {"oobleck"} and inside["bottleneck"]["type"] == "vae" and not decoder.get("final_tanh", True)
        if not (known and encoder.get("use_snake") and decoder.get("use_snake")):
            raise WeightsError(
                f"{source} has an autoencoder that toccata cannot read; it knows Oobleck with Snake only"
            )
        return {
            "sample_rate": int(config["sample_rate"]),
            "audio_channels": int(inside["io_channels"]),
            "channels": int(encoder["channels"]),
            "decoder_channels": int(decoder["channels"]),
            "widths": tuple(encoder["c_mults"]),
            "strides": tuple(encoder["strides"]),
            "latent": int(inside["latent_dim"]),
            "scale": float(config.get("scale", 1.0)),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{source} does not describe an autoencoder ({error}); fetch it again") from None


def of_tools(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of stable-audio-tools' ``AudioAutoencoder``."""
    deepest = {"encoder": 0, "decoder": 0}
    for name in tensors:
        if found := _INSIDE.fullmatch(name):
            deepest[found[1]] = max(deepest[found[1]], int(found[2]))
    renamed = {}
    for name, tensor in tensors.items():
        side, _, rest = name.partition(".layers.")
        index, _, rest = rest.partition(".")
        place = int(index) if index.isdigit() else -1
        if side not in deepest or place < 0:
            renamed[name] = tensor
            continue
        if found := _INSIDE.fullmatch(name):
            place, rest = 1 + _BLOCK * (place - 1) + int(found[3]), found[4]
        elif place > deepest[side]:
            place += (_BLOCK - 1) * deepest[side]
        renamed[f"{side}.layers.{place}.{_of_layer(rest)}"] = _flat(rest, tensor)
    return renamed


def of_diffusers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of diffusers' ``AutoencoderOobleck``: other words for the layers of stable-audio-tools."""
    blocks = 1 + max((int(name.split(".")[2]) for name in tensors if ".block." in name), default=-1)
    ends = {"conv1": 0, "snake1": blocks + 1, "conv2": blocks + 2}
    renamed = {}
    for name, tensor in tensors.items():
        side, part, *rest = name.split(".")
        if part == "block" and side in _PLACES and rest[1] in _PLACES[side]:
            index, inner, *rest = rest
            place = [int(index) + 1, _PLACES[side][inner]]
            if inner.startswith("res_unit"):
                place, rest = [*place, _UNIT[rest[0]]], rest[1:]
            renamed[".".join([side, *(f"layers.{i}" for i in place), *rest])] = tensor
        elif part in ends:
            renamed[".".join([side, f"layers.{ends[part]}", *rest])] = tensor
        else:
            renamed[name] = tensor
    return of_tools(renamed)


def _of_layer(rest: str) -> str:
    """``rest`` of a name behind its layer: a unit's layers are named alike; convolutions lie in ``conv`` here."""
    before, _, last = rest.rpartition(".")
    last = {"alpha": "alpha_C", "beta": "beta_C"}.get(last) or f"conv.{last}"
    return f"{before}.{last}" if before else last


def _flat(rest: str, tensor: Tensor) -> Tensor:
    return tensor.flatten() if rest.endswith(("alpha", "beta")) else tensor
