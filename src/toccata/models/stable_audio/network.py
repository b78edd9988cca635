"""Stable Audio's diffusion model (arXiv 2402.04825 and 2407.14358, section 3): the network and its conditions.

Shapes: B batch, T frames, D latent width, L text tokens, W width of conditions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.models.stable_audio.config import StableAudioConfig
from toccata.nn.dit import DiT, DiTCondition
from toccata.nn.unet import UNet
from toccata.sampling.diffusion import PATHS, target, times_of_training


@dataclass(frozen=True)
class UNetCondition:
    """What no step of sampling changes where a U-Net draws: tokens to attend to."""

    tokens_BLW: Tensor

    @property
    def rows(self) -> int:
        return len(self.tokens_BLW)


Condition = DiTCondition | UNetCondition


class FourierNumber(nn.Module):
    """Numbers -> a vector each, by learnt frequencies of the number's place in its range (Stable Audio Open)."""

    def __init__(self, width: int, longest: float, features: int = 256) -> None:
        super().__init__()
        self.longest = longest
        self.frequencies = nn.Parameter(torch.randn(features // 2))
        self.out = nn.Linear(features + 1, width)

    def forward(self, seconds_B: Tensor) -> Tensor:
        place_B1 = (seconds_B.clamp(0, self.longest) / self.longest)[:, None].to(self.frequencies.dtype)
        turns = place_B1 * self.frequencies * 2 * torch.pi
        return self.out(torch.cat([place_B1, turns.sin(), turns.cos()], dim=-1))


class SecondsTable(nn.Module):
    """Whole seconds -> a learnt vector each (arXiv 2402.04825, section 3.3)."""

    def __init__(self, width: int, longest: float) -> None:
        super().__init__()
        self.rows = nn.Embedding(int(longest) + 1, width)

    def forward(self, seconds_B: Tensor) -> Tensor:
        return self.rows(seconds_B.round().long().clamp(0, self.rows.num_embeddings - 1))


class StableAudioNetwork(nn.Module):
    """``condition`` once for a piece, then the velocity of its noisy latents at any time."""

    def __init__(self, config: StableAudioConfig) -> None:
        super().__init__()
        self.config = config
        width, number = config.tokens, {"fourier": FourierNumber, "table": SecondsTable}[config.numbers]
        self.text_in = nn.Identity() if config.text_width == width else nn.Linear(config.text_width, width)
        self.timing = nn.ModuleDict({name: number(width, config.longest) for name in config.timing})
        self.dit = DiT(config.dit) if config.unet is None else None
        self.unet = None if config.unet is None else UNet(config.unet)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    @property
    def blocks(self) -> nn.Module:
        """What is repeated in it: most of its matrices."""
        inside = self.dit.blocks if self.dit is not None else self.unet
        assert inside is not None
        return inside

    def told(
        self, text_BLW: Tensor, mask_BL: Tensor, timing: dict[str, Tensor], kept_B: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Tokens to attend to and the vector about the whole.

        ``text_BLW`` are features of a text encoder, cut or filled up with zeros to the configured length; ``timing``
        has seconds_B for each of its names. Where ``kept_B`` is False, all tokens are zeros, as guidance leads away
        from; the vector stays.
        """
        length = self.config.text_tokens
        mask = mask_BL[..., None].to(text_BLW.dtype)
        text = F.pad(self.text_in(text_BLW) * mask, (0, 0, 0, length))[:, :length]
        numbers = [embed(timing[name].to(text.device)) for name, embed in self.timing.items()]
        tokens = torch.cat([text, *(number[:, None] for number in numbers)], dim=1)
        if kept_B is not None:
            tokens = tokens * kept_B[:, None, None]
        return tokens, torch.cat(numbers, dim=-1)

    def condition(
        self, text_BLW: Tensor, mask_BL: Tensor, timing: dict[str, Tensor], kept_B: Tensor | None = None
    ) -> Condition:
        """What ``forward`` reads of ``told``; a U-Net is told of the whole by its tokens alone."""
        tokens_BLW, whole_BW = self.told(text_BLW, mask_BL, timing, kept_B)
        return UNetCondition(tokens_BLW) if self.dit is None else self.dit.condition(tokens_BLW, whole_BW)

    def forward(self, latent_BTD: Tensor, t_B: Tensor, condition: Condition) -> Tensor:
        """Noisy latent_BTD at times ``t_B`` -> the velocity of the configured objective, of the same shape."""
        if isinstance(condition, DiTCondition):
            assert self.dit is not None
            return self.dit(latent_BTD, t_B, condition)
        assert self.unet is not None
        return self.unet(latent_BTD.transpose(1, 2), t_B, condition.tokens_BLW).transpose(1, 2)


def diffusion_loss(
    network: StableAudioNetwork,
    latent_BTD: Tensor,
    text_BLW: Tensor,
    mask_BL: Tensor,
    timing: dict[str, Tensor],
    generator: torch.Generator,
) -> Tensor:
    """The mean squared error of the velocity at random times; a share of the rows is told nothing.

    Times are uniform for "v", and dwell for "rectified-flow" where the configuration says.
    """
    config, rows = network.config, len(latent_BTD)
    t_B = times_of_training(None if config.objective == "v" else config.dwell, rows, generator)
    noise_BTD = torch.randn(latent_BTD.shape, generator=generator).to(latent_BTD)
    kept_B = torch.rand(rows, generator=generator) >= config.condition_dropout
    x_BTD, velocity_BTD = target(PATHS[config.objective], latent_BTD, noise_BTD, t_B)
    condition = network.condition(text_BLW, mask_BL, timing, kept_B.to(latent_BTD.device))
    made_BTD = network(x_BTD, t_B.to(latent_BTD), condition)
    return (made_BTD.float() - velocity_BTD.float()).square().mean()


def seconds_of(values: Sequence[float]) -> Tensor:
    """Times of a batch as the network takes them."""
    return torch.tensor(list(values), dtype=torch.float32)
