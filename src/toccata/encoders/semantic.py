"""Semantic tokens (AudioLM, arXiv 2209.03143, section III-B; MusicLM, section 3.1): k-means over an encoder's features.

Shapes: B clips, N samples, T frames, D width, V tokens.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from toccata.encoders.pitched import Pitched
from toccata.encoders.public_features import PublicFeatures, public_features
from toccata.encoders.w2vbert import W2vBert, W2vBertConfig
from toccata.errors import InputError, WeightsError
from toccata.nn.rvq import VectorQuantiser
from toccata.weights import checkpoint
from toccata.weights.compact import compact, expand


class FeatureConfig(Protocol):
    """What semantic tokens need to know: features' width, sound's rate, samples and frames a token, how many tokens."""

    @property
    def width(self) -> int: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def stride(self) -> int: ...
    @property
    def frame_rate(self) -> float: ...
    @property
    def tokens(self) -> int: ...


class FeatureEncoder(Protocol):
    """An encoder whose features become tokens: toccata's w2v-BERT, or a public one."""

    @property
    def config(self) -> FeatureConfig: ...

    def windows(self, wave_BN: Tensor) -> Iterator[Tensor]:
        """features_BTD of sound at its rate, of one window after the other; T = N // stride in all."""
        ...


class SemanticTokens(nn.Module):
    """An encoder, the mean and spread of each of its features, and the centres that they are told apart by."""

    mean_D: Tensor
    spread_D: Tensor

    def __init__(self, encoder: FeatureEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.centres = VectorQuantiser(encoder.config.tokens, encoder.config.width)
        self.register_buffer("mean_D", torch.zeros(encoder.config.width))
        self.register_buffer("spread_D", torch.zeros(encoder.config.width))

    @property
    def sample_rate(self) -> int:
        """Of the sound that it reads."""
        return self.encoder.config.sample_rate

    @property
    def frame_rate(self) -> float:
        """Tokens a second."""
        return self.encoder.config.frame_rate

    @property
    def vocabulary(self) -> int:
        """How many different tokens there are."""
        return self.encoder.config.tokens

    @torch.no_grad()
    def tokens(self, wave_BN: Tensor) -> Tensor:
        """Samples at ``sample_rate`` -> tokens_BT (int64), T = N // stride, window by window.

        Raises ``InputError`` for sound shorter than a frame, ``WeightsError`` where training has not come to tokens.
        """
        if not self.spread_D.any():
            raise WeightsError("this encoder has no tokens yet: they are fitted when its training ends; let it go on")
        stride = self.encoder.config.stride
        if wave_BN.shape[-1] < stride:
            raise InputError(f"the sound is shorter than {stride / self.sample_rate:g} seconds; give more of it")
        wave_BN = wave_BN[:, : wave_BN.shape[-1] // stride * stride]
        return self.named(self.encoder.windows(wave_BN))

    @torch.no_grad()
    def named(self, windows: Iterable[Tensor]) -> Tensor:
        """The encoder's features, window by window -> tokens_BT."""
        return torch.cat([self._named(features_BTD) for features_BTD in windows], dim=1)

    def _named(self, features_BTD: Tensor) -> Tensor:
        B, T, D = features_BTD.shape
        normal_ND = (features_BTD.reshape(B * T, D) - self.mean_D) / self.spread_D
        return self.centres.encode(normal_ND).view(B, T).cpu()

    @torch.no_grad()
    def fit(self, features_ND: Tensor, generator: torch.Generator, iterations: int = 30) -> None:
        """The centres by k-means over features of the encoder as it has become, each of unit variance."""
        if len(features_ND) < self.vocabulary:
            raise InputError(f"{len(features_ND)} frames are too few for {self.vocabulary} tokens; give more music")
        self.mean_D.copy_(features_ND.mean(0))
        self.spread_D.copy_(features_ND.std(0).clamp(min=1e-4))
        self.centres.start((features_ND - self.mean_D) / self.spread_D, generator, iterations)


def save_semantic(folder: Path, model: SemanticTokens, **card: object) -> None:
    """Write the encoder and its tokens in compact form; of a public encoder only its name beside the tokens."""
    encoder, tensors = model.encoder, model.state_dict()
    pitched, own = {}, "encoder."
    if isinstance(encoder, Pitched):
        pitched, own, encoder = {"components": encoder.turn_DK.shape[1]}, "encoder.encoder.", encoder.encoder
    if isinstance(encoder, PublicFeatures):
        said = {"family": "semantic", "features": asdict(encoder.config), **pitched, **card}
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(own)}
    else:
        said = {"family": "w2vbert", "w2vbert": asdict(cast(W2vBert, encoder).config), **pitched, **card}
    checkpoint.save(folder, said, compact(tensors))


def load_semantic(folder: Path, device: str = "cpu") -> SemanticTokens:
    """The encoder in ``folder`` with its tokens, in evaluation mode; raises ``WeightsError`` where it is not whole."""
    config, tensors = checkpoint.load(folder)
    public = config.get("family") == "semantic"
    if not public and config.get("family") != "w2vbert":
        raise WeightsError(f"{folder} holds a {config.get('family')} model, not w2v-BERT")
    inner = _public(config.get("features"), folder) if public else W2vBert(read_config(config.get("w2vbert"), folder))
    components = config.get("components")
    model = SemanticTokens(inner if components is None else Pitched(inner, components))
    own = "encoder." if components is None else "encoder.encoder."
    kept = {f"{own}{name}": tensor for name, tensor in inner.state_dict().items()} if public else {}
    checkpoint.load_into(model, {**kept, **expand(tensors)}, folder)
    return model.eval().to(device)


def _public(said: Any, folder: Path) -> PublicFeatures:
    """The public encoder that the tokens in ``folder`` are of."""
    try:
        return public_features(said["name"], said["layer"])
    except (KeyError, TypeError) as error:
        raise WeightsError(f"{folder / 'config.json'} names no public features ({error}); fetch it again") from None


def read_config(said: Any, source: Path) -> W2vBertConfig:
    """The configuration that ``save_semantic`` wrote."""
    try:
        return W2vBertConfig(**{**said, "strides": tuple(said["strides"])})
    except (KeyError, TypeError) as error:
        raise WeightsError(f"{source / 'config.json'} does not describe a w2v-BERT ({error}); fetch it again") from None
