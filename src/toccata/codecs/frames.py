"""A codec's encoder and decoder that work on frames instead of samples: what the minis have.

The encoder sees magnitudes only, no phase. The decoder sets a short-time spectrum and a bank of oscillators, whose
phases turn with time itself. In stereo the middle (half the sum of left and right) goes the same way, and what the
sides are comes beside it.

Shapes: B batch, C channels, N samples, T frames, D latent width, M features.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from toccata.audio.mel import log_mel, low_magnitudes
from toccata.nn.convnext import ConvNeXtBlock
from toccata.nn.istft import ISTFTHead
from toccata.nn.oscillators import OscillatorBank
from toccata.nn.streaming import in_parts

_KERNEL, _FINE_KERNEL = 7, 5
_TOP_BANDS, _SIDE_BANDS = 16, 64


@dataclass(frozen=True)
class FrameSizes:
    """``stride`` samples a frame, in ``hop``s of about 10 ms; ``octaves`` of oscillators, 0 for none.

    Windows of the encoder, in samples: ``mel_fft`` for timbre up to ``mel_high`` Hz, ``low_fft`` for the pitches of the
    lowest ``low_bins``; ``n_fft`` is the decoder's.
    """

    sample_rate: int = 24000
    stride: int = 960
    hop: int = 240
    latent: int = 64
    mel_bands: int = 128
    mel_fft: int = 1024
    mel_high: float = 12000.0
    low_bins: int = 160
    low_fft: int = 4096
    n_fft: int = 960
    encoder_width: int = 320
    encoder_depth: int = 4
    decoder_width: int = 384
    decoder_depth: int = 4
    synthesis_width: int = 256
    synthesis_depth: int = 4
    octaves: int = 0
    per_octave: int = 36

    @property
    def group(self) -> int:
        """Hops a frame."""
        return self.stride // self.hop


class SpectrumEncoder(nn.Module):
    """wave_BCN -> latent_BTD from magnitudes only; looks half of ``low_fft`` ahead.

    A mel spectrogram tells timbre and onsets; the lowest bins of a longer transform tell the pitches that mel bands,
    26 Hz wide below 1 kHz, run together.
    """

    def __init__(self, sizes: FrameSizes, outputs: int | None = None) -> None:
        """``outputs`` a frame, ``sizes.latent`` if not told."""
        super().__init__()
        self.sizes = sizes
        fine = sizes.encoder_width // 2
        self.lift = nn.Linear(sizes.mel_bands + sizes.low_bins, fine)
        self.fine = ConvNeXtBlock(fine, kernel=_FINE_KERNEL)
        self.merge = nn.Linear(fine * sizes.group, sizes.encoder_width)
        self.blocks = nn.Sequential(*(ConvNeXtBlock(sizes.encoder_width, _KERNEL) for _ in range(sizes.encoder_depth)))
        self.norm = nn.LayerNorm(sizes.encoder_width)
        self.project = nn.Linear(sizes.encoder_width, outputs or sizes.latent)

    def features(self, wave_BCN: Tensor) -> Tensor:
        """Logarithms of mel magnitudes and of the lowest bins, about unit variance: (B, N // hop, bands + bins)."""
        sizes, wave_BN = self.sizes, wave_BCN.mean(1)
        low = low_magnitudes(wave_BN, sizes.low_fft, sizes.hop, sizes.low_bins).clamp(min=1e-3).log()
        low = low - math.log(sizes.low_fft / 4096)  # as loud as in windows of the first mini's length
        both = torch.cat([self.mels(wave_BN, sizes.mel_bands, high=sizes.mel_high), low / 3.0], dim=1)
        return both[..., : wave_BN.shape[-1] // sizes.hop].transpose(1, 2)

    def mels(self, wave_BN: Tensor, bands: int, low: float = 0.0, high: float | None = None) -> Tensor:
        """Log-mels of about unit variance: (B, bands, T)."""
        sizes = self.sizes
        mel_BMT = log_mel(wave_BN, sizes.sample_rate, sizes.mel_fft, sizes.hop, bands, 1e-4, low, high)
        return (mel_BMT - math.log(sizes.mel_fft / 1024) + 4.0) / 2.5

    def forward(self, wave_BCN: Tensor) -> Tensor:
        return self.trunk(self.features(wave_BCN))

    def trunk(self, features_BTM: Tensor) -> Tensor:
        return self.blocks_of(self.lift(features_BTM))

    def blocks_of(self, lifted_BTD: Tensor) -> Tensor:
        hidden = self.fine(lifted_BTD)
        B, T, D = hidden.shape
        hidden = self.merge(hidden.reshape(B, T // self.sizes.group, D * self.sizes.group))
        return self.project(self.norm(self.blocks(hidden)))

    @property
    def view(self) -> tuple[int, int]:
        """How many frames before and after its own a latent depends on."""
        sizes = self.sizes
        window = -(-max(sizes.mel_fft, sizes.low_fft) // 2 // sizes.stride) + 1
        fine = -(-(_FINE_KERNEL - 1) // sizes.group)
        return (_KERNEL - 1) * sizes.encoder_depth + fine + window, window

    def stream(self, parts_BCN: Iterable[Tensor]) -> Iterator[Tensor]:
        """Waves in parts of whole frames -> (B, T, D) in parts that join to ``forward`` of the whole."""
        frames = (part.unflatten(-1, (-1, self.sizes.stride)).transpose(2, 3) for part in parts_BCN)
        encode = lambda part_BCNT: self(part_BCNT.transpose(2, 3).flatten(2)).transpose(1, 2)  # noqa: E731
        for part_BDT in in_parts(frames, encode, *self.view):
            yield part_BDT.transpose(1, 2)


class StereoEncoder(SpectrumEncoder):
    """The same for left and right: what the middle is, as ``SpectrumEncoder`` sees it, and what it is not.

    That is its top beyond ``mel_high``, how loud the sides are, and how much louder left is than right, by bands.
    """

    def __init__(self, sizes: FrameSizes, outputs: int | None = None) -> None:
        super().__init__(sizes, outputs)
        self.top_bands = _TOP_BANDS if sizes.mel_high < sizes.sample_rate / 2 else 0
        self.aside = nn.Linear(self.top_bands + 2 * _SIDE_BANDS, sizes.encoder_width // 2, bias=False)
        nn.init.zeros_(self.aside.weight)

    def beside(self, wave_BCN: Tensor) -> Tensor:
        """The features that one channel does not have: (B, N // hop, M)."""
        left_BN, right_BN = wave_BCN.unbind(1)
        side, left, right = (
            self.mels(wave_BN, _SIDE_BANDS) for wave_BN in ((left_BN - right_BN) / 2, left_BN, right_BN)
        )
        both = torch.cat([side, (left - right).clamp(-2, 2)], dim=1)
        if self.top_bands:
            both = torch.cat([self.mels(wave_BCN.mean(1), self.top_bands, low=self.sizes.mel_high), both], dim=1)
        return both[..., : wave_BCN.shape[-1] // self.sizes.hop].transpose(1, 2)

    def forward(self, wave_BCN: Tensor) -> Tensor:
        return self.blocks_of(self.lift(self.features(wave_BCN)) + self.aside(self.beside(wave_BCN)))


class FrameDecoder(nn.Module):
    """latent_BTD -> wave_BCN: blocks at the code rate, blocks at the hop rate, inverse STFT and oscillators.

    It looks half of ``n_fft`` ahead.
    """

    def __init__(self, sizes: FrameSizes) -> None:
        super().__init__()
        self.sizes = sizes
        width = sizes.synthesis_width
        self.lift = nn.Linear(sizes.latent, sizes.decoder_width)
        self.blocks = nn.Sequential(*(ConvNeXtBlock(sizes.decoder_width, _KERNEL) for _ in range(sizes.decoder_depth)))
        self.split = nn.Linear(sizes.decoder_width, width * sizes.group)
        self.fine = nn.Sequential(*(ConvNeXtBlock(width, _KERNEL) for _ in range(sizes.synthesis_depth)))
        self.norm = nn.LayerNorm(width)
        self.head = ISTFTHead(width, sizes.n_fft, sizes.hop)
        self.bank = _bank(sizes) if sizes.octaves else None
        # What the blocks look back; two frames more cover the window of the inverse transform.
        back = _KERNEL - 1
        self.context = back * sizes.decoder_depth + -(-back * sizes.synthesis_depth // sizes.group) + 2

    def trunk(self, latent_BTD: Tensor) -> Tensor:
        hidden = self.split(self.blocks(self.lift(latent_BTD)))
        B, T, _ = hidden.shape
        return self.norm(self.fine(hidden.reshape(B, T * self.sizes.group, -1)))

    def forward(self, latent_BTD: Tensor, first: int = 0) -> Tensor:
        """``first`` is the frame of the whole sound that latent_BTD begins with."""
        return self._sound(self.trunk(latent_BTD), first, self.head, self.bank)[:, None]

    def _sound(self, hidden_BTD: Tensor, first: int, head: ISTFTHead, bank: OscillatorBank | None) -> Tensor:
        wave_BN = head(hidden_BTD)
        return wave_BN if bank is None else wave_BN + bank(hidden_BTD, first * self.sizes.group)

    @property
    def view(self) -> tuple[int, int]:
        """How many frames before and after its own a sample depends on."""
        return self.context, -(-self.sizes.n_fft // 2 // self.sizes.stride)

    def stream(self, parts_BTD: Iterable[Tensor]) -> Iterator[Tensor]:
        """Latents in parts -> wave parts that join to ``forward`` of the whole, in constant memory.

        Each part re-reads the finite left context; half a window of sound is held back until its neighbours are known.
        """
        stride, held = self.sizes.stride, self.sizes.n_fft // 2
        recent: Tensor | None = None
        emitted = total = 0
        for part in parts_BTD:
            recent = part if recent is None else torch.cat([recent, part], dim=1)
            total += part.shape[1]
            first = total - recent.shape[1]
            wave = self(recent, first)
            yield wave[..., emitted - first * stride : wave.shape[-1] - held]
            emitted = total * stride - held
            keep = min(recent.shape[1], self.context + 1)
            recent, last = recent[:, -keep:], wave[..., wave.shape[-1] - held :]
        if recent is not None:
            yield last


class StereoDecoder(FrameDecoder):
    """The same with a second spectrum and bank for the sides: half the difference of left and right."""

    def __init__(self, sizes: FrameSizes) -> None:
        super().__init__(sizes)
        self.side_head = ISTFTHead(sizes.synthesis_width, sizes.n_fft, sizes.hop)
        self.side_bank = _bank(sizes) if sizes.octaves else None
        with torch.no_grad():  # all but silent
            self.side_head.project.weight.mul_(0.1)
            self.side_head.project.bias[: sizes.n_fft // 2 + 1] -= 3.0

    def forward(self, latent_BTD: Tensor, first: int = 0) -> Tensor:
        hidden = self.trunk(latent_BTD)
        middle_BN = self._sound(hidden, first, self.head, self.bank)
        side_BN = self._sound(hidden, first, self.side_head, self.side_bank)
        return torch.stack([middle_BN + side_BN, middle_BN - side_BN], dim=1)


def _bank(sizes: FrameSizes) -> OscillatorBank:
    return OscillatorBank(
        sizes.synthesis_width, sizes.octaves, sizes.per_octave, sizes.hop, sizes.n_fft, sizes.sample_rate
    )
