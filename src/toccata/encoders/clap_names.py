"""How others lay CLAP out, in toccata's names and settings: transformers, and LAION's own checkpoints (.pt)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from toccata.encoders import pann
from toccata.encoders.bert import BertConfig, bert_base, bert_names, join_qkv, roberta_base
from toccata.encoders.clap_pictures import FILLINGS, Pictures
from toccata.encoders.htsat import HTSATConfig, htsat_base, htsat_tiny
from toccata.encoders.pann import PANNConfig
from toccata.errors import WeightsError
from toccata.weights import published

# What every published tower has alike, and toccata has no setting for.
_FIXED = {
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
    "qkv_bias": True,
    "patch_embed_input_channels": 1,
    "enable_patch_layer_norm": True,
    "flatten_patch_embeds": True,
}
_SIZES = {
    "width": "patch_embeds_hidden_size",
    "depths": "depths",
    "heads": "num_attention_heads",
    "bands": "num_mel_bins",
    "side": "spec_size",
    "patch": "patch_size",
    "window": "window_size",
    "inner": "mlp_ratio",
    "fused": "enable_fusion",
    "squeeze": "aff_block_r",
}
# What to replace in a name, in turn.
_AUDIO_TRANSFORMERS = {
    ".attention.self.relative_position_bias_table": ".attention.bias",
    ".attention.output.dense.": ".attention.out.",
    ".layernorm_before.": ".norm_attention.",
    ".layernorm_after.": ".norm_inner.",
    ".intermediate.dense.": ".up.",
    ".output.dense.": ".down.",
    "batch_norm.": "norm_mel.",
}
_AUDIO_LAION = {
    ".attn.relative_position_bias_table": ".attention.bias",
    ".attn.qkv.": ".attention.qkv.",
    ".attn.proj.": ".attention.out.",
    ".norm1.": ".norm_attention.",
    ".norm2.": ".norm_inner.",
    ".mlp.fc1.": ".up.",
    ".mlp.fc2.": ".down.",
    "bn0.": "norm_mel.",
}
_AUDIO_BOTH = {
    "layers.": "stages.",
    "patch_embed.proj.": "patches.whole.",
    "patch_embed.norm.": "patches.norm.",
    "patch_embed.mel_conv2d.": "patches.detail.",
    "patch_embed.fusion_model.local_att.": "patches.fusion.near.",
    "patch_embed.fusion_model.global_att.": "patches.fusion.far.",
    ".downsample.reduction.": ".merge.reduce.",
    ".downsample.norm.": ".merge.norm.",
}
_PANN_LAION = {
    **pann.NAMES,
    "mel_conv2d.": "detail.",
    "fusion_model.local_att.": "fusion.near.",
    "fusion_model.global_att.": "fusion.far.",
}
_ENDS_TRANSFORMERS = {"_projection.linear1.": "_out.0.", "_projection.linear2.": "_out.2."}
_ENDS_LAION = {"_projection.": "_out."}
_ENDS_BOTH = {"logit_scale_a": "scale_audio", "logit_scale_t": "scale_text"}
_DERIVED = (".relative_position_index", ".attn_mask")
_TRAINING = (
    "audio_branch.tscam_conv.",
    "audio_branch.head.",
    "audio_branch.fc_audioset.",
    "audio_branch.spectrogram_extractor.",
    "audio_branch.logmel_extractor.",
    "audio_transform.",
    "text_transform.",
)


def htsat_config(settings: Mapping[str, Any], source: Path) -> HTSATConfig:
    """The tower that transformers' ``audio_config`` describes; raises ``WeightsError`` where toccata has no such."""
    for name, value in _FIXED.items():
        if settings.get(name, value) != value:
            raise WeightsError(f"{source} has a CLAP with {name} {settings[name]}; toccata knows {value} only")
    if settings.get("enable_fusion") and settings.get("fusion_type") not in (None, "aff_2d"):
        raise WeightsError(f"{source} has a CLAP with fusion_type {settings['fusion_type']}; toccata knows aff_2d only")
    sizes = {ours: settings[theirs] for ours, theirs in _SIZES.items() if theirs in settings}
    sizes["patch"] = _square(sizes.get("patch", 4), source)
    if _square(settings.get("patch_stride", sizes["patch"]), source) != sizes["patch"]:
        raise WeightsError(f"{source} has a CLAP whose patches overlap; toccata knows those that don't")
    sizes |= {name: tuple(sizes[name]) for name in ("depths", "heads") if name in sizes}
    try:
        return HTSATConfig(**sizes)
    except (TypeError, ValueError) as error:
        raise WeightsError(f"{source / 'config.json'} does not describe a CLAP ({error}); fetch it again") from None


def _square(size: Any, source: Path) -> int:
    sides = set(size) if isinstance(size, list | tuple) else {size}
    if len(sides) != 1:
        raise WeightsError(f"{source} has a CLAP with patches of {size}; toccata knows square ones only")
    return int(sides.pop())


