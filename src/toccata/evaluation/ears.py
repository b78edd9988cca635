"""The judges that an evaluation listens with. Each takes a clip at any rate, mixes it to mono and resamples it itself.

Shapes: N samples (in waves) or rows of a clip, C channels, T frames, D dimensions, V labels.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from toccata.audio.chroma import HOP, N_FFT, chromagram, strongest
from toccata.audio.resample import resample, to_channels
from toccata.clip import Clip
from toccata.encoders import openl3, pann_tagger, passt, vggish
from toccata.encoders.openl3 import OpenL3
from toccata.encoders.pann_tagger import PANNTagger
from toccata.encoders.passt import PaSST
from toccata.encoders.public_features import PublicFeatures
from toccata.encoders.vggish import VGGish
from toccata.errors import InputError
from toccata.evaluation import guards, structure
from toccata.evaluation.hearing import Found
from toccata.evaluation.judges import judge_key, judge_tempo
from toccata.evaluation.musicnn import SAMPLE_RATE, load_musicnn, weights_sha256

SHORTEST_SECONDS = 1.0
_RESAMPLED = "mean of the channels, soxr HQ"


class Embedding(Protocol):
    """A judge that finds ``rows_ND``: what Fréchet distances are taken of."""

    @property
    def recipe(self) -> dict[str, Any]: ...

    def hear(self, clip: Clip) -> Found: ...


class Labeller(Protocol):
    """A judge that finds ``logits_V``: what the divergence of labels is taken of."""

    @property
    def recipe(self) -> dict[str, Any]: ...

    def hear(self, clip: Clip) -> Found: ...


class Joint(Protocol):
    """A joint encoder of music and text, as ``toccata.hub.load_embedder`` gives it."""

    name: str
    weights_sha256: str

    def embed(self, clips: Clip, /) -> Tensor: ...

    def embed_text(self, texts: Sequence[str]) -> Tensor: ...


def mono(clip: Clip, sample_rate: int) -> np.ndarray:
    """The clip's wave_N at ``sample_rate`` Hz; raises ``InputError`` where it is shorter than a second."""
    _check_length(clip)
    return resample(to_channels(clip.samples, 1), clip.sample_rate, sample_rate)[0]


def _check_length(clip: Clip) -> None:
    if clip.seconds < SHORTEST_SECONDS:
        raise InputError(f"it lasts {clip.seconds:.2f} seconds, too short to be judged; give a second or more")


class MusicnnJudge:
    """``rows_ND``: musicnn's embedding of every three seconds; ``logits_V``: of its 50 tags, the mean over these."""

    def __init__(self) -> None:
        self._network = load_musicnn()
        self.recipe = {
            "embedding": "musicnn", "weights_sha256": weights_sha256(), "sample_rate": SAMPLE_RATE,
            "resampling": _RESAMPLED, "window_seconds": 2.992, "hop_seconds": 2.992, "width": 200,
        }  # fmt: skip

    def hear(self, clip: Clip) -> Found:
        heard = self._network.listen(mono(clip, SAMPLE_RATE), SAMPLE_RATE)
        # As far as float32 tells a probability from 0 or 1.
        likely_BV = heard.tags_BV.astype(np.float64).clip(1e-7, 1 - 1e-7)
        return {"rows_ND": heard.embedding_BD, "logits_V": np.log(likely_BV / (1 - likely_BV)).mean(0)}


class JointJudge:
    """``rows_ND``: one row for a clip, of unit length, however long it is, as the joint encoder embeds it."""

    def __init__(self, joint: Joint, kind: str = "text fit") -> None:
        """``kind`` is what the score is called: CLAP score, MuLan cycle consistency."""
        self.joint, self.kind = joint, kind
        self.recipe = {
            "embedding": joint.name, "weights_sha256": joint.weights_sha256, "window_seconds": None,
            "hop_seconds": None,
        }  # fmt: skip

    def hear(self, clip: Clip) -> Found:
        mono(clip, clip.sample_rate)
        return {"rows_ND": self.joint.embed(clip).numpy()}


