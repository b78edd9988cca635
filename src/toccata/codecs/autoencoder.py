"""Stable Audio's autoencoder (arXiv 2402.04825, section 3.1; 2407.14358, section 3): stereo sound to few latents.

A convolutional variational autoencoder. Its latents are no codes: a diffusion model draws them.

Shapes: B batch, C channels (2), N samples, T frames, D latent width.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.codecs import autoencoder_names
from toccata.codecs.frames import FrameSizes, StereoDecoder, StereoEncoder
from toccata.errors import InputError, WeightsError
from toccata.nn.oobleck import OobleckDecoder, OobleckEncoder, OobleckSizes
from toccata.nn.seanet import Upsample
from toccata.nn.weightnorm import fold, folded
from toccata.weights import checkpoint, published
from toccata.weights.compact import compact, expand

TILE_FRAMES = 128  # of the published sizes, a tile takes less than 1 GiB


@dataclass(frozen=True)
class AutoencoderConfig:
    """The defaults are Stable Audio Open's. ``strides`` run from sound to latents, ``widths`` are of ``channels``.

    ``scale`` is what latents are divided by for the diffusion model. With ``frames`` the network is the mini's, which
    works on frames instead of samples, and has its sizes; those of the published network say nothing then.
    """

    sample_rate: int = 44100
    audio_channels: int = 2
    channels: int = 128
    decoder_channels: int = 128
    widths: tuple[int, ...] = (1, 2, 4, 8, 16)
    strides: tuple[int, ...] = (2, 4, 4, 8, 8)
    latent: int = 64
    scale: float = 1.0
    frames: FrameSizes | None = None

    @property
    def stride(self) -> int:
        """Samples a frame."""
        return self.frames.stride if self.frames else math.prod(self.strides)

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.sample_rate / self.stride


def full() -> AutoencoderConfig:
    """As Stable Audio 2 and Open have it: 2,048 samples a frame, 21.5 Hz."""
    return AutoencoderConfig()


def half() -> AutoencoderConfig:
    """At the rate of the first Stable Audio, whose own layers were another codec's: 1,024 samples a frame, 43 Hz."""
    return AutoencoderConfig(widths=(2, 4, 8, 16), strides=(4, 4, 8, 8))


def mini() -> AutoencoderConfig:
    """autoencoder-mini: soundstream-mini's network in stereo, at 25 frames a second, without its quantiser."""
    sizes = FrameSizes(sample_rate=44100, stride=1764, hop=441, mel_fft=1920, low_fft=7500, n_fft=1764, octaves=8)
    return AutoencoderConfig(latent=sizes.latent, frames=sizes)


class Autoencoder(nn.Module):
    """Between waves and latents; ``encode`` and ``decode`` are what other rooms use."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        if config.frames:
            self.encoder = StereoEncoder(config.frames, 2 * config.latent)
            self.decoder = StereoDecoder(config.frames)
        else:
            self.encoder = OobleckEncoder(_sizes(config, config.channels), 2 * config.latent)
            self.decoder = OobleckDecoder(_sizes(config, config.decoder_channels), config.latent)

    def distribution(self, wave_BCN: Tensor) -> tuple[Tensor, Tensor]:
        """wave_BCN of whole frames -> mean_BTD and standard deviation spread_BTD of its latents."""
        return _distribution(self.encoder(wave_BCN))

    def synthesise(self, latent_BTD: Tensor) -> Tensor:
        """latent_BTD, not divided by the scale -> wave_BCN, N = T x stride, unbounded."""
        return self.decoder(latent_BTD)

    @torch.no_grad()
    def encode(self, wave_BCN: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """wave_BCN at the codec's rate, in [-1, 1] -> latent_BTD, T = ceil(N / stride), in constant memory.

        The means, or, with a ``generator``, draws from the distribution. Long sound goes in tiles that overlap by what
        the network sees: within 1e-4 of the whole in one piece.
        """
        config = self.config
        if wave_BCN.dim() != 3 or wave_BCN.shape[1] != config.audio_channels or not wave_BCN.shape[2]:
            shape = tuple(wave_BCN.shape)
            raise InputError(f"the codec takes (batch, {config.audio_channels} channels, samples), not {shape}")
        wave = F.pad(wave_BCN, (0, -wave_BCN.shape[-1] % config.stride))
        parts = self.encoder.stream(wave.split(TILE_FRAMES * config.stride, dim=-1))
        mean_BTD, spread_BTD = _distribution(torch.cat(list(parts), dim=1).float())
        if generator is not None:
            noise = torch.randn(mean_BTD.shape, generator=generator, device=generator.device)
            mean_BTD = mean_BTD + spread_BTD * noise.to(mean_BTD)
        return mean_BTD / config.scale

    @torch.no_grad()
    def decode(self, latent_BTD: Tensor) -> Tensor:
        """latent_BTD -> wave_BCN in [-1, 1], N = T x stride; in tiles, as ``encode``."""
        return torch.cat(list(self.decode_stream([latent_BTD])), dim=-1)

    @torch.no_grad()
    def decode_stream(self, parts_BTD: Iterable[Tensor]) -> Iterator[Tensor]:
        """Latents in parts -> wave parts that join to ``decode`` of the whole, in constant memory.

        What the decoder sees ahead, 10 frames at the published sizes, is held back.
        """
        scale, dtype = self.config.scale, next(self.decoder.parameters()).dtype
        tiles = (tile.to(dtype) * scale for part in parts_BTD for tile in part.split(TILE_FRAMES, dim=1))
        for wave_BCN in self.decoder.stream(tiles):
            yield wave_BCN.float().clamp(-1, 1)


def _sizes(config: AutoencoderConfig, channels: int) -> OobleckSizes:
    return OobleckSizes(channels, config.widths, config.strides, config.audio_channels)


def _distribution(encoded_BTD: Tensor) -> tuple[Tensor, Tensor]:
    mean_BTD, width_BTD = encoded_BTD.chunk(2, dim=-1)
    return mean_BTD, F.softplus(width_BTD) + 1e-4


def kl_divergence(mean_BTD: Tensor, spread_BTD: Tensor) -> Tensor:
    """Twice the divergence from a standard normal, summed over the latent's width, the mean over frames."""
    variance = spread_BTD.square()
    return (mean_BTD.square() + variance - variance.log() - 1).sum(-1).mean()


