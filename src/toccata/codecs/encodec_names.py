"""How others lay EnCodec's weights out, in toccata's names: transformers and audiocraft (also the first release's)."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from toccata.errors import WeightsError

_SAME = {
    "sample_rate": "sampling_rate",
    "audio_channels": "audio_channels",
    "channels": "num_filters",
    "latent": "hidden_size",
    "vocabulary": "codebook_size",
    "residual_units": "num_residual_layers",
    "lstm_layers": "num_lstm_layers",
    "shortcut": "use_conv_shortcut",
    "causal": "use_causal_conv",
    "padding": "pad_mode",
    "normalise": "normalize",
    "chunk_seconds": "chunk_length_s",
}
# What every published codec has alike, and toccata has no setting for.
_FIXED = {
    "kernel_size": 7,
    "last_kernel_size": 7,
    "residual_kernel_size": 3,
    "dilation_growth_rate": 2,
    "compress": 2,
    "trim_right_ratio": 1.0,
}
_TRANSFORMERS = {".block.": ".layers."}
_AUDIOCRAFT = {
    "coder.model.": "coder.layers.",
    ".block.": ".layers.",
    ".conv.conv.": ".conv.",
    ".conv.norm.": ".norm.",
    ".convtr.convtr.": ".conv.",
    ".convtr.norm.": ".norm.",
}
_CODEBOOK = re.compile(r"quantizer\.(?:vq\.)?layers\.(\d+)\._?codebook\.(\w+)")


def config_of_transformers(config: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """The fields of ``EnCodecConfig`` from a transformers configuration."""
    if config.get("model_type") != "encodec":
        raise WeightsError(f"{source} holds a {config.get('model_type')} model, not an EnCodec codec")
    for name, value in _FIXED.items():
        if config.get(name, value) != value:
            raise WeightsError(f"{source} has an EnCodec with {name} {config[name]}; toccata knows {value} only")
    try:
        fields = {ours: config[theirs] for ours, theirs in _SAME.items() if theirs in config}
        strides = tuple(reversed(config["upsampling_ratios"]))
        level = math.ceil(config["sampling_rate"] / math.prod(strides)) * math.ceil(math.log2(config["codebook_size"]))
        fields["levels"] = int(1000 * config["target_bandwidths"][-1] // level)
        fields["norm"] = {"weight_norm": "weight", "time_group_norm": "group"}[config["norm_type"]]
        return {**fields, "strides": strides, "overlap": config.get("overlap") or 0.0}
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise WeightsError(f"{source / 'config.json'} does not describe an EnCodec ({error}); fetch it again") from None


def of_transformers(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those of ``tensors`` whose names begin with ``prefix``, in toccata's names."""
    own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return _renamed(own, _TRANSFORMERS)


def of_audiocraft(state: Mapping[str, Any], source: Path) -> dict[str, Tensor]:
    """The tensors of ``state["best_state"]``, in toccata's names."""
    if "pretrained" in state:
        raise WeightsError(f"{source} holds no weights, only the name {state['pretrained']!r}; load that model instead")
    best = state.get("best_state")
    best = best.get("model", best) if isinstance(best, Mapping) else None
    if not isinstance(best, Mapping) or not all(isinstance(tensor, Tensor) for tensor in best.values()):
        raise WeightsError(f"{source} is not audiocraft's compression_state_dict: it has no tensors in 'best_state'")
    return _renamed(best, _AUDIOCRAFT)


def _renamed(tensors: Mapping[str, Tensor], words: Mapping[str, str]) -> dict[str, Tensor]:
    """Names with ``words`` replaced, in order; of a codebook only its codes, not what training kept beside them."""
    renamed = {}
    for name, tensor in tensors.items():
        if found := _CODEBOOK.fullmatch(name):
            level, what = found.groups()
            if what == "embed":
                renamed[f"quantiser.levels.{level}.codes_VD"] = tensor
            elif what not in ("embed_avg", "cluster_size", "inited"):
                renamed[name] = tensor
        else:
            for theirs, ours in words.items():
                name = name.replace(theirs, ours)
            renamed[name] = tensor
    return renamed
