"""PaSST (Koutini et al. 2021, arXiv 2110.05069): AudioSet's 527 labels and an embedding, by a spectrogram transformer.

A ViT-B over overlapping patches of a log-mel picture, where what is learnt of places is apart for bands and for time.
Trained with most patches left out (patchout), it hears with all of them. It is what MusicGen and Stable Audio take KL
by. Names, shapes and options are those of the weights passt-s-f128-p16-s10-ap.476-swa of its authors' repository.

Shapes: B windows, N samples, T frames, M mel bands, F frequency bins, L tokens, V labels, D width.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.audio.mel import warped_filters
from toccata.errors import WeightsError
from toccata.nn.transformer import Block, Blocks
from toccata.weights import checkpoint, published

SAMPLE_RATE = 32_000
WINDOW_SECONDS, HOP_SECONDS = 10.0, 5.0
PEAK_DB = -1.0
_LEAST_PADDED = 0.15  # of a window: a sound that is no longer is heard as it is
_WINDOW, _HOP, _N_FFT = 800, 320, 1024
_BANDS, _LOW, _HIGH = 128, 0.0, 15_000.0
_PREEMPHASIS, _FLOOR, _MEAN, _SPREAD = 0.97, 1e-5, -4.5, 5.0
_HEAD_WIDTH, _EPSILON = 64, 1e-6
_TOGETHER = 4
_NAMES = {
    "patch_embed.proj.": "patches.", "norm1.": "norm_self.", "norm2.": "norm_inner.", "attn.qkv.": "attention.qkv.",
    "attn.proj.": "attention.out.", "mlp.fc1.": "up.", "mlp.fc2.": "down.", "head.0.": "norm_labels.",
    "head.1.": "labels.", "freq_new_pos_embed": "bands_1DM1", "time_new_pos_embed": "times_1D1T",
}  # fmt: skip
_SUMMARIES = ("cls_token", "dist_token", "new_pos_embed")


@dataclass(frozen=True)
class PaSSTConfig:
    """As published: ``stride`` is that of patches of ``patch`` x ``patch``; ``bands`` and ``times`` count them."""

    width: int = 768
    layers: int = 12
    heads: int = 12
    labels: int = 527
    patch: int = 16
    stride: int = 10
    bands: int = 12
    times: int = 99


class PaSST(nn.Module):
    """Pictures into embeddings and logits."""

    def __init__(self, config: PaSSTConfig) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.patches = nn.Conv2d(1, width, config.patch, config.stride)
        self.bands_1DM1 = nn.Parameter(torch.zeros(1, width, config.bands, 1))
        self.times_1D1T = nn.Parameter(torch.zeros(1, width, 1, config.times))
        self.summaries_1LD = nn.Parameter(torch.zeros(1, 2, width))
        self.blocks = Blocks(
            Block(width, config.heads, 4 * width, cross=False, causal=False, bias=True) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(width)
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = _EPSILON
        self.norm_labels = nn.LayerNorm(width)
        self.labels = nn.Linear(width, config.labels)

    @torch.no_grad()
    def listen(self, wave_N: Tensor) -> tuple[Tensor, Tensor]:
        """embedding_BD and logits_BV of each of the ``windows`` of a sound at 32 kHz; a few at a time."""
        device = self.labels.weight.device
        heard = [self(log_mel(part_BN.to(device))) for part_BN in windows(wave_N).split(_TOGETHER)]
        embedding_BD, logits_BV = (torch.cat(rows).cpu() for rows in zip(*heard, strict=True))
        return embedding_BD, logits_BV

    def forward(self, mel_BMT: Tensor) -> tuple[Tensor, Tensor]:
        """embedding_BD, the mean of the two tokens that sum up, and logits_BV, of what ``log_mel`` gives."""
        patches_BDMT = self.patches(mel_BMT[:, None])
        placed = patches_BDMT + self.bands_1DM1 + self.times_1D1T[..., : patches_BDMT.shape[-1]]
        summaries_BLD = self.summaries_1LD.expand(len(mel_BMT), -1, -1)
        hidden_BLD = torch.cat([summaries_BLD, placed.flatten(2).transpose(1, 2)], dim=1)
        for block in self.blocks:
            hidden_BLD = block(hidden_BLD)
        embedding_BD = self.norm(hidden_BLD[:, :2]).mean(1)
        return embedding_BD, self.labels(self.norm_labels(embedding_BD))


def windows(wave_N: Tensor) -> Tensor:
    """wave_BN of ten seconds every five, the last one with silence after it; the sound's peak is put at -1 dB.

    As Stability AI's stable-audio-metrics cuts a clip for KL_passt: but for the first window, none begins in the last
    five seconds, and a sound of 1.5 seconds or less is heard as it is, without silence. Its labels are then the softmax
    of the mean of all windows' logits. A silent sound stays as it is, instead of divided by its peak.
    """
    length, hop = (round(seconds * SAMPLE_RATE) for seconds in (WINDOW_SECONDS, HOP_SECONDS))
    peak = wave_N.abs().max()
    wave_N = wave_N * (10 ** (PEAK_DB / 20) / peak) if peak > 0 else wave_N
    if len(wave_N) <= _LEAST_PADDED * length:
        return wave_N[None]
    parts = [wave_N[start : start + length] for start in range(0, max(hop, len(wave_N) - hop), hop)]
    return torch.stack([F.pad(part_N, (0, length - len(part_N))) for part_N in parts])


def log_mel(wave_BN: Tensor) -> Tensor:
    """mel_BMT every 10 ms: log(mel power + 1e-5) of the sound with its highs raised, plus 4.5, over 5.

    Windows of 25 ms in transforms of 32, mirrored at both ends; the Hann window is symmetric and the mel bands are
    Kaldi's, up to 15 kHz, as in the authors' evaluation mode.
    """
    raised_BN = wave_BN[:, 1:] - _PREEMPHASIS * wave_BN[:, :-1]
    hann = torch.hann_window(_WINDOW, periodic=False, device=wave_BN.device)
    spectrum = torch.stft(raised_BN, _N_FFT, _HOP, _WINDOW, hann, return_complex=True)
    power_BFT = torch.view_as_real(spectrum).square().sum(-1)
    filters_MF = warped_filters(SAMPLE_RATE, _N_FFT, _BANDS, _LOW, _HIGH).to(power_BFT)
    return ((filters_MF @ power_BFT + _FLOOR).log() - _MEAN) / _SPREAD


def load_passt(folder: Path) -> PaSST:
    """The published weights in ``folder``, as ``toccata models pull passt`` leaves them, in evaluation mode.

    Raises ``WeightsError`` where they are missing, damaged or of another model.
    """
    file = published.only_file(folder)
    tensors = published.read_file(file, dtype=torch.float32)
    try:
        model = PaSST(_config(tensors))
        ours = _of_published(tensors)
    except (KeyError, ValueError) as error:
        raise WeightsError(f"the weights in {file} are of another model than PaSST: they lack {error}") from None
    checkpoint.load_into(model, ours, file)
    return model.eval()


def _config(tensors: Mapping[str, Tensor]) -> PaSSTConfig:
    """The sizes that the weights have; a head is 64 wide in all of them."""
    labels, width = tensors["head.1.weight"].shape
    layers = len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})
    bands, times = tensors["freq_new_pos_embed"].shape[2], tensors["time_new_pos_embed"].shape[3]
    patch = tensors["patch_embed.proj.weight"].shape[2]
    stride = (_BANDS - patch) // max(bands - 1, 1)
    return PaSSTConfig(width, layers, width // _HEAD_WIDTH, labels, patch, stride, bands, times)


def _of_published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights in toccata's names: both summing tokens with their places added to them, which is all that is ever
    done with these, and without the second token's own labels, which only training asks for."""
    ours = {"summaries_1LD": torch.cat([tensors[name] for name in _SUMMARIES[:2]], 1) + tensors[_SUMMARIES[2]]}
    for name, tensor in tensors.items():
        if name.startswith("head_dist.") or name in _SUMMARIES:
            continue
        for theirs, own in _NAMES.items():
            name = name.replace(theirs, own)
        ours[name] = tensor
    return ours
