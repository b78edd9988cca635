"""A melody as a vector, whatever sounds it (MusicLM, arXiv 2301.11325, section 6): a small ViT over mel frames.

Shapes: B or W windows, N samples, T frames, M mel bands, P pitch classes of an octave, K levels, D width.
"""

import math
from collections.abc import Sequence
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
SEMITONES = 12
_UNSURE = 0.3  # of a pitch class, below which none is told


@dataclass(frozen=True)
class MelodyConfig:
    """A transformer that sees ``window_seconds`` of log-mel, a frame a token, and the tokens of what it says.

    There are ``bands`` bands every ``hop`` samples: on the mel scale, or, where ``per_octave`` is not 0, so many to an
    octave from ``low`` Hz on; tokens then say which pitches sound (``tune``). Vectors have ``embedding`` numbers, made
    of the mean over all tokens, or, with ``narrow``, of so many numbers of each. Where ``back`` is not 0, a layer of so
    many units gives the tune back from the vector, frame by frame.
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
    back: int = 0
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
        narrow=24, back=512,
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
        self.back = (
            nn.Sequential(
                nn.Linear(config.embedding, config.back),
                nn.GELU(),
                nn.Linear(config.back, config.frames * config.per_octave),
            )
            if config.back
            else None
        )
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
        return self.vector(self.see(mel_BTM)[0])

    def see(self, mel_BTM: Tensor) -> tuple[Tensor, Tensor]:
        """What of log-mels the transformer sees, (B, T, M), and which band lies in the middle of it, (B,)."""
        mean_B11, spread_B11 = mel_BTM.mean((1, 2), keepdim=True), mel_BTM.std((1, 2), keepdim=True)
        seen_BTM = (mel_BTM - mean_B11) / spread_B11.clamp(min=1e-3)
        if not self.config.per_octave:
            return seen_BTM, torch.full((len(seen_BTM),), seen_BTM.shape[-1] // 2, device=seen_BTM.device)
        share_BTM = salience(seen_BTM, self.config.per_octave)
        middle_B = median_band(share_BTM)
        return turned(share_BTM, middle_B), middle_B

    def vector(self, seen_BTM: Tensor) -> Tensor:
        """What was seen -> (B, D) of unit length."""
        hidden = self.frame(seen_BTM) + self.positions_1TD
        for block in self.blocks:
            hidden = block(hidden)
        hidden = self.norm(hidden)
        pooled_BD = hidden.mean(1) if self.narrow is None else self.narrow(hidden).flatten(1)
        return F.normalize(self.out(pooled_BD).float(), dim=-1)

    def give_back(self, vector_BD: Tensor) -> Tensor:
        """Vectors -> logits_BTP of the pitch class that sounds in each frame, counted from that of the middle."""
        assert self.back is not None
        return self.back(vector_BD).unflatten(-1, (self.config.frames, self.config.per_octave))

    @torch.no_grad()
    def embed(self, wave_N: Tensor, every: float = 3.0) -> Tensor:
        """Mono sound at the model's rate -> (W, D) of unit length: a window ``every`` so many seconds.

        Sound shorter than a window is repeated; what is left after the last whole window is not heard. Raises
        ``InputError`` where the sound is empty or not finite.
        """
        _check(wave_N)
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

    @torch.no_grad()
    def tune(self, wave_N: Tensor, starts: Sequence[float]) -> Tensor:
        """Mono sound -> (T,): the tune as the tokens of windows that begin at ``starts`` seconds give it back.

        Frame by frame from the first window on: a semitone above ``low``, 0 to 11 in whatever octave, or 12 where none
        is sure. The windows lie no further apart than they are long; sound is heard again and again. Raises as
        ``embed``.
        """
        _check(wave_N)
        config = self.config
        size_N = torch.arange(round(config.window_seconds * config.sample_rate))
        cuts_WN = torch.stack([wave_N[(size_N + round(at * config.sample_rate)) % len(wave_N)] for at in starts])
        chances_WTP: list[Tensor] = []
        for mel_WTM in self.mels(cuts_WN.to(self.device)).split(AT_ONCE):
            seen_WTM, middle_W = self.see(mel_WTM)
            kept_WD = self.dequantise(self.quantise(self.vector(seen_WTM))).to(self.device)
            chance_WTP = self.give_back(kept_WD).softmax(-1)
            class_WP = (torch.arange(config.per_octave, device=self.device) - middle_W[:, None]) % config.per_octave
            chances_WTP.append(chance_WTP.gather(2, class_WP[:, None].expand_as(chance_WTP)))
        last = round((starts[-1] - starts[0]) * config.frame_rate)
        tune_T = torch.full((last + config.frames,), SEMITONES)
        for start, chance_TP in zip(starts, torch.cat(chances_WTP), strict=True):
            first = round((start - starts[0]) * config.frame_rate)
            tune_T[first : first + config.frames] = semitones(chance_TP).cpu()
        return tune_T

    def quantise(self, embedding_BD: Tensor) -> Tensor:
        """Embeddings -> codes_BK; raises ``WeightsError`` where training has not come to tokens."""
        return quantise(self.quantiser, embedding_BD, "this melody encoder")

    def dequantise(self, codes_BK: Tensor) -> Tensor:
        """codes_BK, K of any number of first levels -> embeddings (B, D) of unit length; raises as ``quantise``."""
        return dequantise(self.quantiser, codes_BK, "this melody encoder")


def _check(wave_N: Tensor) -> None:
    if wave_N.ndim != 1 or not len(wave_N):
        raise InputError("the melody is no sound of one channel; give its samples")
    if not wave_N.isfinite().all():
        raise InputError("the melody holds samples that are no numbers; record or export it again")


def mels_of(wave_BN: Tensor, config: MelodyConfig) -> Tensor:
    """Samples at the model's rate -> log-mels: mel_BTM, T = N // hop."""
    filters_MF = (
        pitch_filters(config.sample_rate, config.n_fft, config.bands, config.low, config.per_octave)
        if config.per_octave
        else mel_filters(config.sample_rate, config.n_fft, config.bands, config.low)
    )
    spectrum_BFT = magnitudes(wave_BN, config.n_fft, config.hop)[..., : wave_BN.shape[-1] // config.hop]
    return (filters_MF.to(wave_BN.device) @ spectrum_BFT).clamp(min=_FLOOR).log().transpose(1, 2)


def salience(mel_BTM: Tensor, per_octave: int) -> Tensor:
    """How surely each band is the pitch that sounds, in each frame: (B, T, M), a frame's sum is 1.

    A band counts by how far it stands out from the octave around it, together with its overtones (harmonic summation,
    Hermes 1988).
    """
    bands = mel_BTM.shape[-1]
    around_BTM = F.avg_pool1d(mel_BTM, per_octave + 1, 1, per_octave // 2, count_include_pad=False)
    outstanding_BTM = (mel_BTM - around_BTM).clamp(min=0)
    sum_BTM = outstanding_BTM
    for harmonic, weight in _OVERTONES:
        up = round(per_octave * math.log2(harmonic))
        sum_BTM = sum_BTM + weight * F.pad(outstanding_BTM[..., up:], (0, min(up, bands)))
    return (_SURENESS * sum_BTM).softmax(-1)


def median_band(share_BTM: Tensor) -> Tensor:
    """The band in which the median of the pitches of the whole window lies: (B,)."""
    below_BM = share_BTM.sum(1).cumsum(-1) / share_BTM.shape[1]
    return (below_BM < 0.5).sum(-1)


def turned(share_BTM: Tensor, middle_B: Tensor) -> Tensor:
    """All frames turned so that band ``middle_B`` lies in the middle: a tune in another key then looks the same."""
    bands = share_BTM.shape[-1]
    place_BM = (torch.arange(bands, device=share_BTM.device) + middle_B[:, None] - bands // 2) % bands
    return share_BTM.gather(2, place_BM[:, None].expand_as(share_BTM))


def classes(share_BTM: Tensor, per_octave: int, first: int) -> Tensor:
    """Bands of all octaves together, from that of band ``first`` on: (B, T, P)."""
    bands = share_BTM.shape[-1]
    class_M = (torch.arange(bands, device=share_BTM.device) - first) % per_octave
    sums_BTP = share_BTM.new_zeros(*share_BTM.shape[:-1], per_octave)
    return sums_BTP.index_add(-1, class_M, share_BTM)


def semitones(chance_TP: Tensor) -> Tensor:
    """The likeliest semitone of each frame, 0 to 11, or 12 where none is sure; P is twelve or a multiple of it."""
    size = chance_TP.shape[-1] // SEMITONES
    away_PS = (torch.arange(chance_TP.shape[-1])[:, None] / size - torch.arange(SEMITONES) + 6) % SEMITONES - 6
    best = (chance_TP @ (1 - away_PS.abs()).clamp(min=0).to(chance_TP)).max(-1)
    return best.indices.where(best.values >= _UNSURE, SEMITONES)


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
