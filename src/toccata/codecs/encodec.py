"""EnCodec (arXiv 2210.13438): a neural codec with residual vector quantisation, mono and stereo.

``encodec_24khz()`` and ``encodec_48khz()`` are the paper's, ``encodec_32khz()`` is MusicGen's (arXiv 2306.05284). The
stereo one hears chunks of a second, brings each to the same loudness and fades their sounds into each other.

Shapes: B batch, C channels, N samples, T frames, D latent width, K codebooks, P chunks.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from toccata.codecs import encodec_names
from toccata.errors import InputError, WeightsError
from toccata.nn.rvq import ResidualVectorQuantiser
from toccata.nn.seanet import SEANetDecoder, SEANetEncoder, SEANetSizes, Upsample
from toccata.nn.streaming import in_chunks, overlap_add
from toccata.nn.weightnorm import fold, folded
from toccata.weights import checkpoint, published


@dataclass(frozen=True)
class EnCodecConfig:
    """The defaults are the 24 kHz codec's. ``strides`` run from sound to latents.

    ``causal`` networks see no later sample. ``shortcut`` puts a convolution on the way round a residual unit. ``norm``
    is "weight" or "group"; with "group" the codec works in chunks of ``chunk_seconds``, of which it shares ``overlap``
    with the next, and with ``normalise`` it divides each by its loudness. ``padding`` is "reflect" or "constant".
    """

    sample_rate: int = 24000
    audio_channels: int = 1
    strides: tuple[int, ...] = (2, 4, 5, 8)
    channels: int = 32
    latent: int = 128
    levels: int = 32
    vocabulary: int = 1024
    residual_units: int = 1
    lstm_layers: int = 2
    shortcut: bool = True
    causal: bool = True
    padding: str = "reflect"
    norm: str = "weight"
    normalise: bool = False
    chunk_seconds: float | None = None
    overlap: float = 0.0

    @property
    def stride(self) -> int:
        """Samples a frame."""
        return math.prod(self.strides)

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.sample_rate / self.stride

    @property
    def level_bandwidth(self) -> float:
        """Thousands of bits a second that one level takes."""
        return self.frame_rate * math.log2(self.vocabulary) / 1000

    @property
    def chunk(self) -> int:
        """Samples a chunk; 0 where the codec works on the whole."""
        return int((self.chunk_seconds or 0) * self.sample_rate)

    @property
    def chunk_hop(self) -> int:
        """Samples from one chunk's start to the next one's."""
        return max(1, int((1 - self.overlap) * self.chunk))

    @property
    def chunk_frames(self) -> int:
        """Frames of a whole chunk."""
        return -(-self.chunk // self.stride)


def encodec_24khz() -> EnCodecConfig:
    """The paper's streamable codec: mono, 75 Hz, up to 32 x 1024 = 24 kbit/s."""
    return EnCodecConfig()


def encodec_32khz() -> EnCodecConfig:
    """MusicGen's codec: mono, 50 Hz, 4 x 2048 = 2.2 kbit/s."""
    return EnCodecConfig(
        sample_rate=32000, strides=(4, 4, 5, 8), channels=64, levels=4, vocabulary=2048, shortcut=False, causal=False
    )


def encodec_48khz() -> EnCodecConfig:
    """The paper's codec for music: stereo, 150 Hz, up to 16 x 1024 = 24 kbit/s."""
    return EnCodecConfig(
        sample_rate=48000,
        audio_channels=2,
        levels=16,
        causal=False,
        norm="group",
        normalise=True,
        chunk_seconds=1.0,
        overlap=0.01,
    )


def encodec_mini() -> EnCodecConfig:
    """A small one to train at home: 24 kHz mono, 50 Hz, 8 x 1024 = 4 kbit/s."""
    return EnCodecConfig(strides=(3, 4, 5, 8), channels=16, latent=64, levels=8, lstm_layers=1)


