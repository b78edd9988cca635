"""MuLan (arXiv 2208.12415): music and words in one space, and as tokens (MusicLM, arXiv 2301.11325, section 3.1).

Shapes: B clips or texts, W windows, C channels, N samples, T frames, M mel bands, K levels, D width.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.audio import io
from toccata.audio.mel import normal_log_mel
from toccata.audio.resample import resample
from toccata.encoders.bert import BertConfig, bert_base
from toccata.encoders.joint import LONGEST, TextTower, at_rate, checked_texts, checked_wave
from toccata.encoders.text import TextEncoder
from toccata.encoders.towers import described, save_tokeniser, text_tower, towers_of
from toccata.encoders.vector_tokens import dequantise, quantise
from toccata.encoders.words import WordsConfig
from toccata.errors import InputError, WeightsError
from toccata.nn.resnet import ResNet, ResNetConfig
from toccata.nn.rvq import ResidualVectorQuantiser
from toccata.nn.spectrogram_transformer import SpectrogramTransformer, SpectrogramTransformerConfig
from toccata.weights import checkpoint
from toccata.weights.compact import compact, expand

AT_ONCE = 16


@dataclass(frozen=True)
class MuLanConfig:
    """Two towers into ``width`` dimensions, and the tokens of what they say.

    The audio tower sees log-mels of ``window_seconds``: ``bands`` bands every ``hop`` samples, from ``n_fft``. Longer
    music is the mean of windows every ``stride_seconds``.
    """

    audio: ResNetConfig | SpectrogramTransformerConfig = field(default_factory=ResNetConfig)
    text: BertConfig | WordsConfig = field(default_factory=bert_base)
    width: int = 128
    sample_rate: int = 16_000
    n_fft: int = 400
    hop: int = 160
    bands: int = 64
    window_seconds: float = 10.0
    stride_seconds: float = 1.0
    levels: int = 12
    vocabulary: int = 1024

    @property
    def window(self) -> int:
        """Samples of a window."""
        return round(self.window_seconds * self.sample_rate)

    @property
    def stride(self) -> int:
        """Samples from one window to the next."""
        return round(self.stride_seconds * self.sample_rate)

    @property
    def frames(self) -> int:
        """Frames of a window's log-mel."""
        return self.window // self.hop


def full() -> MuLanConfig:
    """As published, with ResNet-50."""
    return MuLanConfig()


def full_transformer() -> MuLanConfig:
    """As published, with the audio spectrogram transformer."""
    return MuLanConfig(audio=SpectrogramTransformerConfig(frames=1000), bands=128)


def mini() -> MuLanConfig:
    """mulan-mini: patches of all bands and 200 ms, fine enough in frequency to tell keys, and the bundled words."""
    tower = SpectrogramTransformerConfig(
        bands=128, frames=500, patch=(128, 10), stride=(128, 10), width=192, layers=6, heads=3, summaries=1
    )
    return MuLanConfig(audio=tower, text=WordsConfig(), n_fft=2048, hop=320, bands=128)


