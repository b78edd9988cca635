"""The mini's way to Moûsai's autoencoder: cosine coefficients are drawn, by the sizes that latents tell of them.

As published (arXiv 2301.11757, section 3.3), an encoder reads magnitudes only and a diffusion U-Net that is told
latents makes up the rest. But in place of the wave it draws cosine coefficients of middle and side, divided by their
sizes, which a small network reads from the latents. What is drawn is then of unit size everywhere, in quiet bands as in
loud ones, and even a model that has learnt nothing but sizes makes sound with the right spectrum.

Shapes: B batch, C channels (2), N samples, T latent frames, D latent width, F coefficients of a channel, W width.
"""

from collections.abc import Iterator
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.audio.mdct import cosines, from_cosines
from toccata.codecs.diffusion import DiffusionCodec
from toccata.codecs.magnitude_config import CosineConfig
from toccata.nn.convnext import ConvNeXtBlock
from toccata.nn.unet import UNet
from toccata.sampling.diffusion import COSINE, target

FLOOR = 0.001  # magnitudes much below it are as good as silence
QUIETEST = 1e-4  # size that a coefficient has at least
AHEAD = 3  # frames that each block hears ahead, and as many back
BLUR = 0.1  # of latents in training: what the text model draws is never quite right
KNEE = 1000.0  # Hz, from which on coefficients count the less the higher they are


class SpectrumEncoder(nn.Module):
    """wave_BCN -> latent_BDT in [-1, 1]: logarithms of magnitudes, frame by frame, then a hyperbolic tangent.

    Latents are normalised before it, each over all that training hears, so that they neither vanish nor saturate.
    """

    window: Tensor

    def __init__(self, config: CosineConfig) -> None:
        super().__init__()
        self.stride, width = config.stride, config.width
        self.register_buffer("window", torch.hann_window(2 * self.stride - 1), persistent=False)
        self.first = nn.Linear(config.audio_channels * self.stride, width)
        self.blocks = _blocks(width, config.blocks[0])
        self.last = nn.Linear(width, config.latent)
        self.normal = nn.BatchNorm1d(config.latent, affine=False)

    def forward(self, wave_BCN: Tensor) -> Tensor:
        hidden_BTW = self.blocks(self.first(self.magnitudes(wave_BCN).transpose(1, 2)))
        return self.normal(self.last(hidden_BTW).transpose(1, 2).float()).tanh()

    def magnitudes(self, wave_BCN: Tensor) -> Tensor:
        """Logarithms, of middle and then side: (B, C F, N / stride), each frame around the start of its latent."""
        turned_BCN = middle_and_side(wave_BCN.float())
        spectrum = torch.stft(
            turned_BCN.flatten(0, 1), len(self.window), self.stride, window=self.window, normalized=True,
            pad_mode="constant", return_complex=True,
        )  # fmt: skip
        sizes = (torch.view_as_real(spectrum).square().sum(-1) + FLOOR**2).sqrt() / FLOOR
        return sizes.log().unflatten(0, wave_BCN.shape[:2]).flatten(1, 2)


class Sizes(nn.Module):
    """latent_BDT -> the logarithms of the sizes of the coefficients at the same frames, (B, C F, T)."""

    def __init__(self, config: CosineConfig) -> None:
        super().__init__()
        width = config.width
        self.first = nn.Linear(config.latent, width)
        self.blocks = _blocks(width, config.blocks[1])
        self.last = nn.Linear(width, config.audio_channels * config.stride)
        nn.init.zeros_(self.last.weight)
        self.reach = AHEAD * config.blocks[1]  # frames on either side that decide

    def forward(self, latent_BDT: Tensor) -> Tensor:
        return self.last(self.blocks(self.first(latent_BDT.transpose(1, 2)))).transpose(1, 2).float()


