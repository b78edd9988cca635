"""Published Stable Audio weights under our names: as diffusers and as stable-audio-tools lay them out."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from toccata.errors import WeightsError
from toccata.models.stable_audio.config import START, TOTAL, DiffusionSampling, StableAudioConfig, few_steps
from toccata.nn.dit import DiTSizes

Tensors = Mapping[str, Tensor]
Take = Callable[[str], Tensor]
TEXT = "conditioner.conditioners.prompt.proj_out.weight"


def config_of_diffusers(
    dit: Mapping[str, Any], projection: Mapping[str, Any], scheduler: Mapping[str, Any], tokens: int, source: Path
) -> StableAudioConfig:
    """Ours, from the configurations of diffusers' transformer, projection model and scheduler; ``tokens`` a text."""
    try:
        each = int(dit["attention_head_dim"])
        sizes = DiTSizes(
            latent=int(dit["in_channels"]),
            width=each * int(dit["num_attention_heads"]),
            layers=int(dit["num_layers"]),
            heads=int(dit["num_attention_heads"]),
            tokens=int(dit["cross_attention_input_dim"]),
            context=int(dit["cross_attention_dim"]),
            whole=int(dit["global_states_input_dim"]),
        )
        sampling = DiffusionSampling(
            schedule=str(scheduler.get("sigma_schedule", "exponential")),
            low=float(scheduler["sigma_min"]),
            high=float(scheduler["sigma_max"]),
        )
        known = projection["min_value"] == 0 and scheduler["prediction_type"] == "v_prediction"
        if not known or each * int(dit["num_key_value_attention_heads"]) != sizes.context:
            raise WeightsError(f"{source} describes a Stable Audio that no one published; fetch it again")
        return StableAudioConfig(
            dit=sizes,
            window=int(dit["sample_size"]),
            text_width=int(projection["text_encoder_dim"]),
            text_tokens=tokens,
            longest=float(projection["max_value"]),
            sampling=sampling,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{source} does not describe a Stable Audio of diffusers ({error} is missing)") from None


def of_diffusers(dit: Tensors, projection: Tensors, config: StableAudioConfig, source: Path) -> dict[str, Tensor]:
    """Weights of diffusers' ``StableAudioDiTModel`` and ``StableAudioProjectionModel``."""
    names = {
        "time_proj.weight": "time.weight", "timestep_proj": "time_in", "global_proj": "whole_in",
        "cross_attention_proj": "tokens_in", "proj_in": "latent_in", "proj_out": "latent_out",
        "preprocess_conv": "before", "postprocess_conv": "after",
    }  # fmt: skip

    def block(i: int, take: Take) -> dict[str, Tensor]:
        old = f"transformer_blocks.{i}."
        found = {
            "attention.qkv.weight": torch.cat([take(f"{old}attn1.to_{x}.weight") for x in "qkv"]),
            "attention.out.weight": take(f"{old}attn1.to_out.0.weight"),
            "cross.query.weight": take(f"{old}attn2.to_q.weight"),
            "cross.kv.weight": torch.cat([take(f"{old}attn2.to_{x}.weight") for x in "kv"]),
            "cross.out.weight": take(f"{old}attn2.to_out.0.weight"),
        }
        parts = {"norm1": "norm_self", "norm2": "norm_cross", "norm3": "norm_inner",
                 "ff.net.0.proj": "up", "ff.net.2": "down"}  # fmt: skip
        return found | {
            f"{ours}.{p}": take(f"{old}{was}.{p}") for was, ours in parts.items() for p in ("weight", "bias")
        }

    def number(name: str, take: Take) -> dict[str, Tensor]:
        old = f"{ {START: 'start', TOTAL: 'end'}[name] }_number_conditioner.time_positional_embedding."
        return {
            "frequencies": take(f"{old}0.weights"),
            "out.weight": take(f"{old}1.weight"),
            "out.bias": take(f"{old}1.bias"),
        }

    left = {**dit, **{f"projection.{name}": tensor for name, tensor in projection.items()}}
    return _renamed(left, config, source, names, block, number, "projection.", "text_projection")


def config_of_tools(settings: Mapping[str, Any], tensors: Tensors, source: Path) -> StableAudioConfig:
    """Ours, from model_config.json of stable-audio-tools; widths that it leaves out are read off the weights."""
    try:
        model, told = settings["model"], settings["model"]["diffusion"]
        inside, conditions = told["config"], {one["id"]: one for one in model["conditioning"]["configs"]}
        text, timing = conditions["prompt"], tuple(name for name in (START, TOTAL) if name in conditions)
        known = (
            told["type"] == "dit" and text["type"] == "t5" and told["cross_attention_cond_ids"] == ["prompt", *timing]
            and told["global_cond_ids"] == list(timing)
            and inside.get("transformer_type") == "continuous_transformer" and inside.get("patch_size", 1) == 1
            and all(conditions[name]["type"] == "number" for name in timing)
            and not any(conditions[name]["config"]["min_val"] for name in timing)
        )  # fmt: skip
        norms, objective = inside.get("attn_kwargs", {}).get("qk_norm", "none"), told.get("diffusion_objective", "v")
        if not known or norms not in ("none", "ln") or objective not in ("v", "rectified_flow", "rf_denoiser"):
            raise WeightsError(
                f"{source} describes a Stable Audio that toccata cannot read; it knows Open 1.0 and small"
            )
        window = int(settings["sample_size"]) // int(model["pretransform"]["config"]["downsampling_ratio"])
        return StableAudioConfig(
            dit=DiTSizes(
                latent=int(inside["io_channels"]),
                width=int(inside["embed_dim"]),
                layers=int(inside["depth"]),
                heads=int(inside["num_heads"]),
                tokens=int(inside["cond_token_dim"]),
                context=tensors["model.model.to_cond_embed.0.weight"].shape[0],
                whole=int(inside["global_cond_dim"]),
                normed=norms == "ln",
                adaptive=inside.get("global_cond_type", "prepend") == "adaLN",
            ),
            objective="v" if objective == "v" else "rectified-flow",
            window=window,
            text_width=tensors[TEXT].shape[1] if TEXT in tensors else int(inside["cond_token_dim"]),
            text_tokens=int(text["config"].get("max_length", 128)),
            timing=timing,
            longest=float(conditions[TOTAL]["config"]["max_val"]),
            sampling=_sampling_of_tools(objective),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{source} does not describe a Stable Audio ({error} is missing); fetch it again") from None


def _sampling_of_tools(objective: str) -> DiffusionSampling:
    if objective == "rf_denoiser":
        return few_steps()
    return (
        DiffusionSampling() if objective == "v" else DiffusionSampling("euler", "even-log-snr", steps=50, guidance=6.0)
    )


def of_tools(tensors: Tensors, config: StableAudioConfig, source: Path) -> dict[str, Tensor]:
    """Weights of stable-audio-tools' ``ConditionedDiffusionModelWrapper`` but for its pretransform."""
    prefix = "model.model."
    names = {
        "timestep_features.weight": "time.weight", "to_timestep_embed": "time_in", "to_global_embed": "whole_in",
        "to_cond_embed": "tokens_in", "transformer.project_in": "latent_in", "transformer.project_out": "latent_out",
        "transformer.global_cond_embedder": "told", "preprocess_conv": "before", "postprocess_conv": "after",
    }  # fmt: skip

    def block(i: int, take: Take) -> dict[str, Tensor]:
        old = f"{prefix}transformer.layers.{i}."
        parts = {
            "self_attn.to_qkv.weight": "attention.qkv.weight", "self_attn.to_out.weight": "attention.out.weight",
            "cross_attn.to_q.weight": "cross.query.weight", "cross_attn.to_kv.weight": "cross.kv.weight",
            "cross_attn.to_out.weight": "cross.out.weight",
        }  # fmt: skip
        for was, ours in {"ff.ff.0.proj": "up", "ff.ff.2": "down"}.items():
            parts |= {f"{was}.{p}": f"{ours}.{p}" for p in ("weight", "bias")}
        for was, ours in {"pre_norm": "norm_self", "cross_attend_norm": "norm_cross", "ff_norm": "norm_inner"}.items():
            parts |= {f"{was}.gamma": f"{ours}.weight", f"{was}.beta": f"{ours}.bias"}
        if config.dit.normed:
            for was, ours in {"self_attn": "attention", "cross_attn": "cross"}.items():
                for way, name in {"q": "query", "k": "key"}.items():
                    parts |= {f"{was}.{way}_norm.{p}": f"{ours}.norm_{name}.{p}" for p in ("weight", "bias")}
        found = {ours: take(old + was) for was, ours in parts.items()}
        if config.dit.adaptive:
            found["bias_6W"] = take(f"{old}to_scale_shift_gate").view(6, -1)
        return found

    def number(name: str, take: Take) -> dict[str, Tensor]:
        old = f"conditioner.conditioners.{name}.embedder.embedding."
        parts = {"frequencies": "0.weights", "out.weight": "1.weight", "out.bias": "1.bias"}
        return {ours: take(old + was) for ours, was in parts.items()}

    derived = ("rotary_pos_emb.inv_freq",)
    left = {
        name: t for name, t in tensors.items() if not name.endswith(derived) and not name.startswith("pretransform.")
    }
    renamed = {prefix + was: ours for was, ours in names.items()}
    return _renamed(left, config, source, renamed, block, number, "conditioner.", "conditioners.prompt.proj_out")


def _renamed(
    tensors: Tensors,
    config: StableAudioConfig,
    source: Path,
    names: Mapping[str, str],
    block: Callable[[int, Take], dict[str, Tensor]],
    number: Callable[[str, Take], dict[str, Tensor]],
    conditions: str,
    text: str,
) -> dict[str, Tensor]:
    """Every tensor under our names; what nobody took keeps its own, to be told.

    ``conditions`` is the prefix of what belongs to the conditions, in which ``text`` projects the text.
    """
    left = dict(tensors)

    def take(name: str) -> Tensor:
        if name not in left:
            raise WeightsError(f"the weights in {source} are of another model: they lack {name!r}")
        return left.pop(name)

    state = {}
    for i in range(config.dit.layers):
        state |= {f"dit.blocks.{i}.{name}": tensor for name, tensor in block(i, take).items()}
    behind = conditions if any(name.startswith(f"{conditions}start") for name in left) else ""
    for name in config.timing:
        found = number(name, lambda was: take(f"{behind}{was}"))
        state |= {f"timing.{name}.{part}": tensor for part, tensor in found.items()}
    for name in [name for name in left if name.startswith(f"{conditions}{text}.")]:
        state[f"text_in.{name.rpartition('.')[2]}"] = left.pop(name)
    for was, ours in names.items():
        for name in [name for name in left if name == was or name.startswith(f"{was}.")]:
            state[f"dit.{ours}{name.removeprefix(was)}"] = left.pop(name)
    return {name: _plain(name, tensor) for name, tensor in (state | left).items()}


def _plain(name: str, tensor: Tensor) -> Tensor:
    """Convolutions of one sample as matrices, a column of frequencies as a vector."""
    if name in ("dit.before.weight", "dit.after.weight"):
        return tensor.flatten(1)
    return tensor.flatten() if name == "dit.time.weight" else tensor
