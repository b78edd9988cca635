"""SoundStream (arXiv 2107.03312): a neural codec with residual vector quantisation, 24 kHz mono.

``full()`` is the network as published at MusicLM's rate (50 Hz, 12 x 1024). ``mini()`` keeps the quantiser and its
training, and replaces the convolutions over samples by ConvNeXt blocks over frames: the encoder sees magnitudes
only (no phase, so a language model learns its tokens sooner), the decoder sets a short-time spectrum and a bank of
oscillators.

Shapes: B batch, C channels (1), N samples, T frames, D latent width, K codebooks.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.audio.mel import log_mel, low_magnitudes
from toccata.errors import InputError, WeightsError
from toccata.nn.convnext import ConvNeXtBlock
from toccata.nn.istft import ISTFTHead
from toccata.nn.oscillators import OscillatorBank
from toccata.nn.rvq import ResidualVectorQuantiser
from toccata.nn.seanet import SEANetDecoder, SEANetEncoder, SEANetSizes
from toccata.weights import checkpoint
from toccata.weights.compact import compact, expand

BUNDLED = Path(__file__).parent.parent / "bundled" / "soundstream-mini"


@dataclass(frozen=True)
class SoundStreamConfig:
    """``kind`` is "seanet" (published) or "frames" (the mini's); widths and depths belong to one of them each."""

    kind: str = "seanet"
    sample_rate: int = 24000
    stride: int = 480
    levels: int = 12
    vocabulary: int = 1024
    latent: int = 128
    channels: int = 32
    strides: tuple[int, ...] = (3, 4, 5, 8)
    mel_bands: int = 128
    low_bins: int = 160
    hop: int = 240
    encoder_width: int = 320
    encoder_depth: int = 4
    decoder_width: int = 384
    decoder_depth: int = 4
    synthesis_width: int = 256
    synthesis_depth: int = 4
    octaves: int = 0
    per_octave: int = 36

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.sample_rate / self.stride


def full() -> SoundStreamConfig:
    """As published, at MusicLM's rate: 50 Hz, 600 tokens a second, 6 kbit/s."""
    return SoundStreamConfig()


def mini() -> SoundStreamConfig:
    """soundstream-mini: 25 Hz, 12 x 1024."""
    return SoundStreamConfig(kind="frames", stride=960, latent=64, octaves=7)


class SpectrumEncoder(nn.Module):
    """wave_BN -> latent_BTD from magnitudes only; looks 2,048 samples (85 ms) ahead.

    A mel spectrogram tells timbre and onsets; the lowest bins of a longer transform tell the pitches that mel bands,
    26 Hz wide below 1 kHz, run together.
    """

    mel_fft, low_fft = 1024, 4096

    def __init__(self, config: SoundStreamConfig) -> None:
        super().__init__()
        self.config = config
        self.group = config.stride // config.hop
        fine = config.encoder_width // 2
        self.lift = nn.Linear(config.mel_bands + config.low_bins, fine)
        self.fine = ConvNeXtBlock(fine, kernel=5)
        self.merge = nn.Linear(fine * self.group, config.encoder_width)
        self.blocks = nn.Sequential(*(ConvNeXtBlock(config.encoder_width) for _ in range(config.encoder_depth)))
        self.norm = nn.LayerNorm(config.encoder_width)
        self.project = nn.Linear(config.encoder_width, config.latent)

    def features(self, wave_BN: Tensor) -> Tensor:
        """Logarithms of mel magnitudes and of the lowest bins, about unit variance: (B, N // hop, bands + bins)."""
        config, frames = self.config, wave_BN.shape[-1] // self.config.hop
        mel = log_mel(wave_BN, config.sample_rate, self.mel_fft, config.hop, config.mel_bands, 1e-4)
        low = low_magnitudes(wave_BN, self.low_fft, config.hop, config.low_bins).clamp(min=1e-3).log()
        both = torch.cat([(mel + 4.0) / 2.5, low / 3.0], dim=1)
        return both[..., :frames].transpose(1, 2)

    def forward(self, wave_BN: Tensor) -> Tensor:
        return self.trunk(self.features(wave_BN))

    def trunk(self, features_BTM: Tensor) -> Tensor:
        hidden = self.fine(self.lift(features_BTM))
        B, T, D = hidden.shape
        hidden = self.merge(hidden.reshape(B, T // self.group, D * self.group))
        return self.project(self.norm(self.blocks(hidden)))


class FrameDecoder(nn.Module):
    """latent_BTD -> wave_BN: blocks at the code rate, blocks at the hop rate, inverse STFT and oscillators.

    It looks 480 samples (20 ms) ahead.
    """

    n_fft = 960

    def __init__(self, config: SoundStreamConfig) -> None:
        super().__init__()
        self.group = config.stride // config.hop
        self.lift = nn.Linear(config.latent, config.decoder_width)
        self.blocks = nn.Sequential(*(ConvNeXtBlock(config.decoder_width) for _ in range(config.decoder_depth)))
        self.split = nn.Linear(config.decoder_width, config.synthesis_width * self.group)
        self.fine = nn.Sequential(*(ConvNeXtBlock(config.synthesis_width) for _ in range(config.synthesis_depth)))
        self.norm = nn.LayerNorm(config.synthesis_width)
        self.head = ISTFTHead(config.synthesis_width, self.n_fft, config.hop)
        self.bank = None
        if config.octaves:
            sizes = (config.octaves, config.per_octave, config.hop, self.n_fft, config.sample_rate)
            self.bank = OscillatorBank(config.synthesis_width, *sizes)
        # Every block looks back six frames; two more cover the window of the inverse transform.
        self.context = 6 * config.decoder_depth + -(-6 * config.synthesis_depth // self.group) + 2

    def trunk(self, latent_BTD: Tensor) -> Tensor:
        hidden = self.split(self.blocks(self.lift(latent_BTD)))
        B, T, _ = hidden.shape
        return self.norm(self.fine(hidden.reshape(B, T * self.group, -1)))

    def forward(self, latent_BTD: Tensor, first: int = 0) -> Tensor:
        """``first`` is the frame of the whole sound that latent_BTD begins with."""
        hidden = self.trunk(latent_BTD)
        wave = self.head(hidden)
        return wave if self.bank is None else wave + self.bank(hidden, first * self.group)


class SoundStream(nn.Module):
    """Codec between waves and codes; ``encode`` and ``decode`` are what other rooms use."""

    def __init__(self, config: SoundStreamConfig) -> None:
        super().__init__()
        self.config = config
        if config.kind == "seanet":
            sizes = SEANetSizes(config.channels, config.strides, config.latent)
            self.encoder, self.decoder = SEANetEncoder(sizes), SEANetDecoder(sizes)
        elif config.kind == "frames":
            self.encoder, self.decoder = SpectrumEncoder(config), FrameDecoder(config)
        else:
            raise InputError(f"unknown kind of codec {config.kind!r}; it is 'seanet' or 'frames'")
        # Unit variance in every dimension keeps the latents from shrinking to where one code is enough.
        self.norm = nn.BatchNorm1d(config.latent, affine=False, momentum=0.05)
        self.quantiser = ResidualVectorQuantiser(config.levels, config.vocabulary, config.latent)

    def latents(self, wave_BCN: Tensor) -> Tensor:
        """wave_BCN (C = 1) -> latent_BTD before quantising, each dimension of unit variance over the training data."""
        wave = F.pad(wave_BCN, (0, -wave_BCN.shape[-1] % self.config.stride))
        latent = self.encoder(wave[:, 0]) if self.config.kind == "frames" else self.encoder(wave)
        return self.norm(latent.float().transpose(1, 2)).transpose(1, 2)

    def synthesise(self, latent_BTD: Tensor, first: int = 0) -> Tensor:
        """latent_BTD, from frame ``first`` of the whole on -> wave_BCN, N = T x stride."""
        if isinstance(self.decoder, FrameDecoder):
            return self.decoder(latent_BTD, first)[:, None]
        return self.decoder(latent_BTD)

    @torch.no_grad()
    def encode(self, wave_BCN: Tensor, levels: int | None = None) -> Tensor:
        """wave_BCN at the codec's rate, in [-1, 1] -> codes_BKT (int64), T = ceil(N / stride)."""
        if wave_BCN.dim() != 3 or wave_BCN.shape[1] != 1:
            raise InputError(f"the codec takes mono audio shaped (batch, 1, samples), not {tuple(wave_BCN.shape)}")
        if levels is not None and not 1 <= levels <= self.config.levels:
            raise InputError(f"the codec has 1 to {self.config.levels} levels, not {levels}")
        return self.quantiser.encode(self.latents(wave_BCN), levels)

    @torch.no_grad()
    def decode(self, codes_BKT: Tensor) -> Tensor:
        """codes_BKT (K up to all levels) -> wave_BCN in [-1, 1]."""
        return self.synthesise(self.quantiser.decode(codes_BKT)).clamp(-1, 1)

    @torch.no_grad()
    def decode_stream(self, parts_BKT: Iterable[Tensor]) -> Iterator[Tensor]:
        """Codes in parts, along time -> wave parts that join to ``decode`` of the whole, in constant memory.

        Each part re-reads the decoder's finite left context; in the mini, half a window of sound is held back until
        its neighbours are known.
        """
        if isinstance(self.decoder, SEANetDecoder):
            for wave_BCN in self.decoder.stream(self.quantiser.decode(part) for part in parts_BKT):
                yield wave_BCN.clamp(-1, 1)
            return
        stride, held = self.config.stride, self.decoder.n_fft // 2
        context = self.decoder.context
        recent: Tensor | None = None
        emitted = total = 0
        for part in parts_BKT:
            recent = part if recent is None else torch.cat([recent, part], dim=-1)
            total += part.shape[-1]
            first = total - recent.shape[-1]
            wave = self.synthesise(self.quantiser.decode(recent), first).clamp(-1, 1)
            yield wave[..., emitted - first * stride : wave.shape[-1] - held]
            emitted = total * stride - held
            keep = min(recent.shape[-1], context + 1)
            recent, last = recent[..., -keep:], wave[..., wave.shape[-1] - held :]
        if recent is not None:
            yield last


def save_soundstream(folder: Path, codec: SoundStream, **card: object) -> None:
    """Write ``codec`` to ``folder`` in compact form; ``card`` says where the weights come from."""
    config = {"family": "soundstream", "codec": asdict(codec.config), **card}
    checkpoint.save(folder, config, compact(codec.state_dict()))


def codes_hash(folder: Path | None = None) -> str:
    """SHA-256 of what decides the codes of the codec in ``folder``: all but its decoder."""
    codec, digest = load_soundstream(folder), hashlib.sha256()
    for name, tensor in sorted(codec.state_dict().items()):
        if not name.startswith("decoder."):
            digest.update(f"{name} {tuple(tensor.shape)}".encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


def load_soundstream(folder: Path | None = None) -> SoundStream:
    """The codec in ``folder``, or soundstream-mini as it ships; float32, in evaluation mode."""
    folder = folder or BUNDLED
    config, tensors = checkpoint.load(folder)
    if config.get("family") != "soundstream":
        raise WeightsError(f"{folder} holds a {config.get('family')} model, not a SoundStream codec")
    fields = dict(config["codec"], strides=tuple(config["codec"]["strides"]))
    codec = SoundStream(SoundStreamConfig(**fields))
    checkpoint.load_into(codec, expand(tensors), folder)
    return codec.eval()
