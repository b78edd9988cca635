"""musicnn (Pons and Serra 2019, arXiv 1909.06654): 50 tags and an embedding of music, made by others: a judge.

The weights (ISC licence) are read from the installed Python package ``musicnn``; its own code needs TensorFlow 1, ours
does not. Shapes: B patches of three seconds, T frames, M mel bands, D dimensions.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import librosa
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from toccata.errors import WeightsError
from toccata.evaluation.tensor_bundle import read_bundle
from toccata.weights.checkpoint import sha256_of

SAMPLE_RATE = 16000
_HOP, _WINDOW, _BANDS = 256, 512, 96
_PATCH = 187

TAGS = (
    "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast", "piano", "ambient",
    "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male", "singing", "vocals", "no vocals",
    "harpsichord", "loud", "quiet", "flute", "woman", "male vocal", "no vocal", "pop", "soft", "sitar", "solo", "man",
    "classic", "choir", "voice", "new age", "dance", "male voice", "female vocal", "beats", "harp", "cello", "no voice",
    "weird", "country", "metal", "female voice", "choral",
)  # fmt: skip


@dataclass(frozen=True)
class Heard:
    """What musicnn hears in each patch: tag probabilities (B, 50), embeddings (B, 200), pooled features (B, 1506)."""

    tags_BV: np.ndarray
    embedding_BD: np.ndarray
    pooled_BD: np.ndarray


class Musicnn:
    """The network ``MTT_musicnn``, trained on MagnaTagATune; ``listen`` is what judges use."""

    def __init__(self, variables: dict[str, np.ndarray]) -> None:
        self._variables = {name: torch.from_numpy(value.copy()) for name, value in variables.items()}

    @torch.no_grad()
    def listen(self, wave_N: np.ndarray, sample_rate: int) -> Heard:
        """A mono wave at any rate, cut into patches of three seconds; a shorter one is repeated until it fills one."""
        patches = torch.from_numpy(_patches(wave_N, sample_rate))
        tags, embedding, pooled = self._back(self._middle(self._front(patches)))
        return Heard(tags.numpy(), embedding.numpy(), pooled.numpy())

    def _front(self, patches_BTM: Tensor) -> Tensor:
        """Timbral filters (wide in frequency) and temporal ones (long in time), each the maximum over frequency."""
        x = self._normalise(patches_BTM[:, None], 0)
        features = [self._relu_conv(F.pad(x, (0, 0, 3, 3)), k, k + 1).amax(3) for k in (0, 1)]
        for k, length in ((2, 128), (3, 64), (4, 32)):
            padded = F.pad(x, (0, 0, (length - 1) // 2, length // 2))
            features.append(self._relu_conv(padded, k, k + 1).amax(3))
        return torch.cat(features, 1).transpose(1, 2)

    def _middle(self, front_BTD: Tensor) -> Tensor:
        """Three convolutions over time, the last two residual, joined with what went in."""
        first = self._over_time(front_BTD, 5)
        second = self._over_time(first, 6) + first
        third = self._over_time(second, 7) + second
        return torch.cat([front_BTD, first, second, third], 2)

    def _back(self, features_BTD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # The two pools lie side by side for each feature, as the published graph flattens them.
        pooled = torch.stack([features_BTD.amax(1), features_BTD.mean(1)], 2).flatten(1)
        hidden = self._normalise(F.relu(self._dense(self._normalise(pooled, 9), "dense")), 10)
        return torch.sigmoid(self._dense(hidden, "dense_1")), hidden, pooled

    def _over_time(self, x_BTD: Tensor, k: int) -> Tensor:
        return self._relu_conv(F.pad(x_BTD[:, None], (0, 0, 3, 3)), k, k + 1)[..., 0].transpose(1, 2)

    def _relu_conv(self, x: Tensor, k: int, norm: int) -> Tensor:
        name = f"conv2d_{k}" if k else "conv2d"
        kernel = self._variables[f"{name}/kernel"].permute(3, 2, 0, 1)
        return self._normalise(F.relu(F.conv2d(x, kernel, self._variables[f"{name}/bias"])), norm)

    def _dense(self, x: Tensor, name: str) -> Tensor:
        return x @ self._variables[f"{name}/kernel"] + self._variables[f"{name}/bias"]

    def _normalise(self, x: Tensor, k: int) -> Tensor:
        name = f"batch_normalization_{k}" if k else "batch_normalization"
        mean, variance, gamma, beta = (
            self._variables[f"{name}/{part}"] for part in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        return F.batch_norm(x, mean, variance, gamma, beta, eps=1e-3)


def _patches(wave_N: np.ndarray, sample_rate: int) -> np.ndarray:
    """Log-mel patches (B, 187, 96) as musicnn was trained on."""
    wave = librosa.resample(wave_N.astype(np.float32), orig_sr=sample_rate, target_sr=SAMPLE_RATE, res_type="soxr_hq")
    mel = librosa.feature.melspectrogram(
        y=wave, sr=SAMPLE_RATE, hop_length=_HOP, n_fft=_WINDOW, n_mels=_BANDS
    ).T  # fmt: skip
    mel = np.log10(10000 * mel.astype(np.float32) + 1)
    if len(mel) < _PATCH:
        mel = np.tile(mel, (-(-_PATCH // len(mel)), 1))
    count = len(mel) // _PATCH
    return np.ascontiguousarray(mel[: count * _PATCH].reshape(count, _PATCH, _BANDS))


@lru_cache(maxsize=1)
def load_musicnn() -> Musicnn:
    """The network of the installed package; raises ``WeightsError`` where that is missing."""
    return Musicnn(read_bundle(f"{_folder()}/"))


@lru_cache(maxsize=1)
def weights_sha256() -> str:
    """The hash of the network's files; raises ``WeightsError`` where they are missing."""
    return sha256_of([_folder() / ".index", _folder() / ".data-00000-of-00001"])


def _folder() -> Path:
    found = find_spec("musicnn")
    if found is None or not found.submodule_search_locations:
        raise WeightsError("the judge musicnn is not installed; run: pip install --no-deps musicnn==0.1.0")
    return Path(found.submodule_search_locations[0]) / "MTT_musicnn"