class CodecJudge:
    """``rows_ND``: a codec's latents before quantising, the mean of each second."""

    def __init__(self, codec: Any, name: str, weights_hash: str) -> None:
        if getattr(codec.config, "audio_channels", 1) != 1:
            raise InputError(f"{name} hears stereo only; choose a codec of mono sound to judge by")
        self._codec, self._rate, self._frames = codec, codec.config.sample_rate, round(codec.config.frame_rate)
        self.recipe = {
            "embedding": name, "weights_sha256": weights_hash, "sample_rate": self._rate, "resampling": _RESAMPLED,
            "window_seconds": 1.0, "hop_seconds": 1.0,
        }  # fmt: skip

    @torch.no_grad()
    def hear(self, clip: Clip) -> Found:
        wave_N = torch.from_numpy(mono(clip, self._rate))
        device = next(self._codec.parameters()).device
        latent_TD = self._codec.latents(wave_N[None, None].to(device))[0].cpu()
        return {"rows_ND": _each_second(latent_TD, self._frames).numpy()}


class VGGishJudge:
    """``rows_ND``: VGGish's embedding of every .96 seconds, as frechet-audio-distance takes it."""

    def __init__(self, network: VGGish, name: str, weights_hash: str) -> None:
        self._network = network
        self.recipe = {
            "embedding": name, "weights_sha256": weights_hash, "sample_rate": vggish.SAMPLE_RATE,
            "resampling": _RESAMPLED, "window_seconds": vggish.WINDOW_SECONDS, "hop_seconds": vggish.WINDOW_SECONDS,
            "width": network.config.width, "last_activation": "none", "postprocessing": "none",
        }  # fmt: skip

    def hear(self, clip: Clip) -> Found:
        return {"rows_ND": self._network.listen(torch.from_numpy(mono(clip, vggish.SAMPLE_RATE))).numpy()}


class PANNJudge:
    """``rows_ND``: CNN14's embedding of equal parts of about ten seconds; ``logits_V``: of its labels, their mean."""

    def __init__(self, network: PANNTagger, name: str, weights_hash: str) -> None:
        self._network = network
        self.recipe = {
            "embedding": name, "weights_sha256": weights_hash, "sample_rate": network.sample_rate,
            "resampling": _RESAMPLED, "window_seconds": pann_tagger.SECONDS, "hop_seconds": pann_tagger.SECONDS,
            "windows": "equal parts of the whole clip, as near to that as they can be",
            "width": network.tower.width, "of": "the first dense layer, after its ReLU",
        }  # fmt: skip

    def hear(self, clip: Clip) -> Found:
        embedding_BD, logits_BV = self._network.listen(torch.from_numpy(mono(clip, self._network.sample_rate)))
        return {"rows_ND": embedding_BD.numpy(), "logits_V": logits_BV.mean(0).numpy()}


class PaSSTJudge:
    """``rows_ND``: PaSST's embedding of ten seconds every five; ``logits_V``: the mean of these windows' labels'."""

    def __init__(self, network: PaSST, name: str, weights_hash: str) -> None:
        self._network = network
        self.recipe = {
            "embedding": name, "weights_sha256": weights_hash, "sample_rate": passt.SAMPLE_RATE,
            "resampling": _RESAMPLED, "window_seconds": passt.WINDOW_SECONDS, "hop_seconds": passt.HOP_SECONDS,
            "windows": "none begins in the last five seconds; the last one is filled with silence",
            "peak_db": passt.PEAK_DB, "width": network.config.width,
        }  # fmt: skip

    def hear(self, clip: Clip) -> Found:
        embedding_BD, logits_BV = self._network.listen(torch.from_numpy(mono(clip, passt.SAMPLE_RATE)))
        return {"rows_ND": embedding_BD.numpy(), "logits_V": logits_BV.mean(0).numpy()}


class OpenL3Judge:
    """``rows_ND``: OpenL3's embeddings of left and right, side by side, of a second, every half.

    As Stability AI's stable-audio-metrics takes FD_openl3: the clip's peak is put at -1 dB, mono counts as two equal
    channels, more than two as their mean, and nothing above 22.05 kHz is heard.
    """

    def __init__(self, network: OpenL3, name: str, weights_hash: str) -> None:
        self._network = network
        self.recipe = {
            "embedding": name, "weights_sha256": weights_hash, "sample_rate": openl3.SAMPLE_RATE,
            "resampling": f"soxr HQ, by way of {openl3.BAND_RATE} Hz", "channels": 2, "peak_db": openl3.PEAK_DB,
            "window_seconds": openl3.WINDOW_SECONDS, "hop_seconds": openl3.HOP_SECONDS,
            "windows": "the first begins half a second before the clip", "width": 2 * network.config.size,
        }  # fmt: skip

    def hear(self, clip: Clip) -> Found:
        _check_length(clip)
        narrow_CN = resample(openl3.at_peak(to_channels(clip.samples, 2)), clip.sample_rate, openl3.BAND_RATE)
        wave_CN = torch.from_numpy(resample(narrow_CN, openl3.BAND_RATE, openl3.SAMPLE_RATE))
        alike = torch.equal(wave_CN[0], wave_CN[1])
        heard = [self._network.listen(wave_N) for wave_N in wave_CN[: 1 if alike else 2]]
        return {"rows_ND": torch.cat([heard[0], heard[-1]], dim=1).numpy()}


