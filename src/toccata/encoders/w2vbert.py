"""w2v-BERT (arXiv 2108.06209): sound that learns what it means by guessing what it doesn't hear.

Shapes: B clips, N samples, T frames (of the mels, then of the codes), M mel bands, D width, K distractors, V codes,
N hidden frames where samples are none.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.audio.mel import normal_log_mel
from toccata.nn.clusters import ClusterQuantiser
from toccata.nn.conformer import ConformerBlock, distances
from toccata.nn.gumbel import Chosen, GumbelQuantiser, diversity_loss


@dataclass(frozen=True)
class W2vBertConfig:
    """Two stacks of Conformer blocks; the first learns by contrast, the second by prediction of the first's codes.

    ``strides`` are the two convolutions' over time (over the mel bands both halve): with ``hop`` they give the frame
    rate. ``mask_share`` of the frames begin a span of ``mask_frames`` that is hidden in training; each hidden one is
    told from ``distractors`` others; ``idle_weight`` is that of the diversity loss. ``layer`` blocks make the features
    that semantic tokens come from. ``codes`` are "learnt" from what the convolutions give, as published, or those of
    "mels", by k-means before training.
    """

    width: int = 1024
    heads: int = 8
    inner: int = 4096
    kernel: int = 5
    contrast_layers: int = 12
    prediction_layers: int = 12
    layer: int = 19
    channels: int = 128
    strides: tuple[int, int] = (2, 2)
    vocabulary: int = 1024
    code_width: int = 1024
    codes: str = "learnt"
    sample_rate: int = 16_000
    n_fft: int = 400
    hop: int = 160
    bands: int = 80
    window_seconds: float = 30.0
    mask_share: float = 0.065
    mask_frames: int = 10
    distractors: int = 100
    idle_weight: float = 0.1
    dropout: float = 0.1
    tokens: int = 1024

    @property
    def stride(self) -> int:
        """Samples a frame of features."""
        return self.hop * math.prod(self.strides)

    @property
    def frame_rate(self) -> float:
        """Frames of features a second."""
        return self.sample_rate / self.stride

    @property
    def window_frames(self) -> int:
        """Frames of log-mel in a window."""
        return round(self.window_seconds * self.sample_rate / self.hop)


def full() -> W2vBertConfig:
    """w2v-BERT XL, 600M, with the layer that MusicLM takes: the seventh of the second stack."""
    return W2vBertConfig()


def mini() -> W2vBertConfig:
    """w2vbert-mini: mels fine enough to tell keys, 25 Hz; codes that can't collapse in a short training."""
    return W2vBertConfig(
        width=256, heads=4, inner=1024, contrast_layers=2, prediction_layers=4, layer=2, channels=32, strides=(2, 1),
        vocabulary=512, code_width=128, codes="mels", n_fft=2048, hop=320, bands=128, window_seconds=10.0, dropout=0.0,
    )  # fmt: skip


class Losses(NamedTuple):
    """``contrast`` and ``prediction`` in nats; ``idle`` is the share of codes out of use; ``guessed`` those right.

    ``total`` is what training lessens (section 3.3).
    """

    contrast: Tensor
    prediction: Tensor
    idle: Tensor
    guessed: Tensor
    total: Tensor