def read_pictures(folder: Path, config: HTSATConfig) -> Pictures:
    """How the model in ``folder`` wants its sounds, as transformers' feature extractor writes it down.

    Raises ``WeightsError`` where that is missing or does not fit the tower.
    """
    name = "preprocessor_config.json"
    path = folder / (name if (folder / name).is_file() else "processor_config.json")
    said = published.read_settings(folder, path.name)
    said = said.get("feature_extractor", said)
    try:
        pictures = Pictures(
            sample_rate=int(said["sampling_rate"]),
            window=int(said["fft_window_size"]),
            hop=int(said["hop_length"]),
            bands=int(said["feature_size"]),
            low=float(said["frequency_min"]),
            high=float(said["frequency_max"]),
            seconds=float(said["max_length_s"]),
            filling=said["padding"],
            fused=said["truncation"] == "fusion",
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path} does not say how CLAP hears: {error} is missing; fetch it again") from None
    fits = pictures.bands == config.bands and pictures.frames <= config.frames and pictures.fused == config.fused
    if not fits or pictures.filling not in FILLINGS or said.get("top_db") is not None:
        raise WeightsError(f"{path} does not fit the model's config.json; fetch the model again")
    return pictures


def of_transformers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of transformers' ``ClapModel``; a name that neither knows is kept, to be told."""
    audio, text, ends = _split(tensors, "audio_model.audio_encoder.", "text_model.")
    audio = join_qkv(audio, ".attention.self.{}", ".attention.qkv")
    return _joined(audio, _AUDIO_TRANSFORMERS, text, ends, _ENDS_TRANSFORMERS)


def of_laion(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of LAION's ``CLAP`` as ``models convert`` names them: behind ``state_dict.`` and ``module.``.

    What training alone needed is left out; a name that neither knows is kept, to be told.
    """
    inside = {name: tensor for name, tensor in tensors.items() if name.startswith("state_dict.")} or tensors
    bare = {name.removeprefix("state_dict.").removeprefix("module."): tensor for name, tensor in inside.items()}
    kept = {name: tensor for name, tensor in bare.items() if not name.startswith(_TRAINING)}
    audio, text, ends = _split(kept, "audio_branch.", "text_branch.")
    return _joined(audio, _PANN_LAION if "fc1.weight" in audio else _AUDIO_LAION, text, ends, _ENDS_LAION)


def laion_configs(tensors: Mapping[str, Tensor], source: Path) -> tuple[HTSATConfig | PANNConfig, BertConfig]:
    """The towers that ``of_laion``'s weights are of; raises ``WeightsError`` where toccata has no such.

    LAION's code trains HTSAT-tiny, HTSAT-base and PANN's CNN14, with RoBERTa or BERT.
    """
    fused = "audio.patches.detail.weight" in tensors or "audio.detail.0.weight" in tensors
    rows = [len(tensors.get(name, ())) for name in ("audio.patches.whole.weight", "text.words.weight")]
    audio: HTSATConfig | PANNConfig | None = PANNConfig(fused=fused) if "audio.out.weight" in tensors else None
    audio = next((config for config in (htsat_tiny(fused), htsat_base(fused)) if config.width == rows[0]), audio)
    text = next((config for config in (roberta_base(77), bert_base(77)) if config.vocabulary == rows[1]), None)
    if audio is None or text is None:
        raise WeightsError(
            f"{source} holds no CLAP of LAION with HTSAT or CNN14 and RoBERTa or BERT; give one that does"
        )
    return audio, text


def _split(tensors: Mapping[str, Tensor], audio: str, text: str) -> list[dict[str, Tensor]]:
    """Those of the audio tower, those of the text tower, both without their prefixes, and the others."""
    parts: list[dict[str, Tensor]] = [{}, {}, {}]
    for name, tensor in tensors.items():
        part = 0 if name.startswith(audio) else 1 if name.startswith(text) else 2
        parts[part][name.removeprefix((audio, text, "")[part])] = tensor
    return parts


def _joined(
    audio: Mapping[str, Tensor],
    audio_words: Mapping[str, str],
    text: Mapping[str, Tensor],
    ends: Mapping[str, Tensor],
    end_words: Mapping[str, str],
) -> dict[str, Tensor]:
    ours = {
        "audio." + _reworded(name, {**audio_words, **_AUDIO_BOTH}): tensor
        for name, tensor in audio.items()
        if not name.endswith(_DERIVED)
    }
    ours |= {"text." + name: tensor for name, tensor in bert_names(text).items()}
    return ours | {_reworded(name, {**end_words, **_ENDS_BOTH}): tensor for name, tensor in ends.items()}


def _reworded(name: str, words: Mapping[str, str]) -> str:
    for theirs, ours in words.items():
        name = name.replace(theirs, ours)
    return name
