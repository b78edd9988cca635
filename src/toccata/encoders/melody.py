"""A melody as a vector, whatever sounds it (MusicLM, arXiv 2301.11325, section 6): a small ViT over mel frames.

Shapes: B or W windows, N samples, T frames, M mel bands, K levels, D width.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.audio.mel import magnitudes, mel_filters, pitch_filters
from toccata.encoders.vector_tokens import dequantise, quantise
from toccata.errors import InputError, WeightsError
from toccata.nn.rvq import ResidualVectorQuantiser
from toccata.nn.transformer import Block, Blocks
from toccata.weights import checkpoint
from toccata.weights.compact import compact, expand

AT_ONCE = 32
_FLOOR = 1e-5


@dataclass(frozen=True)
class MelodyConfig:
    """A transformer that sees ``window_seconds`` of log-mel, a frame a token, and the tokens of what it says.

    There are ``bands`` bands every ``hop`` samples: on the mel scale, or, where ``per_octave`` is not 0, so many to an
    octave from ``low`` Hz on. With ``spans`` a token also says how far its frame lies above or below those so many
    frames before it, up to an octave (``intervals``). Vectors have ``embedding`` numbers.
    """

    width: int = 512
    layers: int = 12
    heads: int = 6
    head_width: int = 64
    inner: int = 1024
    dropout: float = 0.1
    embedding: int = 192
    sample_rate: int = 16_000
    n_fft: int = 1024
    hop: int = 320
    bands: int = 128
    per_octave: int = 0
    low: float = 0.0
    spans: tuple[int, ...] = ()
    window_seconds: float = 4.0
    levels: int = 24
    vocabulary: int = 512

    @property
    def frames(self) -> int:
        """Frames of a window."""
        return round(self.window_seconds * self.frame_rate)

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.sample_rate / self.hop

    @property
    def inputs(self) -> int:
        """Numbers that a token is made of."""
        return self.bands + len(self.spans) * (2 * self.per_octave + 1)


def full() -> MelodyConfig:
    """As published: 12 layers, 6 heads, 512/1024; what the paper does not tell (heads of 64, mels) is our choice."""
    return MelodyConfig()


def mini() -> MelodyConfig:
    """melody-mini: bands of half a semitone 16 times a second, and the intervals to what came before.

    A transposition moves bands along and leaves intervals as they are, so a short training suffices.
    """
    return MelodyConfig(
        width=192, layers=4, heads=3, inner=512, dropout=0.0, n_fft=2048, hop=1000, bands=152, per_octave=24, low=73.4,
        spans=(1, 2, 4, 8),
    )  # fmt: skip


class MelodyEncoder(nn.Module):
    """The transformer and the quantiser of what it says."""

    def __init__(self, config: MelodyConfig) -> None:
        super().__init__()
        self.config = config
        self.frame = nn.Linear(config.inputs, config.width)
        self.positions_1TD = nn.Parameter(0.02 * torch.randn(1, config.frames, config.width))
        self.blocks = Blocks(
            Block(
                config.width, config.heads, config.inner, cross=False, causal=False, dropout=config.dropout, bias=True,
                head_width=config.head_width,
            )
            for _ in range(config.layers)
        )  # fmt: skip
        self.norm = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.width, config.embedding)
        self.quantiser = ResidualVectorQuantiser(config.levels, config.vocabulary, config.embedding)

    @property
    def device(self) -> torch.device:
        return self.out.weight.device

    def mels(self, wave_BN: Tensor) -> Tensor:
        """Samples at the model's rate -> mel_BTM, T = N // hop."""
        return mels_of(wave_BN, self.config)

    def hear(self, mel_BTM: Tensor) -> Tensor:
        """Log-mels of windows -> (B, D) of unit length. How loud a window is does not matter."""
        mean_B11, spread_B11 = mel_BTM.mean((1, 2), keepdim=True), mel_BTM.std((1, 2), keepdim=True)
        seen_BTM = (mel_BTM - mean_B11) / spread_B11.clamp(min=1e-3)
        told = [seen_BTM, *(intervals(seen_BTM, span, self.config.per_octave) for span in self.config.spans)]
        hidden = self.frame(torch.cat(told, dim=-1)) + self.positions_1TD
        for block in self.blocks:
            hidden = block(hidden)
        return F.normalize(self.out(self.norm(hidden).mean(1)).float(), dim=-1)

    @torch.no_grad()
    def embed(self, wave_N: Tensor, every: float = 3.0) -> Tensor:
        """Mono sound at the model's rate -> (W, D) of unit length: a window ``every`` so many seconds.

        Sound shorter than a window is repeated; what is left after the last whole window is not heard. Raises
        ``InputError`` where the sound is empty or not finite.
        """
        if wave_N.ndim != 1 or not len(wave_N):
            raise InputError("the melody is no sound of one channel; give its samples")
        if not wave_N.isfinite().all():
            raise InputError("the melody holds samples that are no numbers; record or export it again")
        window = round(self.config.window_seconds * self.config.sample_rate)
        if len(wave_N) < window:
            wave_N = wave_N.repeat(-(-window // len(wave_N)))[:window]
        windows_WTM = self.windows(self.mels(wave_N[None])[0], every)
        return torch.cat([self.hear(part.to(self.device)).cpu() for part in windows_WTM.split(AT_ONCE)])

    def windows(self, mel_TM: Tensor, every: float) -> Tensor:
        """All whole windows of log-mels that were made before, one ``every`` so many seconds: (W, T, M)."""
        frames = self.config.frames
        count = int((len(mel_TM) - frames) / (every * self.config.frame_rate) + 1e-6) + 1
        starts = [round(i * every * self.config.frame_rate) for i in range(count)]
        return torch.stack([mel_TM[start : start + frames] for start in starts])

    def quantise(self, embedding_BD: Tensor) -> Tensor:
        """Embeddings -> codes_BK; raises ``WeightsError`` where training has not come to tokens."""
        return quantise(self.quantiser, embedding_BD, "this melody encoder")

    def dequantise(self, codes_BK: Tensor) -> Tensor:
        """codes_BK, K of any number of first levels -> embeddings (B, D) of unit length; raises as ``quantise``."""
        return dequantise(self.quantiser, codes_BK, "this melody encoder")


def mels_of(wave_BN: Tensor, config: MelodyConfig) -> Tensor:
    """Samples at the model's rate -> log-mels: mel_BTM, T = N // hop."""
    filters_MF = (
        pitch_filters(config.sample_rate, config.n_fft, config.bands, config.low, config.per_octave)
        if config.per_octave
        else mel_filters(config.sample_rate, config.n_fft, config.bands, config.low)
    )
    spectrum_BFT = magnitudes(wave_BN, config.n_fft, config.hop)[..., : wave_BN.shape[-1] // config.hop]
    return (filters_MF.to(wave_BN.device) @ spectrum_BFT).clamp(min=_FLOOR).log().transpose(1, 2)


def intervals(mel_BTM: Tensor, span: int, reach: int) -> Tensor:
    """How well each frame fits the one ``span`` before it moved by -``reach`` to ``reach`` bands: (B, T, 2 reach + 1).

    The correlation over bands, three times as large so that it is of about unit size. Where bands are spaced by pitch a
    melody gives a track of its steps, the same in every key and for every sound with its own overtones.
    """
    bands = mel_BTM.shape[-1]
    now_BTM = F.normalize(mel_BTM - mel_BTM.mean(-1, keepdim=True), dim=-1)
    before_BTM = F.pad(now_BTM, (0, 0, span, 0))[:, : now_BTM.shape[1]]
    size = 2 * bands  # no band meets one from the other end
    fits = torch.fft.irfft(torch.fft.rfft(now_BTM, size) * torch.fft.rfft(before_BTM, size).conj(), size)
    return 3 * torch.cat([fits[..., -reach:], fits[..., : reach + 1]], dim=-1)


def save_melody(folder: Path, model: MelodyEncoder, **card: object) -> None:
    """Write the transformer and the tokens' codebooks in compact form."""
    checkpoint.save(folder, {"family": "melody", "melody": asdict(model.config), **card}, compact(model.state_dict()))


def load_melody(folder: Path, device: str = "cpu") -> MelodyEncoder:
    """The model in ``folder``, in evaluation mode; raises ``WeightsError`` where it is not whole."""
    config, tensors = checkpoint.load(folder)
    if config.get("family") != "melody":
        raise WeightsError(f"{folder} holds a {config.get('family')} model, not a melody encoder")
    model = MelodyEncoder(read_config(config.get("melody"), folder))
    checkpoint.load_into(model, expand(tensors), folder)
    return model.eval().to(device)


def read_config(said: Any, source: Path) -> MelodyConfig:
    """The configuration that ``save_melody`` wrote."""
    try:
        return MelodyConfig(**{**said, "spans": tuple(said["spans"])})
    except (KeyError, TypeError) as error:
        raise WeightsError(
            f"{source / 'config.json'} does not describe a melody encoder ({error}); fetch it again"
        ) from None
