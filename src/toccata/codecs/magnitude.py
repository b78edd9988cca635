"""Moûsai's diffusion magnitude autoencoder (arXiv 2301.11757, section 3.3): stereo sound as a 64th of its values.

An encoder reads magnitudes only; a diffusion model in the wave domain makes up the phase again as it decodes.

Shapes: B batch, C channels (2), N samples, T latent frames, D latent width, F frequency bins.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from toccata.codecs.cosine import CosineAutoencoder
from toccata.codecs.diffusion import DiffusionCodec
from toccata.codecs.magnitude_config import CosineConfig, MagnitudeConfig, read_config
from toccata.errors import WeightsError
from toccata.nn.unet import UNet
from toccata.nn.unet_blocks import Residual, shrink
from toccata.sampling.diffusion import COSINE, target
from toccata.weights import checkpoint
from toccata.weights.compact import compact, expand


class MagnitudeEncoder(nn.Module):
    """wave_BCN -> latent_BDT in [-1, 1]: residual blocks over magnitudes, then a hyperbolic tangent."""

    window: Tensor

    def __init__(self, config: MagnitudeConfig) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.register_buffer("window", torch.hann_window(config.n_fft), persistent=False)
        self.first = Residual(config.audio_channels * (config.n_fft // 2 + 1), width, groups=1)
        layers: list[nn.Module] = []
        for factor, blocks in zip(config.factors, config.blocks, strict=True):
            layers += [shrink(width, width, factor, wide=True), *(Residual(width, width, 8) for _ in range(blocks))]
        self.layers = nn.Sequential(*layers)
        self.last = nn.Conv1d(width, config.latent, 1)

    def forward(self, wave_BCN: Tensor) -> Tensor:
        return self.last(self.layers(self.first(self.magnitudes(wave_BCN)))).tanh()

    def magnitudes(self, wave_BCN: Tensor) -> Tensor:
        """Of every channel, one after another: (B, C F, N / hop). With an odd ``n_fft`` each hop has one frame."""
        n_fft, hop = self.config.n_fft, self.config.hop
        spectrum = torch.stft(
            wave_BCN.flatten(0, 1).float(), n_fft, hop, window=self.window, normalized=True, return_complex=True
        )
        # Not abs(), whose slope at silence is no number.
        sizes = torch.view_as_real(spectrum).square().sum(-1).clamp(min=1e-12).sqrt()
        return sizes.unflatten(0, wave_BCN.shape[:2]).flatten(1, 2)


class WaveUNet(nn.Module):
    """A U-Net on learnt filters of the wave: noisy wave_BCN, times and latents -> the wave's velocity.

    The published convolutions whose kernel is their stride are products of patches here, for oneDNN's convolution with
    so few channels in and so long a kernel is wrong in bfloat16 on CPUs with AMX.
    """

    def __init__(self, config: MagnitudeConfig) -> None:
        super().__init__()
        self.channels, self.patch = config.audio_channels, config.patch
        samples, wide = self.channels * self.patch, self.channels * config.filters
        self.analysis = nn.Linear(samples, wide, bias=False)
        self.unet = UNet(config.unet)
        self.synthesis = nn.Linear(wide, samples, bias=False)
        nn.init.orthogonal_(self.analysis.weight)
        with torch.no_grad():
            self.synthesis.weight.copy_(self.analysis.weight.T)

    def forward(self, wave_BCN: Tensor, t_B: Tensor, latent_BDT: Tensor) -> Tensor:
        patches_BTN = wave_BCN.unflatten(-1, (-1, self.patch)).transpose(1, 2).flatten(2)
        made_BFT = self.unet(self.analysis(patches_BTN).transpose(1, 2), t_B, latent_BDT=latent_BDT)
        made_BTCN = self.synthesis(made_BFT.transpose(1, 2)).unflatten(-1, (self.channels, self.patch))
        return made_BTCN.transpose(1, 2).flatten(2)


class MagnitudeAutoencoder(DiffusionCodec[MagnitudeConfig]):
    """The published one: the wave itself is drawn."""

    def __init__(self, config: MagnitudeConfig) -> None:
        super().__init__(config)
        inside = config.patch * math.prod(config.unet.factors[: config.unet.inject_depth + 1])
        if inside != config.stride or config.unet.inputs != config.audio_channels * config.filters:
            raise ValueError("the U-Net does not fit the filters, or the latents not the level that they come in at")
        self.encoder, self.decoder = MagnitudeEncoder(config), WaveUNet(config)

    @property
    def unit(self) -> int:
        return self.config.stride

    @property
    def rows(self) -> int:
        return self.config.audio_channels

    def velocity(self, x_B: Tensor, t_B: Tensor, latent_BDT: Tensor) -> Tensor:
        return self.decoder(x_B, t_B, latent_BDT)

    def loss(self, wave_BCN: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The mean squared error of the velocity at uniform times (v-objective), and the latents that were told."""
        wave_BCN = wave_BCN / self.config.loudness
        t_B = torch.rand(len(wave_BCN), generator=generator)
        noise_BCN = torch.randn(wave_BCN.shape, generator=generator).to(wave_BCN)
        x_BCN, velocity_BCN = target(COSINE, wave_BCN, noise_BCN, t_B)
        latent_BDT = self.encoder(wave_BCN)
        made_BCN = self.decoder(x_BCN, t_B.to(wave_BCN), latent_BDT)
        return (made_BCN.float() - velocity_BCN).square().mean(), latent_BDT

    def _seen(self, wave_BCN: Tensor, latent_BDT: Tensor) -> Tensor:
        return wave_BCN

    def _heard(self, parts: Iterator[Tensor], latent_BDT: Tensor, made: int) -> Iterator[Tensor]:
        return parts


FAMILIES = {
    "magnitude-autoencoder": (MagnitudeAutoencoder, MagnitudeConfig),
    "cosine-autoencoder": (CosineAutoencoder, CosineConfig),
}


def build(config: MagnitudeConfig | CosineConfig) -> MagnitudeAutoencoder | CosineAutoencoder:
    """The codec of that configuration, with random weights."""
    return CosineAutoencoder(config) if isinstance(config, CosineConfig) else MagnitudeAutoencoder(config)


def save_magnitude(folder: Path, codec: DiffusionCodec, **card: object) -> None:
    """Write ``codec`` to ``folder`` in compact form; ``card`` says where the weights come from."""
    family = next(name for name, (kind, _) in FAMILIES.items() if isinstance(codec, kind))
    config = {"family": family, "codec": asdict(codec.config), **card}
    checkpoint.save(folder, config, compact(codec.state_dict()))


def load_magnitude(folder: Path) -> MagnitudeAutoencoder | CosineAutoencoder:
    """The codec in ``folder``, as ``save_magnitude`` wrote it; float32, in evaluation mode.

    Raises ``WeightsError`` where the weights are damaged, incomplete or of another model.
    """
    config, tensors = checkpoint.load(folder)
    family = str(config.get("family"))
    if family not in FAMILIES:
        raise WeightsError(f"{folder} holds a {family} model, not a magnitude autoencoder")
    try:
        codec = build(read_config(FAMILIES[family][1], config["codec"]))
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{folder} describes no magnitude autoencoder ({error}); train it again") from None
    checkpoint.load_into(codec, expand(tensors), folder)
    return codec.eval()
