"""Moûsai's diffusion magnitude autoencoder (arXiv 2301.11757, section 3.3): stereo sound as a 64th of its values.

An encoder reads magnitudes only; a diffusion model in the wave domain makes up the phase again as it decodes.

Shapes: B batch, C channels (2), N samples, T latent frames, D latent width, F frequency bins.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.errors import InputError, WeightsError
from toccata.nn.unet import UNet, UNetSizes, read_sizes
from toccata.nn.unet_blocks import Residual, shrink
from toccata.sampling.diffusion import COSINE, target
from toccata.sampling.windows import Span, going_on, in_windows
from toccata.weights import checkpoint
from toccata.weights.compact import compact, expand


def _published_unet() -> UNetSizes:
    none = (0,) * 7
    return UNetSizes(
        inputs=256,
        channels=(256, 512, 512, 512, 1024, 1024, 1024),
        factors=(1, 2, 2, 2, 2, 2, 2),
        blocks=(1, 2, 2, 2, 2, 2, 2),
        attentions=none,
        crosses=none,
        injected=32,
        inject_depth=4,
    )


@dataclass(frozen=True)
class MagnitudeConfig:
    """The defaults are those of the published ``dmae1d-ATC64-v2``.

    Spectra of ``n_fft`` samples every ``hop`` go through ``blocks`` residual blocks of ``width`` at each of the
    ``factors`` by which frames become fewer. The decoder sees, of each channel, ``filters`` learnt filters every
    ``patch`` samples; as many as samples lose nothing. ``window`` latent frames are decoded at once, in ``steps``.
    Waves are divided by ``loudness``, about their standard deviation, before noise of deviation 1 meets them; ``scale``
    is what latents are divided by for the model that draws them.
    """

    sample_rate: int = 48000
    audio_channels: int = 2
    n_fft: int = 1023
    hop: int = 256
    width: int = 512
    factors: tuple[int, ...] = (2, 2)
    blocks: tuple[int, ...] = (4, 8)
    latent: int = 32
    patch: int = 64
    filters: int = 128
    unet: UNetSizes = field(default_factory=_published_unet)
    window: int = 1024
    steps: int = 20
    loudness: float = 1.0
    scale: float = 1.0

    @property
    def stride(self) -> int:
        """Samples a latent frame."""
        return self.hop * math.prod(self.factors)

    @property
    def frame_rate(self) -> float:
        """Latent frames a second."""
        return self.sample_rate / self.stride

    @property
    def whole(self) -> int:
        """What the number of latent frames that are decoded has to be a multiple of."""
        return -(-self.patch * self.unet.stride // self.stride)


def full() -> MagnitudeConfig:
    """As published: 46.9 frames a second of 32 values, 64 times fewer than there are samples."""
    return MagnitudeConfig()


def mini() -> MagnitudeConfig:
    """Moûsai's autoencoder at a thirtieth of the parameters, at the same rates; the band's loudness is about .1."""
    none = (0,) * 7
    unet = UNetSizes(
        inputs=128,
        channels=(128, 96, 128, 128, 192, 192, 192),
        factors=(1, 2, 2, 2, 2, 2, 2),
        blocks=(1, 1, 1, 1, 1, 1, 1),
        attentions=none,
        crosses=none,
        features=256,
        injected=32,
        inject_depth=4,
    )
    return MagnitudeConfig(width=128, blocks=(1, 2), filters=64, unet=unet, window=128, loudness=0.1)


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


class MagnitudeAutoencoder(nn.Module):
    """Between waves and latents; ``encode`` and ``decode`` are what other rooms use."""

    def __init__(self, config: MagnitudeConfig) -> None:
        super().__init__()
        inside = config.patch * math.prod(config.unet.factors[: config.unet.inject_depth + 1])
        if inside != config.stride or config.unet.inputs != config.audio_channels * config.filters:
            raise ValueError("the U-Net does not fit the filters, or the latents not the level that they come in at")
        self.config = config
        self.encoder, self.decoder = MagnitudeEncoder(config), WaveUNet(config)

    @torch.no_grad()
    def encode(self, wave_BCN: Tensor) -> Tensor:
        """wave_BCN at the codec's rate, in [-1, 1] -> latent_BTD, T = ceil(N / stride)."""
        config = self.config
        if wave_BCN.dim() != 3 or wave_BCN.shape[1] != config.audio_channels or not wave_BCN.shape[2]:
            shape = tuple(wave_BCN.shape)
            raise InputError(f"the codec takes (batch, {config.audio_channels} channels, samples), not {shape}")
        wave = F.pad(wave_BCN, (0, -wave_BCN.shape[-1] % config.stride))
        return self.encoder(wave / config.loudness).transpose(1, 2).float() / config.scale

    def decode(self, latent_BTD: Tensor, generators: Sequence[torch.Generator], steps: int | None = None) -> Tensor:
        """latent_BTD -> wave_BCN in [-1, 1], N = T x stride, by ``steps`` of diffusion.

        All chance of row i comes from ``generators[i]``, on the CPU.
        """
        return torch.cat(list(self.decode_stream(latent_BTD, generators, steps)), dim=-1)

    @torch.no_grad()
    def decode_stream(
        self,
        latent_BTD: Tensor,
        generators: Sequence[torch.Generator],
        steps: int | None = None,
        tell: Callable[[float], None] = lambda share: None,
        known_BCN: Tensor | None = None,
    ) -> Iterator[Tensor]:
        """Wave parts that join to ``decode``, window by window; each goes on from the end of the last one.

        ``tell`` is called with the share of the whole that is done. ``known_BCN`` is the wave of the first frames, of
        whole strides, where it is known: the parts go on from there.
        """
        config, device = self.config, latent_BTD.device
        frames, whole = latent_BTD.shape[1], config.whole
        size = min(config.window, -(-frames // whole) * whole)
        total = max(frames, size)
        latent_BDT = (latent_BTD.transpose(1, 2) * config.scale).clamp(-1, 1)
        latent_BDT = F.pad(latent_BDT, (0, total - frames), mode="replicate")

        def draw(known_BCN: Tensor, span: Span) -> Tensor:
            part_BDT = latent_BDT[..., span.first : span.first + size]
            shape = config.audio_channels, size * config.stride
            noise_BCN = torch.stack([torch.randn(shape, generator=one) for one in generators]).to(device)
            predict = lambda x, t: self.decoder(x, torch.full((len(x),), t, device=device), part_BDT)  # noqa: E731
            done = lambda share: tell((span.made + share * (span.until - span.made)) / total)  # noqa: E731
            return going_on(predict, known_BCN, noise_BCN, steps or config.steps, COSINE, done)

        past_BCN = torch.zeros(len(latent_BTD), config.audio_channels, 0) if known_BCN is None else known_BCN
        past_BCN = past_BCN.to(device) / config.loudness
        left = frames * config.stride - past_BCN.shape[-1]
        for wave_BCN in in_windows(draw, past_BCN, total, size, unit=config.stride):
            yield (wave_BCN[..., :left] * config.loudness).clamp(-1, 1)
            left -= min(left, wave_BCN.shape[-1])


def magnitude_loss(codec: MagnitudeAutoencoder, wave_BCN: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The mean squared error of the velocity at uniform times (v-objective), and the latents that were told."""
    wave_BCN = wave_BCN / codec.config.loudness
    t_B = torch.rand(len(wave_BCN), generator=generator)
    noise_BCN = torch.randn(wave_BCN.shape, generator=generator).to(wave_BCN)
    x_BCN, velocity_BCN = target(COSINE, wave_BCN, noise_BCN, t_B)
    latent_BDT = codec.encoder(wave_BCN)
    made_BCN = codec.decoder(x_BCN, t_B.to(wave_BCN), latent_BDT)
    return (made_BCN.float() - velocity_BCN).square().mean(), latent_BDT


def save_magnitude(folder: Path, codec: MagnitudeAutoencoder, **card: object) -> None:
    """Write ``codec`` to ``folder`` in compact form; ``card`` says where the weights come from."""
    config = {"family": "magnitude-autoencoder", "codec": asdict(codec.config), **card}
    checkpoint.save(folder, config, compact(codec.state_dict()))


def load_magnitude(folder: Path) -> MagnitudeAutoencoder:
    """The codec in ``folder``, as ``save_magnitude`` wrote it; float32, in evaluation mode.

    Raises ``WeightsError`` where the weights are damaged, incomplete or of another model.
    """
    config, tensors = checkpoint.load(folder)
    if config.get("family") != "magnitude-autoencoder":
        raise WeightsError(f"{folder} holds a {config.get('family')} model, not a magnitude autoencoder")
    try:
        codec = MagnitudeAutoencoder(_read_config(config["codec"]))
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{folder} describes no magnitude autoencoder ({error}); train it again") from None
    checkpoint.load_into(codec, expand(tensors), folder)
    return codec.eval()


def _read_config(said: Mapping[str, Any]) -> MagnitudeConfig:
    lists = {name: tuple(value) for name, value in said.items() if isinstance(value, list)}
    fields: dict[str, Any] = {**said, **lists, "unet": read_sizes(said["unet"])}
    return MagnitudeConfig(**fields)
