"""SoundStream (arXiv 2107.03312): a neural codec with residual vector quantisation, 24 kHz mono.

``full()`` is the network as published at MusicLM's rate (50 Hz, 12 x 1024). ``mini()`` keeps the quantiser and its
training, and replaces the convolutions over samples by ConvNeXt blocks over frames: the encoder sees magnitudes
only (no phase, so a language model learns its tokens sooner), the decoder sets a short-time spectrum and a bank of
oscillators.

Shapes: B batch, C channels (1), N samples, T frames, D latent width, K codebooks.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.codecs.frames import FrameDecoder, FrameSizes, SpectrumEncoder
from toccata.errors import InputError, WeightsError
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

    @property
    def frames(self) -> FrameSizes:
        """Sizes of the kind "frames"."""
        shared = {field.name for field in fields(FrameSizes)} & {field.name for field in fields(self)}
        return FrameSizes(**{name: getattr(self, name) for name in shared})


def full() -> SoundStreamConfig:
    """As published, at MusicLM's rate: 50 Hz, 600 tokens a second, 6 kbit/s."""
    return SoundStreamConfig()


def mini() -> SoundStreamConfig:
    """soundstream-mini: 25 Hz, 12 x 1024."""
    return SoundStreamConfig(kind="frames", stride=960, latent=64, octaves=7)


class SoundStream(nn.Module):
    """Codec between waves and codes; ``encode`` and ``decode`` are what other rooms use."""

    def __init__(self, config: SoundStreamConfig) -> None:
        super().__init__()
        self.config = config
        if config.kind == "seanet":
            sizes = SEANetSizes(config.channels, config.strides, config.latent)
            self.encoder, self.decoder = SEANetEncoder(sizes), SEANetDecoder(sizes)
        elif config.kind == "frames":
            self.encoder, self.decoder = SpectrumEncoder(config.frames), FrameDecoder(config.frames)
        else:
            raise InputError(f"unknown kind of codec {config.kind!r}; it is 'seanet' or 'frames'")
        # Unit variance in every dimension keeps the latents from shrinking to where one code is enough.
        self.norm = nn.BatchNorm1d(config.latent, affine=False, momentum=0.05)
        self.quantiser = ResidualVectorQuantiser(config.levels, config.vocabulary, config.latent)

    def latents(self, wave_BCN: Tensor) -> Tensor:
        """wave_BCN (C = 1) -> latent_BTD before quantising, each dimension of unit variance over the training data."""
        wave = F.pad(wave_BCN, (0, -wave_BCN.shape[-1] % self.config.stride))
        return self.norm(self.encoder(wave).float().transpose(1, 2)).transpose(1, 2)

    def synthesise(self, latent_BTD: Tensor, first: int = 0) -> Tensor:
        """latent_BTD, from frame ``first`` of the whole on -> wave_BCN, N = T x stride."""
        return self.decoder(latent_BTD, first) if isinstance(self.decoder, FrameDecoder) else self.decoder(latent_BTD)

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
        for wave_BCN in self.decoder.stream(self.quantiser.decode(part) for part in parts_BKT):
            yield wave_BCN.clamp(-1, 1)


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