class EnCodec(nn.Module):
    """Codec between waves and codes; ``encode`` and ``decode`` are what other rooms use."""

    def __init__(self, config: EnCodecConfig) -> None:
        super().__init__()
        if config.norm == "group" and not config.chunk:
            raise InputError("group norm needs chunks of a fixed length; set chunk_seconds, or norm to 'weight'")
        self.config = config
        sizes = _seanet(config)
        self.encoder, self.decoder = SEANetEncoder(sizes), SEANetDecoder(sizes)
        self.quantiser = ResidualVectorQuantiser(config.levels, config.vocabulary, config.latent)

    def latents(self, wave_BCN: Tensor) -> Tensor:
        """wave_BCN, one chunk of it where the codec has chunks -> latent_BTD before quantising."""
        return self.encoder(wave_BCN).float()

    def synthesise(self, latent_BTD: Tensor) -> Tensor:
        """latent_BTD, of one chunk where the codec has chunks -> wave_BCN, N = T x stride."""
        return self.decoder(latent_BTD)

    @torch.no_grad()
    def encode(self, wave_BCN: Tensor, levels: int | None = None, bandwidth: float | None = None) -> Tensor:
        """wave_BCN at the codec's rate, in [-1, 1] -> codes_BKT (int64), T = ceil(N / stride).

        K is ``levels``, or as many as fit into ``bandwidth`` kbit/s, or all. A codec with chunks encodes one after
        another: T is then a little more, since chunks overlap.
        """
        levels = self._levels(levels, bandwidth)
        codes = [self.quantiser.encode(self.latents(chunk / scale), levels) for chunk, scale in self._chunks(wave_BCN)]
        return torch.cat(codes, dim=-1)

    @torch.no_grad()
    def scales(self, wave_BCN: Tensor) -> Tensor:
        """The loudness of each chunk, which ``decode`` gives back: scales_BP, root mean squares (or 1)."""
        return torch.cat([scale[..., 0] for _, scale in self._chunks(wave_BCN)], dim=1)

    @torch.no_grad()
    def decode(self, codes_BKT: Tensor, scales_BP: Tensor | None = None) -> Tensor:
        """codes_BKT (K up to all levels) -> wave_BCN in [-1, 1], no shorter than the wave that was encoded.

        ``scales_BP`` is needed where the codec normalises.
        """
        if self.config.chunk:
            return torch.cat(list(self.decode_stream([codes_BKT], scales_BP)), dim=-1)
        return self.synthesise(self._dequantised(codes_BKT)).float().clamp(-1, 1)

    @torch.no_grad()
    def decode_stream(self, parts_BKT: Iterable[Tensor], scales_BP: Tensor | None = None) -> Iterator[Tensor]:
        """Codes in parts, along time -> wave parts that join to ``decode`` of the whole, in constant memory.

        What convolutions see ahead is held back: 5 frames at 32 kHz, 7 at 24 kHz, there at the start only; of chunks
        what the next one shares.
        """
        if self.config.chunk:
            waves = self._decoded_chunks(parts_BKT, scales_BP)
            stream = overlap_add(waves, self.config.chunk_frames * self.config.stride, self.config.chunk_hop)
        else:
            stream = self.decoder.stream(self._dequantised(part) for part in parts_BKT)
        for wave_BCN in stream:
            yield wave_BCN.float().clamp(-1, 1)

    def reconstruct(self, wave_BCN: Tensor, levels: int | None = None, bandwidth: float | None = None) -> Tensor:
        """What ``decode`` makes of the codes of ``wave_BCN``, as long as it was."""
        codes_BKT = self.encode(wave_BCN, levels, bandwidth)
        return self.decode(codes_BKT, self.scales(wave_BCN))[..., : wave_BCN.shape[-1]]

    def _chunks(self, wave_BCN: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Each chunk and its scale (B, 1, 1). No chunk holds only what the one before it has already."""
        config = self.config
        if wave_BCN.dim() != 3 or wave_BCN.shape[1] != config.audio_channels or not wave_BCN.shape[2]:
            wanted = f"{config.audio_channels} channel{'s' if config.audio_channels > 1 else ''}"
            raise InputError(f"the codec takes (batch, channels, samples) with {wanted}, not {tuple(wave_BCN.shape)}")
        samples = wave_BCN.shape[-1]
        length = config.chunk or samples
        fresh = max(samples - (length - config.chunk_hop), 1) if config.chunk else 1
        for start in range(0, fresh, config.chunk_hop):
            chunk = wave_BCN[..., start : start + length]
            mono = chunk.mean(1, keepdim=True)
            scale = mono.square().mean(-1, keepdim=True).sqrt() + 1e-8
            yield chunk, scale if config.normalise else torch.ones_like(scale)

    def _decoded_chunks(self, parts_BKT: Iterable[Tensor], scales_BP: Tensor | None) -> Iterator[Tensor]:
        if self.config.normalise and scales_BP is None:
            raise InputError("this codec normalises loudness; give decode what codec.scales(wave) says of the wave")
        for index, codes_BKT in enumerate(in_chunks(parts_BKT, self.config.chunk_frames)):
            wave_BCN = self.synthesise(self._dequantised(codes_BKT))
            if scales_BP is not None:
                if index >= scales_BP.shape[1]:
                    raise InputError(
                        f"there are codes of more chunks than the {index} that have scales; give all of them"
                    )
                wave_BCN = wave_BCN * scales_BP[:, index, None, None].to(wave_BCN)
            yield wave_BCN

    def _dequantised(self, codes_BKT: Tensor) -> Tensor:
        if codes_BKT.dim() != 3 or not 1 <= codes_BKT.shape[1] <= self.config.levels:
            shape = tuple(codes_BKT.shape)
            raise InputError(f"codes are (batch, 1 to {self.config.levels} levels, frames), not {shape}")
        return self.quantiser.decode(codes_BKT).to(next(self.decoder.parameters()).dtype)

    def _levels(self, levels: int | None, bandwidth: float | None) -> int:
        config = self.config
        if bandwidth is not None:
            most = config.levels * config.level_bandwidth
            if levels is not None or not config.level_bandwidth <= bandwidth + 1e-6 <= most + 2e-6:
                raise InputError(
                    f"bandwidth is {config.level_bandwidth:g} to {most:g} kbit/s in place of levels, not {bandwidth:g}"
                )
            levels = math.floor(bandwidth / config.level_bandwidth + 1e-6)
        if levels is not None and not 1 <= levels <= config.levels:
            raise InputError(f"the codec has 1 to {config.levels} levels, not {levels}")
        return levels or config.levels


def _seanet(config: EnCodecConfig) -> SEANetSizes:
    """The networks of section 3.1: kernels of 3 at half the width, dilated by powers of 2, and an LSTM."""
    return SEANetSizes(
        config.channels,
        config.strides,
        config.latent,
        config.audio_channels,
        kernel=3,
        dilations=tuple(2**unit for unit in range(config.residual_units)),
        narrowing=2,
        shortcut=config.shortcut,
        lstm_layers=config.lstm_layers,
        last_kernel=7,
        causal=config.causal,
        padding=config.padding,
        norm=config.norm,
    )


def save_encodec(folder: Path, codec: EnCodec, **card: object) -> None:
    """Write ``codec`` to ``folder``, weight norm folded; ``card`` says where the weights come from."""
    config = {"family": "encodec", "codec": asdict(codec.config), **card}
    checkpoint.save(folder, config, folded(codec.state_dict()))


def load_encodec(folder: Path) -> EnCodec:
    """The codec in ``folder``, as ``save_encodec`` or transformers wrote it; float32, in evaluation mode.

    Weight norm is folded. Raises ``WeightsError`` where the weights are damaged, incomplete or of another model.
    """
    if published.wrote(folder):
        return encodec_from_transformers(published.read_settings(folder), published.read_tensors(folder), folder)
    config, tensors = checkpoint.load(folder)
    if config.get("family") != "encodec":
        raise WeightsError(f"{folder} holds a {config.get('family')} model, not an EnCodec codec")
    fields = dict(config["codec"], strides=tuple(config["codec"]["strides"]))
    return _filled(EnCodecConfig(**fields), tensors, folder)


def encodec_from_transformers(
    config: Mapping[str, Any], tensors: Mapping[str, Tensor], source: Path, prefix: str = ""
) -> EnCodec:
    """The codec that transformers calls ``config``, from those of ``tensors`` whose names begin with ``prefix``.

    For a MusicGen checkpoint: its configuration's "audio_encoder" and the prefix "audio_encoder.".
    """
    fields = encodec_names.config_of_transformers(config, source)
    return _of_others(EnCodecConfig(**fields), encodec_names.of_transformers(tensors, prefix), source)


def encodec_from_audiocraft(state: Mapping[str, Any], source: Path, config: EnCodecConfig | None = None) -> EnCodec:
    """The codec in audiocraft's compression_state_dict.bin, loaded as plain tensors; by default MusicGen's.

    The weights are under "best_state", in exported files directly and in training's under "model".
    """
    return _of_others(config or encodec_32khz(), encodec_names.of_audiocraft(state, source), source)


def _of_others(config: EnCodecConfig, tensors: dict[str, Tensor], source: Path) -> EnCodec:
    """The codec from ``tensors`` in toccata's names, with transposed convolutions as torch has them."""
    tensors = folded(tensors)
    for name, layer in SEANetDecoder(_seanet(config)).named_modules():
        weight = tensors.get(f"decoder.{name}.conv.weight")
        if isinstance(layer, Upsample) and weight is not None and weight.dim() == 3:
            tensors[f"decoder.{name}.pair.weight"] = layer.of_transposed(tensors.pop(f"decoder.{name}.conv.weight"))
            tensors[f"decoder.{name}.bias"] = tensors.pop(f"decoder.{name}.conv.bias")
    return _filled(config, tensors, source)


def _filled(config: EnCodecConfig, tensors: dict[str, Tensor], source: Path) -> EnCodec:
    codec = EnCodec(config)
    fold(codec)
    checkpoint.load_into(codec, {name: tensor.float() for name, tensor in tensors.items()}, source)
    return codec.eval()