class W2vBert(nn.Module):
    """Convolutions, two stacks of Conformer blocks, and the codebook that the first one learns."""

    def __init__(self, config: W2vBertConfig) -> None:
        super().__init__()
        self.config = config
        first, second = config.strides
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, config.channels, 3, (first, 2), 1), nn.ReLU(),
            nn.Conv2d(config.channels, config.channels, 3, (second, 2), 1), nn.ReLU(),
        )  # fmt: skip
        encoded = config.channels * -(-config.bands // 4)
        self.encoded_norm = nn.LayerNorm(encoded)
        self.lift = nn.Linear(encoded, config.width)
        self.hidden_D = nn.Parameter(torch.randn(config.width) * 0.1)
        self.blocks = nn.ModuleList(
            ConformerBlock(config.width, config.heads, config.inner, config.kernel, config.dropout)
            for _ in range(config.contrast_layers + config.prediction_layers)
        )
        if config.codes == "learnt":
            self.codebook = GumbelQuantiser(encoded, config.vocabulary, config.code_width)
        else:
            frame = math.prod(config.strides) * config.bands
            self.codebook = ClusterQuantiser(frame, config.vocabulary, config.code_width)
        self.context_out = nn.Linear(config.width, config.code_width)
        self.code_out = nn.Linear(config.width, config.vocabulary)

    def mels(self, wave_BN: Tensor) -> Tensor:
        """Samples at the model's rate -> mel_BTM, T = N // hop."""
        return mels_of(wave_BN, self.config)

    def windows(self, wave_BN: Tensor) -> Iterator[Tensor]:
        """features_BTD of sound at the model's rate, one window after the other: any length takes the memory of one."""
        yield from self.windows_of_mels(self.mels(wave_BN))

    def windows_of_mels(self, mel_BTM: Tensor) -> Iterator[Tensor]:
        """``windows`` of log-mels that were made before."""
        for part_BTM in mel_BTM.split(self.config.window_frames, dim=1):
            yield self.features(part_BTM.to(self.hidden_D.device)).float()

    def encode(self, mel_BTM: Tensor) -> Tensor:
        """Log-mels -> what is to be learnt of them, at the frame rate."""
        seen_BCTM = self.convolutions(mel_BTM[:, None])
        return self.encoded_norm(seen_BCTM.transpose(1, 2).flatten(2))

    def start(self, mel_BTM: Tensor, generator: torch.Generator) -> None:
        """Before training: the codes of mels, by k-means over such; does nothing where codes are learnt."""
        if isinstance(self.codebook, ClusterQuantiser):
            self.codebook.start(self._frames(mel_BTM).flatten(0, 1), generator)

    def codes(self, mel_BTM: Tensor, encoded_BTE: Tensor, temperature: float, generator: torch.Generator) -> Chosen:
        """What each frame is to be guessed as, of log-mels and what ``encode`` gave of them."""
        named_BTD = self._frames(mel_BTM) if isinstance(self.codebook, ClusterQuantiser) else encoded_BTE
        return self.codebook(named_BTD, temperature, generator)

    def _frames(self, mel_BTM: Tensor) -> Tensor:
        """The log-mels of each frame of features, side by side."""
        count = math.prod(self.config.strides)
        padded = F.pad(mel_BTM, (0, 0, 0, -mel_BTM.shape[1] % count))
        return padded.unflatten(1, (-1, count)).flatten(2)

    def features(self, mel_BTM: Tensor, layer: int | None = None) -> Tensor:
        """Log-mels -> (B, T, D) after the first ``layer`` blocks (the configuration's by default), nothing hidden."""
        hidden = self.lift(self.encode(mel_BTM))
        return self._through(hidden, 0, self.config.layer if layer is None else layer)

    def _through(self, hidden_BTD: Tensor, first: int, last: int) -> Tensor:
        far_PD = distances(hidden_BTD.shape[1], self.config.width).to(hidden_BTD.device)
        for block in self.blocks[first:last]:
            hidden_BTD = block(hidden_BTD, far_PD)
        return hidden_BTD

    def forward(self, mel_BTM: Tensor, temperature: float, generator: torch.Generator) -> Losses:
        """Losses of guessing what is hidden; ``temperature`` is that of the choice of codes."""
        config = self.config
        encoded_BTE = self.encode(mel_BTM)
        B, T, _ = encoded_BTE.shape
        mask_BT = spans(B, T, config.mask_share, config.mask_frames, generator).to(mel_BTM.device)
        hidden = torch.where(mask_BT[..., None], self.hidden_D.to(encoded_BTE.dtype), self.lift(encoded_BTE))
        context_BTD = self._through(hidden, 0, config.contrast_layers)
        found_BTD = self._through(context_BTD, config.contrast_layers, len(self.blocks))
        chosen = self.codes(mel_BTM, encoded_BTE, temperature, generator)
        told_BTW = self.context_out(context_BTD).float()
        contrast = contrastive_loss(told_BTW, chosen.vectors_BTW, mask_BT, config.distractors, generator)
        guesses_NV, codes_N = self.code_out(found_BTD[mask_BT]).float(), chosen.codes_BT[mask_BT]
        right = (guesses_NV.argmax(-1) == codes_N).float().mean()
        prediction, idle = F.cross_entropy(guesses_NV, codes_N), diversity_loss(chosen.shares_BTV[mask_BT])
        return Losses(contrast, prediction, idle, right, contrast + config.idle_weight * idle + prediction)


def mels_of(wave_BN: Tensor, config: W2vBertConfig) -> Tensor:
    """Samples at the model's rate -> log-mels of about zero mean and unit size: mel_BTM, T = N // hop."""
    mel_BTM = normal_log_mel(wave_BN, config.sample_rate, config.n_fft, config.hop, config.bands)
    return mel_BTM[:, : wave_BN.shape[-1] // config.hop]


def spans(batch: int, frames: int, share: float, length: int, generator: torch.Generator) -> Tensor:
    """mask_BT, True in spans of ``length`` that begin at a ``share`` of the frames and may overlap; one at least."""
    begins_BT = torch.rand(batch, frames, generator=generator) < share
    places_B = torch.randint(frames, (batch,), generator=generator)
    begins_BT[~begins_BT.any(1), places_B[~begins_BT.any(1)]] = True
    padded = F.pad(begins_BT.float(), (length - 1, 0))
    return F.max_pool1d(padded[:, None], length, 1)[:, 0] > 0


def contrast_logits(told_ND: Tensor, vectors_ND: Tensor, drawn_KN: Tensor, temperature: float = 0.1) -> Tensor:
    """(N, 1 + K): cosines to the own vector and to those drawn, over the temperature (wav2vec 2.0, equation 3)."""
    # All cosines at once are one product of (N, D) and (D, N); the drawn vectors themselves would fill (K, N, D).
    with torch.autocast(told_ND.device.type, enabled=False):
        cosines_NN = F.normalize(told_ND.float(), dim=-1) @ F.normalize(vectors_ND.float(), dim=-1).T
    own_N = torch.arange(len(told_ND), device=told_ND.device)
    return cosines_NN.gather(1, torch.cat([own_N[None], drawn_KN]).T) / temperature


def contrastive_loss(
    told_BTW: Tensor,
    vectors_BTW: Tensor,
    mask_BT: Tensor,
    distractors: int,
    generator: torch.Generator,
) -> Tensor:
    """Mean cross-entropy, in nats, of telling each hidden frame's vector from those of other hidden frames of the clip.

    A distractor may have the right code: were it left out, a codebook of which one code is used would cost nothing, and
    that is where training went. Clips with a single hidden frame say nothing.
    """
    losses = []
    for told_TW, vectors_TW, mask_T in zip(told_BTW, vectors_BTW, mask_BT, strict=True):
        told_ND, right_ND = told_TW[mask_T], vectors_TW[mask_T]
        count = len(told_ND)
        if count < 2:
            continue
        drawn_KN = torch.randint(count - 1, (distractors, count), generator=generator)
        drawn_KN += drawn_KN >= torch.arange(count)  # any but its own
        drawn_KN = drawn_KN.to(right_ND.device)
        logits = contrast_logits(told_ND, right_ND, drawn_KN)
        losses.append(F.cross_entropy(logits, torch.zeros_like(drawn_KN[0]), reduction="sum"))
    return torch.stack(losses).sum() / mask_BT.sum() if losses else told_BTW.sum() * 0