def save_autoencoder(folder: Path, codec: Autoencoder, **card: object) -> None:
    """Write ``codec`` to ``folder``, weight norm folded and what works on frames in compact form.

    ``card`` says where the weights come from.
    """
    config = {"family": "autoencoder", "codec": asdict(codec.config), **card}
    tensors = folded(codec.state_dict())
    checkpoint.save(folder, config, compact(tensors) if codec.config.frames else tensors)


def load_autoencoder(folder: Path) -> Autoencoder:
    """The codec in ``folder``, as ``save_autoencoder`` or diffusers wrote it; float32, in evaluation mode.

    Weight norm is folded. Raises ``WeightsError`` where the weights are damaged, incomplete or of another model.
    """
    settings = published.read_settings(folder)
    if "_class_name" in settings:
        fields = autoencoder_names.config_of_diffusers(settings, folder)
        tensors = published.read_file(folder / autoencoder_names.DIFFUSERS_FILE)
        return autoencoder_of(fields, autoencoder_names.of_diffusers(tensors), folder)
    config, tensors = checkpoint.load(folder)
    if config.get("family") != "autoencoder":
        raise WeightsError(f"{folder} holds a {config.get('family')} model, not an autoencoder")
    fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in config["codec"].items()}
    fields |= {"frames": FrameSizes(**fields["frames"])} if fields.get("frames") else {}
    return _filled(AutoencoderConfig(**fields), expand(tensors), folder)


def autoencoder_of(fields: dict[str, Any], tensors: dict[str, Tensor], source: Path) -> Autoencoder:
    """The codec of the configuration's ``fields`` from ``autoencoder_names``' tensors.

    Their weight norm is in either spelling or folded, and their transposed convolutions are as torch has them.
    """
    config, plain = AutoencoderConfig(**fields), folded(tensors)
    for index, layer in enumerate(OobleckDecoder(_sizes(config, 1), 1).layers):
        old, new = f"decoder.layers.{index}.conv", f"decoder.layers.{index}"
        weight = plain.get(f"{old}.weight")
        if isinstance(layer, Upsample) and weight is not None and weight.shape[-1] == 2 * layer.stride:
            plain[f"{new}.pair.weight"] = layer.of_transposed(plain.pop(f"{old}.weight"))
            plain[f"{new}.bias"] = plain.pop(f"{old}.bias")
    return _filled(config, plain, source)


def _filled(config: AutoencoderConfig, tensors: dict[str, Tensor], source: Path) -> Autoencoder:
    codec = Autoencoder(config)
    fold(codec)
    checkpoint.load_into(codec, {name: tensor.float() for name, tensor in tensors.items()}, source)
    return codec.eval()
