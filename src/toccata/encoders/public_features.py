"""Public encoders whose features can take w2v-BERT's place: w2v-BERT 2.0 and MERT, run by transformers.

Shapes: B clips, N samples, T frames, D width.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.errors import WeightsError
from toccata.weights import catalogue, checkpoint, published, store

W2V_BERT, MERT = "facebook/w2v-bert-2.0", "m-a-p/MERT-v1-95M"
_BETWEEN = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}


@dataclass(frozen=True)
class PublicConfig:
    """Which features: those after ``layer`` blocks of the model ``name`` (its hub id, or a folder laid out like it).

    The mean of ``pool`` frames stands for each token, which is a 25th of a second. Sound is read in windows of
    ``window_seconds``.
    """

    name: str
    layer: int
    width: int
    sample_rate: int
    pool: int
    tokens: int = 1024
    window_seconds: float = 30.0

    @property
    def stride(self) -> int:
        """Samples a frame of pooled features."""
        return round(self.sample_rate / self.frame_rate)

    @property
    def frame_rate(self) -> float:
        return 25.0


class PublicFeatures(nn.Module):
    """A public encoder up to the layer that is asked for, in evaluation mode; it is not trained here."""

    def __init__(self, config: PublicConfig, network: nn.Module, even: bool) -> None:
        """``even`` tells whether MERT wants windows of zero mean and unit variance."""
        super().__init__()
        self.config, self.network, self.even = config, network.eval(), even

    @torch.no_grad()
    def windows(self, wave_BN: Tensor) -> Iterator[Tensor]:
        """features_BTD of one window after the other, T = N // stride in all."""
        for part_BN in wave_BN.split(round(self.config.window_seconds * self.config.sample_rate), dim=1):
            frames = part_BN.shape[1] // self.config.stride
            if frames:
                found_BTD = self._heard(part_BN[:, : frames * self.config.stride]).float()
                yield found_BTD.unflatten(1, (frames, self.config.pool)).mean(2)

    def _heard(self, wave_BN: Tensor) -> Tensor:
        """What the network says of every frame, of which there are ``pool`` a token."""
        device = next(self.network.parameters()).device
        if self.config.sample_rate == 16_000:
            # 15 ms more, so that the last of its 25 ms windows is whole.
            features = _extractor()(list(F.pad(wave_BN, (0, 240)).numpy()), sampling_rate=16_000, return_tensors="pt")
            return self.network(features["input_features"].to(device)).last_hidden_state
        if self.even:
            variance_B1 = wave_BN.var(1, keepdim=True, correction=0)
            wave_BN = (wave_BN - wave_BN.mean(1, keepdim=True)) / (variance_B1 + 1e-7).sqrt()
        return self.network(F.pad(wave_BN, (0, 80)).to(device)).last_hidden_state  # the last of its windows of 400


@lru_cache(maxsize=1)
def _extractor() -> Any:
    """w2v-BERT 2.0's front: log-mels as Kaldi has them, two frames in one."""
    return _transformers().SeamlessM4TFeatureExtractor(
        feature_size=80, num_mel_bins=80, sampling_rate=16_000, stride=2, padding_value=1.0
    )


def public_features(name: str, layer: int | None = None) -> PublicFeatures:
    """w2v-BERT 2.0 or MERT by its hub id, from this machine, or a folder laid out like either; float32.

    ``layer`` is 17 of w2v-BERT 2.0's 24 and 7 of MERT's 12 unless given. Raises ``WeightsError`` where the weights or
    the library that runs them aren't here, or are of another kind.
    """
    folder = _folder(name)
    settings = published.read_settings(folder)
    match settings.get("model_type"):
        case "wav2vec2-bert":
            return _w2v_bert(name, folder, settings, 17 if layer is None else layer)
        case "mert_model" | "hubert":
            return _mert(name, folder, settings, 7 if layer is None else layer)
    raise WeightsError(f"{folder} holds a {settings.get('model_type')} model; features come from {W2V_BERT} or {MERT}")


def _w2v_bert(name: str, folder: Path, settings: dict[str, Any], layer: int) -> PublicFeatures:
    peer = _transformers()
    network = peer.Wav2Vec2BertModel(peer.Wav2Vec2BertConfig.from_dict(settings))
    checkpoint.load_into(network, published.read_tensors(folder, dtype=torch.float32), folder)
    config = PublicConfig(name, layer, network.config.hidden_size, 16_000, pool=2)
    return PublicFeatures(config, _cut(network, layer, folder), even=False)


def _mert(name: str, folder: Path, settings: dict[str, Any], layer: int) -> PublicFeatures:
    """MERT is a HuBERT at 24 kHz; the larger ones, which also hear a constant-Q transform, are not."""
    peer = _transformers()
    if settings.get("feature_extractor_cqt") or settings.get("do_stable_layer_norm") or settings.get("deepnorm"):
        raise WeightsError(f"{folder} holds a MERT that toccata cannot read; take {MERT}")
    network = peer.HubertModel(peer.HubertConfig.from_dict({**settings, "model_type": "hubert"}))
    tensors = _current(published.read_tensors(folder, dtype=torch.float32))
    checkpoint.load_into(network, tensors, folder)
    said = published.read_settings(folder, "preprocessor_config.json")
    config = PublicConfig(name, layer, network.config.hidden_size, 24_000, pool=3)
    return PublicFeatures(config, _cut(network, layer, folder), even=bool(said.get("do_normalize", True)))


def _current(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weight norm's tensors as torch names them now."""
    ours = {}
    for name, tensor in tensors.items():
        start, _, last = name.rpartition(".")
        ours[f"{start}.{_BETWEEN[last]}" if last in _BETWEEN else name] = tensor
    return ours


def _cut(network: Any, layer: int, folder: Path) -> nn.Module:
    """The network without the blocks that come after ``layer``."""
    if not 1 <= layer <= len(network.encoder.layers):
        raise WeightsError(f"{folder} has {len(network.encoder.layers)} layers; there is no layer {layer} of it")
    network.encoder.layers = network.encoder.layers[:layer]
    return network


def _folder(name: str) -> Path:
    if not catalogue.find(name) and Path(name).is_dir():
        return Path(name)
    model = catalogue.get(name)
    found = store.fetched(model)
    if found is None:
        raise WeightsError(f"the weights of {name} are not on this machine; run: toccata models pull {name}")
    store.remind(model)
    return found.folder


def _transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise WeightsError(
            "public features need the package transformers; run: pip install 'toccata[features]'"
        ) from None
    return transformers