class CosineAutoencoder(DiffusionCodec[CosineConfig]):
    """Frame t of what is drawn spans the two strides around the start of latent t: one more frame ends the sound."""

    encoder: SpectrumEncoder
    weight_F1: Tensor
    beyond: ClassVar[int] = 1
    unit: ClassVar[int] = 1

    def __init__(self, config: CosineConfig) -> None:
        super().__init__(config)
        if config.audio_channels != 2 or config.unet.inputs != 2 * config.drawn or config.unet.inject_depth:
            raise ValueError("the U-Net does not fit the drawn coefficients of two channels, or where latents come in")
        self.encoder, self.sizes, self.unet = SpectrumEncoder(config), Sizes(config), UNet(config.unet)
        hertz_F = torch.arange(config.stride) * config.sample_rate / (2 * config.stride)
        weight_F = 1 / (1 + hertz_F / KNEE)
        self.register_buffer("weight_F1", (weight_F / weight_F.mean()).repeat(2)[:, None], persistent=False)

    @property
    def rows(self) -> int:
        return self.config.audio_channels * self.config.stride

    def velocity(self, x_B: Tensor, t_B: Tensor, latent_BDT: Tensor) -> Tensor:
        """Of coefficients (B, C F, T); those that are not drawn stay the noise that they begin as.

        Without what the U-Net adds to its input the drawn ones would do so too.
        """
        low_B = self._low(x_B)
        made_B = self.unet(low_B, t_B, latent_BDT=latent_BDT) - low_B
        high = self.config.stride - self.config.drawn
        return F.pad(made_B.unflatten(1, (2, -1)), (0, 0, 0, high)).flatten(1, 2)

    def loss(self, wave_BCN: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """How unlikely the coefficients are by their told sizes, and the velocity's squared error at uniform times."""
        wave_BCN = wave_BCN / self.config.loudness
        coefficients_B, latent_BDT = self._coefficients(wave_BCN)[..., :-1], self.encoder(wave_BCN)
        blur_BDT = BLUR * torch.randn(latent_BDT.shape, generator=generator).to(latent_BDT)
        log_size_B = self.sizes(latent_BDT + blur_BDT)
        off_B = (coefficients_B.square() + QUIETEST**2) * (-2 * log_size_B).exp()
        unlikely = (self.weight_F1 * (log_size_B + off_B / 2)).mean()
        t_B = torch.rand(len(wave_BCN), generator=generator)
        low_B = self._low(coefficients_B * (-log_size_B.detach()).exp())
        noise_B = torch.randn(low_B.shape, generator=generator).to(low_B)
        x_B, velocity_B = target(COSINE, low_B, noise_B, t_B)
        made_B = self.unet(x_B, t_B.to(x_B), latent_BDT=latent_BDT + blur_BDT) - x_B
        return unlikely + (made_B.float() - velocity_B).square().mean(), latent_BDT

    @torch.no_grad()
    def begin_with(self, wave_BCN: Tensor) -> None:
        """Before training: take coefficients to be as large as those of ``wave_BCN``, whatever latents say."""
        power_F = self._coefficients(wave_BCN / self.config.loudness).square().mean((0, 2))
        self.sizes.last.bias.copy_((power_F + QUIETEST**2).log() / 2)

    def _coefficients(self, wave_BCN: Tensor) -> Tensor:
        # In half the bits of a training step, what is loud would drown what is quiet.
        with torch.autocast(wave_BCN.device.type, enabled=False):
            return cosines(middle_and_side(wave_BCN), self.config.stride).flatten(1, 2)

    def _low(self, x_B: Tensor) -> Tensor:
        return x_B.unflatten(1, (2, -1))[:, :, : self.config.drawn].flatten(1, 2)

    def _size(self, latent_BDT: Tensor, first: int, count: int) -> Tensor:
        """Sizes of ``count`` frames from ``first`` on."""
        begin = max(first - self.sizes.reach, 0)
        log_size_B = self.sizes(latent_BDT[..., begin : first + count + self.sizes.reach])
        return log_size_B[..., first - begin :][..., :count].exp()

    def _seen(self, wave_BCN: Tensor, latent_BDT: Tensor) -> Tensor:
        if not wave_BCN.shape[-1]:
            return wave_BCN.new_zeros(len(wave_BCN), self.rows, 0)
        coefficients_B = self._coefficients(wave_BCN)[..., :-1]
        return coefficients_B / self._size(latent_BDT, 0, coefficients_B.shape[-1])

    def _heard(self, parts: Iterator[Tensor], latent_BDT: Tensor, made: int) -> Iterator[Tensor]:
        before_B = None
        for part_B in parts:
            there_B = part_B * self._size(latent_BDT, made, part_B.shape[-1])
            made += part_B.shape[-1]
            joined_B = there_B if before_B is None else torch.cat([before_B, there_B], dim=-1)
            before_B = joined_B[..., -1:]
            yield middle_and_side(from_cosines(joined_B.unflatten(1, (2, -1))))


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ConvNeXtBlock(width, 2 * AHEAD + 1, ahead=AHEAD) for _ in range(count)))


def middle_and_side(wave_BCN: Tensor) -> Tensor:
    """Left and right turned by an eighth: half their sum and difference, times the root of two; its own inverse."""
    left_BN, right_BN = wave_BCN.unbind(1)
    return torch.stack([left_BN + right_BN, left_BN - right_BN], dim=1) * 2**-0.5
