"""A melody as a vector, whatever sounds it (MusicLM, arXiv 2301.11325, section 6): a small ViT over mel frames.

Shapes: B or W windows, N samples, T frames, M mel bands, K levels, D width.
"""

import math
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
_OVERTONES = ((2, 0.8), (3, 0.6), (4, 0.5), (5, 0.4))
_SURENESS = 4.0


@dataclass(frozen=True)
class MelodyConfig:
    """A transformer that sees ``window_seconds`` of log-mel, a frame a token, and the tokens of what it says.

    There are ``bands`` bands every ``hop`` samples: on the mel scale, or, where ``per_octave`` is not 0, so many to an
    octave from ``low`` Hz on; tokens then say which pitches sound (``tune``). Vectors have ``embedding`` numbers, made
    of the mean over all tokens, or, with ``narrow``, of so many numbers of each.
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
    narrow: int = 0
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


def full() -> MelodyConfig:
    """As published: 12 layers, 6 heads, 512/1024; what the paper does not tell (heads of 64, mels) is our choice."""
    return MelodyConfig()


def mini() -> MelodyConfig:
    """melody-mini: bands of half a semitone 16 times a second, heard as pitches around their middle.

    A transposition then changes little, and a tune is told from others before anything is learnt.
    """
    return MelodyConfig(
        width=192, layers=4, heads=3, inner=512, dropout=0.0, n_fft=2048, hop=1000, bands=152, per_octave=24, low=73.4,
        narrow=24,
    )  # fmt: skip


class MelodyEncoder(nn.Module):
    """The transformer and the quantiser of what it says."""

    def __init__(self, config: MelodyConfig) -> None:
        super().__init__()
        self.config = config
        self.frame = nn.Linear(config.bands, config.width)
        self.positions_1TD = nn.Parameter(0.02 * torch.randn(1, config.frames, config.width))
        self.blocks = Blocks(
            Block(
                config.width, config.heads, config.inner, cross=False, causal=False, dropout=config.dropout, bias=True,
                head_width=config.head_width,
            )
            for _ in range(config.layers)
        )  # fmt: skip
        self.norm = nn.LayerNorm(config.width)
        self.narrow = nn.Linear(config.width, config.narrow) if config.narrow else None
        self.out = nn.Linear(config.narrow * config.frames or config.width, config.embedding)
        self.quantiser = ResidualVectorQuantiser(config.levels, config.vocabulary, config.embedding)
        if config.per_octave:  # neighbouring pitches begin alike, and nothing is mixed in yet
            with torch.no_grad():
                self.frame.weight.copy_(smooth(torch.randn(config.width, config.bands), config.per_octave // 8))
            for block in self.blocks:
                nn.init.zeros_(block.attention.out.weight)
                nn.init.zeros_(block.down.weight)

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
        if self.config.per_octave:
            seen_BTM = tune(seen_BTM, self.config.per_octave)
        hidden = self.frame(seen_BTM) + self.positions_1TD
        for block in self.blocks:
            hidden = block(hidden)
        hidden = self.norm(hidden)
        pooled_BD = hidden.mean(1) if self.narrow is None else self.narrow(hidden).flatten(1)
        return F.normalize(self.out(pooled_BD).float(), dim=-1)

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


def tune(mel_BTM: Tensor, per_octave: int) -> Tensor:
    """How surely each band is the pitch that sounds, in each frame: (B, T, M), a frame's sum is 1.

    A band counts by how far it stands out from the octave around it, together with its overtones (harmonic summation,
    Hermes 1988). All frames are then turned so that the median over the whole window lies in the middle: the same tune
    in another key looks the same.
    """
    bands = mel_BTM.shape[-1]
    around_BTM = F.avg_pool1d(mel_BTM, per_octave + 1, 1, per_octave // 2, count_include_pad=False)
    outstanding_BTM = (mel_BTM - around_BTM).clamp(min=0)
    sum_BTM = outstanding_BTM
    for harmonic, weight in _OVERTONES:
        up = round(per_octave * math.log2(harmonic))
        sum_BTM = sum_BTM + weight * F.pad(outstanding_BTM[..., up:], (0, min(up, bands)))
    share_BTM = (_SURENESS * sum_BTM).softmax(-1)
    below_BM = share_BTM.sum(1).cumsum(-1) / share_BTM.shape[1]
    first_B1 = (below_BM < 0.5).sum(-1, keepdim=True) - bands // 2
    place_BM = (torch.arange(bands, device=mel_BTM.device) + first_B1) % bands
    return share_BTM.gather(2, place_BM[:, None].expand_as(share_BTM))


def smooth(rows_DM: Tensor, width: int) -> Tensor:
    """Rows blurred by a Gaussian of ``width`` columns."""
    reach = 2 * width
    bell = torch.exp(-(torch.arange(-reach, reach + 1) ** 2) / (2 * max(width, 1) ** 2))
    return F.conv1d(rows_DM[:, None], bell[None, None], padding=reach)[:, 0]


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
        return MelodyConfig(**said)
    except (KeyError, TypeError) as error:
        raise WeightsError(
            f"{source / 'config.json'} does not describe a melody encoder ({error}); fetch it again"
        ) from None
