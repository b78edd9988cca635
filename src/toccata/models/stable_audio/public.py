"""Opens a published Stable Audio Open, with its T5 and its autoencoder, as diffusers or stable-audio-tools wrote it."""

from dataclasses import replace
from pathlib import Path

import torch

from toccata.codecs import autoencoder_names
from toccata.codecs.autoencoder import Autoencoder, autoencoder_of, load_autoencoder
from toccata.encoders.features import read_tokeniser
from toccata.encoders.t5 import T5Encoder, t5_config, t5_from_tensors
from toccata.errors import WeightsError
from toccata.models.stable_audio.config import StableAudioConfig
from toccata.models.stable_audio.network import StableAudioNetwork
from toccata.models.stable_audio.pipeline import StableAudio, pick_dtype
from toccata.models.stable_audio.published import config_of_diffusers, config_of_tools, of_diffusers, of_tools
from toccata.weights import checkpoint, published
from toccata.weights.device import check_memory, pick_device

DIFFUSERS, TOOLS = "model_index.json", "model_config.json"
PRETRANSFORM, TOLD = "pretransform.model.", ("model.model.", "conditioner.")
HEADROOM = 1.3  # of the bytes that are read
Parts = tuple[StableAudioNetwork, Autoencoder, T5Encoder]


def load_public(
    folder: Path, name: str, sha256: str = "", device: str = "auto", precision: str = "auto", t5: Path | None = None
) -> StableAudio:
    """The published Stable Audio in ``folder``; stable-audio-tools' layout needs T5 from another folder, ``t5``.

    Raises ``WeightsError`` for what is missing, damaged or of another model, ``InputError`` where the machine's memory
    is too small for it.
    """
    dtype, place = pick_dtype(precision, device), pick_device(device)
    diffusers = (folder / DIFFUSERS).is_file()
    sizes = [published.count_values(part) for part in (folder / "transformer", folder / "vae", folder / "text_encoder")]
    values = sum(sizes) if diffusers else published.count_values(folder)
    check_memory(name, round(values * dtype.itemsize * HEADROOM), dtype, place)
    if diffusers:
        network, codec, text = _diffusers(folder, dtype)
    elif t5 is None:
        raise WeightsError(f"{name} lacks its text encoder in this layout; run: toccata models pull t5-base")
    else:
        network, codec, text = _tools(folder, t5, dtype)
    return StableAudio(network.to(place), codec.to(place), text, name, sha256)


def _diffusers(folder: Path, dtype: torch.dtype) -> Parts:
    said = {
        part: published.read_settings(folder / part) for part in ("transformer", "projection_model", "text_encoder")
    }
    scheduler = published.read_settings(folder / "scheduler", "scheduler_config.json")
    tokens = int(published.read_settings(folder / "tokenizer", "tokenizer_config.json").get("model_max_length", 128))
    config = config_of_diffusers(said["transformer"], said["projection_model"], scheduler, tokens, folder)
    dit, told = (
        published.read_file(folder / part / autoencoder_names.DIFFUSERS_FILE, dtype=dtype)
        for part in ("transformer", "projection_model")
    )
    network = _assigned(config, of_diffusers(dit, told, config, folder), folder)
    text = t5_from_tensors(
        replace(t5_config(said["text_encoder"], folder / "text_encoder"), max_tokens=tokens),
        published.read_tensors(folder / "text_encoder", dtype=torch.float32),
        read_tokeniser(folder / "tokenizer"),
        folder,
    )
    return network, load_autoencoder(folder / "vae"), text


def _tools(folder: Path, t5: Path, dtype: torch.dtype) -> Parts:
    settings, file = published.read_settings(folder, TOOLS), folder / published.WHOLE
    told = {prefix + n: t for prefix in TOLD for n, t in published.read_file(file, prefix, dtype).items()}
    config = config_of_tools(settings, told, folder)
    network = _assigned(config, of_tools(told, config, folder), folder)
    pretransform = {"sample_rate": settings["sample_rate"], **settings["model"]["pretransform"]}
    fields = autoencoder_names.config_of_tools(pretransform, folder)
    sound = autoencoder_names.of_tools(published.read_file(file, PRETRANSFORM))
    text = t5_from_tensors(
        replace(t5_config(published.read_settings(t5), t5), max_tokens=config.text_tokens),
        published.read_tensors(t5),
        read_tokeniser(t5),
        t5,
    )
    return network, autoencoder_of(fields, sound, folder), text


def _assigned(config: StableAudioConfig, tensors: dict[str, torch.Tensor], source: Path) -> StableAudioNetwork:
    """A network of these very tensors: nothing is initialised, nothing copied."""
    with torch.device("meta"):
        network = StableAudioNetwork(config)
    checkpoint.load_into(network, tensors, source, assign=True)
    return network.requires_grad_(False)