class MuLan(nn.Module):
    """Both towers, what projects them, the temperature that training learns, and the quantiser of embeddings."""

    def __init__(self, config: MuLanConfig, text: TextTower) -> None:
        super().__init__()
        self.config = config
        tower = config.audio
        self.audio = ResNet(tower) if isinstance(tower, ResNetConfig) else SpectrogramTransformer(tower)
        self.text = text
        self.audio_out = nn.Linear(config.audio.width, config.width)
        self.text_out = nn.Linear(text.width, config.width)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.quantiser = ResidualVectorQuantiser(config.levels, config.vocabulary, config.width)

    @property
    def width(self) -> int:
        return self.config.width

    @property
    def temperature(self) -> float:
        """What training found best to divide similarities by."""
        return math.exp(-float(self.log_scale.detach()))

    @property
    def device(self) -> torch.device:
        return self.audio_out.weight.device

    def mels(self, windows_WN: Tensor) -> Tensor:
        """Windows of samples at the model's rate -> mel_WTM as the audio tower reads it."""
        return mels_of(windows_WN, self.config)[:, : self.config.frames]

    def hear(self, mel_WTM: Tensor) -> Tensor:
        """Log-mels of windows -> (W, D) of unit length."""
        if isinstance(self.audio, ResNet):
            seen = self.audio(mel_WTM.transpose(1, 2)[:, None]).mean((-2, -1))
        else:
            seen = self.audio(mel_WTM)
        return F.normalize(self.audio_out(seen), dim=-1)

    def read(self, texts: Sequence[str]) -> Tensor:
        """Texts -> (B, D) of unit length, with gradients where they are wanted."""
        ids_BL, mask_BL = self.text.tokenise(list(texts))
        return F.normalize(self.text_out(self.text.summarise(ids_BL.to(self.device), mask_BL.to(self.device))), dim=-1)

    @torch.no_grad()
    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """(B, D) of unit length; raises ``InputError`` for no texts, or one that says nothing."""
        return self.read(checked_texts(texts)).cpu()

    @torch.no_grad()
    def embed_audio(self, waves: Sequence[Tensor], sample_rate: int) -> Tensor:
        """wave_N or wave_CN of any lengths at ``sample_rate`` Hz -> (B, D) of unit length.

        Sound shorter than a window is repeated. Raises ``InputError`` where there is none, one is empty or not finite.
        """
        if not waves:
            raise InputError("there is no sound to embed; give at least one")
        if sample_rate < 1:
            raise InputError(f"a sample rate of {sample_rate} Hz is none; give the one of the sounds")
        rows = []
        for i, wave in enumerate(waves):
            mono_1N = checked_wave(wave, f"sound {i + 1}").detach().cpu().mean(0, keepdim=True).numpy()
            wave_N = torch.from_numpy(resample(mono_1N, sample_rate, self.config.sample_rate)[0])
            rows.append(self.embed_blocks([wave_N]))
        return torch.stack(rows)

    def embed_files(self, paths: Sequence[Path]) -> Tensor:
        """Sound files -> (B, D) of unit length, in memory that does not grow with their lengths.

        Raises ``InputError`` as ``audio.io.stream`` does.
        """
        if not paths:
            raise InputError("there is no sound to embed; give at least one")
        rows = []
        for path in paths:
            with io.stream(path, LONGEST) as file:
                rows.append(self.embed_blocks(at_rate(file, self.config.sample_rate)))
        return torch.stack(rows)

    @torch.no_grad()
    def embed_blocks(self, blocks: Iterable[Tensor]) -> Tensor:
        """One sound in blocks of mono samples at the model's rate, of which few are held at once -> (D,)."""
        total_D, batch = torch.zeros(self.config.width), []
        for window_N in windows(blocks, self.config.window, self.config.stride):
            batch.append(window_N)
            if len(batch) == AT_ONCE:
                total_D, batch = total_D + self._sum(batch), []
        return F.normalize(total_D + self._sum(batch), dim=0)

    def _sum(self, batch: list[Tensor]) -> Tensor:
        if not batch:
            return torch.zeros(self.config.width)
        return self.hear(self.mels(torch.stack(batch)).to(self.device)).sum(0).cpu()

    def quantise(self, embedding_BD: Tensor) -> Tensor:
        """Embeddings of music or text -> codes_BK; raises ``WeightsError`` where training has not come to tokens."""
        return quantise(self.quantiser, embedding_BD, "this MuLan")

    def dequantise(self, codes_BK: Tensor) -> Tensor:
        """codes_BK, K of any number of first levels -> embeddings (B, D) of unit length; raises as ``quantise``."""
        return dequantise(self.quantiser, codes_BK, "this MuLan")


def mels_of(wave_BN: Tensor, config: MuLanConfig) -> Tensor:
    """Samples at the model's rate -> log-mels of about zero mean and unit size: mel_BTM, T = N // hop + 1."""
    return normal_log_mel(wave_BN, config.sample_rate, config.n_fft, config.hop, config.bands)


def windows(blocks: Iterable[Tensor], window: int, stride: int) -> Iterator[Tensor]:
    """Windows of ``window`` samples every ``stride``, of sound in blocks; sound that fills none is repeated once over.

    What is left after the last whole window is not heard. No sound at all is a window of silence.
    """
    held, filled = torch.zeros(0), False
    for block in blocks:
        held = torch.cat([held, block])
        while len(held) >= window:
            yield held[:window]
            held, filled = held[stride:], True
    if not filled:
        held = held if len(held) else torch.zeros(1)
        yield held.repeat(-(-window // len(held)))[:window]


def save_mulan(folder: Path, model: MuLan, **card: object) -> None:
    """Write both towers and the tokens' codebooks in compact form."""
    save_tokeniser(folder, model.text)
    said = {"family": "mulan", "mulan": described(model.config), **card}
    checkpoint.save(folder, said, compact(model.state_dict()))


def load_mulan(folder: Path, device: str = "cpu", words: TextEncoder | None = None) -> MuLan:
    """The model in ``folder``, in evaluation mode; raises ``WeightsError`` where it is not whole."""
    config, tensors = checkpoint.load(folder)
    if config.get("family") != "mulan":
        raise WeightsError(f"{folder} holds a {config.get('family')} model, not MuLan")
    sizes = read_config(config.get("mulan"), folder)
    model = MuLan(sizes, text_tower(sizes.text, folder, words))
    checkpoint.load_into(model, expand(tensors), folder)
    return model.eval().to(device)


def read_config(said: Any, source: Path) -> MuLanConfig:
    """The configuration that ``save_mulan`` wrote."""
    try:
        return MuLanConfig(**{**said, **towers_of(said)})
    except (AttributeError, KeyError, TypeError) as error:
        raise WeightsError(f"{source / 'config.json'} does not describe a MuLan ({error}); fetch it again") from None