class FeatureJudge:
    """``rows_ND``: features of one layer of MERT or w2v-BERT 2.0, the mean of each second."""

    def __init__(self, features: PublicFeatures, name: str, weights_hash: str) -> None:
        self._features, config = features, features.config
        self.recipe = {
            "embedding": name, "weights_sha256": weights_hash, "sample_rate": config.sample_rate,
            "resampling": _RESAMPLED, "window_seconds": 1.0, "hop_seconds": 1.0, "layer": config.layer,
            "heard_at_once_seconds": config.window_seconds,
        }  # fmt: skip

    def hear(self, clip: Clip) -> Found:
        wave_N = torch.from_numpy(mono(clip, self._features.config.sample_rate))
        feature_TD = torch.cat(list(self._features.windows(wave_N[None])), dim=1)[0].cpu()
        return {"rows_ND": _each_second(feature_TD, round(self._features.config.frame_rate)).numpy()}


def _each_second(x_TD: Tensor, frames: int) -> Tensor:
    """The mean of ``frames`` at a time; of all, where resampling left a frame less than a second has."""
    count = max(len(x_TD) // frames, 1)
    return x_TD[: count * frames].reshape(count, -1, x_TD.shape[1]).mean(1)


class SoundJudge:
    """What needs no model: length, guards against what is no music, structure over time, a fingerprint."""

    rate = 24_000
    recipe = {"judge": "sound", "sample_rate": rate, "resampling": _RESAMPLED, "edition": 1}  # noqa: RUF012

    def hear(self, clip: Clip) -> Found:
        wave_N = mono(clip, self.rate)
        frames_TM = structure.frames_of(wave_N, self.rate)
        still = guards.longest_still(wave_N, self.rate) / (len(wave_N) / self.rate)
        found = {
            "seconds": clip.seconds,
            "sounding": structure.sounding_seconds(wave_N, self.rate),
            "sample_rate": clip.sample_rate,
            "silent": guards.is_silent(wave_N, self.rate),
            "noise": guards.is_noise(wave_N, self.rate),
            "stuck": still >= 0.5,
            "clipped": guards.clipped_share(clip.samples) > guards.MOST_CLIPPED,
            "returns": structure.returns(frames_TM),
            "change": structure.change(frames_TM),
        }
        fingerprint = structure.fingerprint(frames_TM)
        return {name: np.array(value, np.float64) for name, value in found.items()} | {"fingerprint": fingerprint}


class PulseJudge:
    """``tempo`` (beats a minute), ``tonic`` (0-11) and ``minor`` by librosa; by far the slowest judge."""

    recipe = {"judge": "tempo and key", "by": "librosa", "edition": 1}  # noqa: RUF012

    def hear(self, clip: Clip) -> Found:
        wave_N = mono(clip, 22_050)
        key = judge_key(wave_N, 22_050)
        return {
            "tempo": np.array(judge_tempo(wave_N, 22_050)), "tonic": np.array(key.tonic), "minor": np.array(key.minor),
        }  # fmt: skip


class ChromaJudge:
    """``hot_TC``: the strongest pitch class of each frame, none in silence, as MusicGen hears melodies, at 32 kHz."""

    rate = 32_000
    recipe = {"judge": "chroma", "sample_rate": rate, "resampling": _RESAMPLED, "window": N_FFT, "hop": HOP}  # noqa: RUF012

    def hear(self, clip: Clip) -> Found:
        chroma_CT = chromagram(torch.from_numpy(mono(clip, self.rate)), self.rate)
        return {"hot_TC": strongest(chroma_CT, floor=1e-8).numpy().astype(np.int8)}
