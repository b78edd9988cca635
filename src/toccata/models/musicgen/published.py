"""Published MusicGen weights under our names: as transformers and as audiocraft lay them out."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from toccata.errors import WeightsError
from toccata.models.musicgen.config import MusicGenConfig

Tensors = Mapping[str, Tensor]
Layer = Callable[[int, Callable[[str], Tensor]], dict[str, Tensor]]


def config_from_transformers(config: Mapping[str, Any], source: Path) -> MusicGenConfig:
    """Ours, from the config.json of a transformers checkpoint of family musicgen or musicgen_melody.

    Raises ``WeightsError`` where something is missing or is not as any published model has it.
    """
    try:
        decoder, melody = config["decoder"], config.get("model_type") == "musicgen_melody"
        codec = config["audio_encoder"]
        stride = 1
        for ratio in codec["upsampling_ratios"]:
            stride *= int(ratio)
        made = MusicGenConfig(
            width=int(decoder["hidden_size"]),
            layers=int(decoder["num_hidden_layers"]),
            heads=int(decoder["num_attention_heads"]),
            codebooks=int(decoder["num_codebooks"]),
            pattern="stereo-delay" if decoder.get("audio_channels", 1) == 2 else "delay",
            vocabulary=int(decoder["vocab_size"]),
            frame_rate=int(codec["sampling_rate"]) / stride,
            text_width=int(config["text_encoder"]["d_model"]),
            conditioning="prefix" if melody else "cross",
            chroma_bins=int(config.get("num_chroma", 12)) if melody else 0,
            chroma_frames=int(config.get("chroma_length", 235)),
            channels=int(decoder.get("audio_channels", 1)),
        )
        inner, activation = int(decoder["ffn_dim"]), decoder["activation_function"]
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{source} does not describe a MusicGen of transformers: {error} is missing") from None
    if inner != 4 * made.width or activation != "gelu" or decoder.get("scale_embedding"):
        raise WeightsError(f"{source} describes a MusicGen that no one published (feed-forward {inner}, {activation})")
    return made


def config_from_audiocraft(tensors: Tensors, source: Path) -> MusicGenConfig:
    """Ours, from the shapes of audiocraft's ``state_dict.bin``; every published model has heads of 64."""
    try:
        width = tensors["emb.0.weight"].shape[1]
        vocabulary = tensors["linears.0.weight"].shape[0]
        text_width = tensors["condition_provider.conditioners.description.output_proj.weight"].shape[1]
    except KeyError as error:
        raise WeightsError(f"{source} holds no MusicGen of audiocraft: {error} is missing") from None
    chroma = tensors.get("condition_provider.conditioners.self_wav.output_proj.weight")
    codebooks = sum(name.startswith("emb.") for name in tensors)
    stereo = codebooks == 8
    return MusicGenConfig(
        width=width,
        layers=sum(name.endswith(".norm1.weight") for name in tensors),
        heads=max(width // 64, 1),
        codebooks=codebooks,
        pattern="stereo-delay" if stereo else "delay",
        vocabulary=vocabulary,
        text_width=text_width,
        conditioning="cross" if chroma is None else "prefix",
        chroma_bins=0 if chroma is None else chroma.shape[1],
        channels=2 if stereo else 1,
    )


def from_transformers(tensors: Tensors, config: MusicGenConfig, source: Path) -> dict[str, Tensor]:
    """Weights of ``MusicgenForConditionalGeneration`` or ``MusicgenMelodyForConditionalGeneration`` under our names."""
    prefix = "decoder.model.decoder."

    def layer(i: int, take: Callable[[str], Tensor]) -> dict[str, Tensor]:
        old = f"{prefix}layers.{i}."
        found = {"attention.qkv.weight": torch.cat([take(f"{old}self_attn.{x}_proj.weight") for x in "qkv"]),
                 "attention.out.weight": take(f"{old}self_attn.out_proj.weight"),
                 "up.weight": take(f"{old}fc1.weight"), "down.weight": take(f"{old}fc2.weight")}  # fmt: skip
        norms = {"norm_self": "self_attn_layer_norm", "norm_inner": "final_layer_norm"}
        if config.conditioning == "cross":
            found["cross.query.weight"] = take(f"{old}encoder_attn.q_proj.weight")
            found["cross.kv.weight"] = torch.cat([take(f"{old}encoder_attn.{x}_proj.weight") for x in "kv"])
            found["cross.out.weight"] = take(f"{old}encoder_attn.out_proj.weight")
            norms["norm_cross"] = "encoder_attn_layer_norm"
        return found | {f"{new}.{p}": take(f"{old}{was}.{p}") for new, was in norms.items() for p in ("weight", "bias")}

    return _renamed(
        tensors, config, source, layer,
        embedding=prefix + "embed_tokens.{}.weight", head="decoder.lm_heads.{}.weight", norm=prefix + "layer_norm",
        text="enc_to_dec_proj", chroma="audio_enc_to_dec_proj",
    )  # fmt: skip


def from_audiocraft(tensors: Tensors, config: MusicGenConfig, source: Path) -> dict[str, Tensor]:
    """Weights of audiocraft's ``state_dict.bin`` (its "best_state") under our names."""

    def layer(i: int, take: Callable[[str], Tensor]) -> dict[str, Tensor]:
        old = f"transformer.layers.{i}."
        found = {"attention.qkv.weight": take(f"{old}self_attn.in_proj_weight"),
                 "attention.out.weight": take(f"{old}self_attn.out_proj.weight"),
                 "up.weight": take(f"{old}linear1.weight"), "down.weight": take(f"{old}linear2.weight")}  # fmt: skip
        norms = {"norm_self": "norm1", "norm_inner": "norm2"}
        if config.conditioning == "cross":
            query, key, value = take(f"{old}cross_attention.in_proj_weight").chunk(3)
            found["cross.query.weight"], found["cross.kv.weight"] = query, torch.cat([key, value])
            found["cross.out.weight"] = take(f"{old}cross_attention.out_proj.weight")
            norms["norm_cross"] = "norm_cross"
        return found | {f"{new}.{p}": take(f"{old}{was}.{p}") for new, was in norms.items() for p in ("weight", "bias")}

    told = "condition_provider.conditioners."
    return _renamed(
        tensors, config, source, layer,
        embedding="emb.{}.weight", head="linears.{}.weight", norm="out_norm",
        text=told + "description.output_proj", chroma=told + "self_wav.output_proj",
    )  # fmt: skip


def _renamed(
    tensors: Tensors, config: MusicGenConfig, source: Path, layer: Layer,
    embedding: str, head: str, norm: str, text: str, chroma: str,
) -> dict[str, Tensor]:  # fmt: skip
    left = dict(tensors)

    def take(name: str) -> Tensor:
        if name not in left:
            raise WeightsError(f"the weights in {source} are of another model: they lack {name!r}")
        return left.pop(name)

    state = {f"embeddings.{k}.weight": take(embedding.format(k)) for k in range(config.codebooks)}
    for i in range(config.layers):
        state |= {f"blocks.{i}.{name}": tensor for name, tensor in layer(i, take).items()}
    state |= {f"norm.{part}": take(f"{norm}.{part}") for part in ("weight", "bias")}
    state["heads.weight"] = torch.cat([take(head.format(k)) for k in range(config.codebooks)])
    inputs = {"text_in": (text, config.text_width), "chroma_in": (chroma, config.chroma_bins)}
    for ours, (theirs, width) in inputs.items():
        if ours == "chroma_in" and not config.chroma_bins:
            continue
        if f"{theirs}.weight" not in left and width == config.width:  # transformers leaves out what would do nothing
            like = state["heads.weight"]
            state |= {f"{ours}.weight": torch.eye(width).to(like), f"{ours}.bias": torch.zeros(width).to(like)}
        else:
            state |= {f"{ours}.{part}": take(f"{theirs}.{part}") for part in ("weight", "bias")}
    return state
