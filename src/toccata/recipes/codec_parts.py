"""Steps of training a codec that every phase shares: levels dropped, judges asked, state kept.

Shapes: B batch, C channels, N samples, T frames, D latent width, K codebooks, R rows of the score roll.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.codecs import losses
from toccata.codecs.discriminators import Discriminators
from toccata.codecs.encodec import EnCodec
from toccata.codecs.soundstream import SoundStream
from toccata.nn.rvq import Quantised
from toccata.training.balancer import Balancer
from toccata.training.state import load_state, save_state

Codec = SoundStream | EnCodec
Part = nn.Module | torch.optim.Optimizer | Balancer


def dropped_levels(batch: int, levels: int, generator: torch.Generator) -> Tensor:
    """Quantiser dropout: how many levels each sample keeps; all of them for a third of the samples."""
    kept = torch.randint(1, levels + 1, (batch,), generator=generator)
    return torch.where(torch.rand(batch, generator=generator) < 0.33, levels, kept)


def unquantised(latent_BTD: Tensor) -> Quantised:
    """The latents themselves, for the first steps: k-means then starts from latents that mean something."""
    codes_BKT = torch.zeros(latent_BTD.shape[0], 1, latent_BTD.shape[1], dtype=torch.int64)
    return Quantised(latent_BTD, codes_BKT, latent_BTD.new_zeros(()), latent_BTD)


def masked_latents(codec: SoundStream, codes_BKT: Tensor, levels_B: Tensor) -> Tensor:
    """Latents of each sample's first ``levels_B`` levels."""
    total = torch.zeros((), device=codes_BKT.device)
    for k in range(codes_BKT.shape[1]):
        level = codec.quantiser.decode_level(k, codes_BKT[:, k])
        total = total + torch.where((k < levels_B)[:, None, None], level, 0.0)
    return total


def score_loss(logits_BTR: Tensor, roll_BTR: Tensor) -> Tensor:
    """How well the first level tells the score, at the roll's rate or a multiple of it."""
    repeat = logits_BTR.shape[1] // roll_BTR.shape[1]
    return F.binary_cross_entropy_with_logits(logits_BTR, roll_BTR.repeat_interleave(repeat, 1))


def same_crops(real_BCN: Tensor, fake_BCN: Tensor, generator: torch.Generator, samples: int) -> tuple[Tensor, Tensor]:
    """One random stretch of both, for the discriminators."""
    start = int(torch.randint(real_BCN.shape[-1] - samples + 1, (), generator=generator))
    return real_BCN[..., start : start + samples], fake_BCN[..., start : start + samples]


def critic_loss(judges: Discriminators, real_BCN: Tensor, fake_BCN: Tensor) -> Tensor:
    """How badly the discriminators tell real from fake; no gradient reaches what made ``fake_BCN``."""
    with _autocast(fake_BCN):
        return losses.discriminator_loss(judges(fake_BCN.detach()), judges(real_BCN))


def opinion(judges: Discriminators, real_BCN: Tensor, fake_BCN: Tensor) -> dict[str, Tensor]:
    """What the discriminators say of ``fake_BCN`` beside ``real_BCN``: the adversarial and the feature loss."""
    with _autocast(fake_BCN):
        fake = judges(fake_BCN)
        with torch.no_grad():
            real = judges(real_BCN)
        return {"adversarial": losses.adversarial_loss(fake), "feature": losses.feature_loss(fake, real)}


def _autocast(wave_BCN: Tensor) -> torch.autocast:
    """bf16 where it pays: on a CPU the judges' small convolutions take a third longer in it than in float32."""
    kind = wave_BCN.device.type
    return torch.autocast(kind, torch.bfloat16, enabled=kind != "cpu")


def remember(path: Path, parts: dict[str, Part], codec: Codec, step: int) -> None:
    codebooks = {
        f"{k}.{name}": getattr(level, name)
        for k, level in enumerate(codec.quantiser.levels)
        for name in ("usage_V", "sums_VD", "started")
    }
    save_state(path, {"step": step, "codebooks": codebooks, **{name: p.state_dict() for name, p in parts.items()}})


def resume(path: Path, parts: dict[str, Part], codec: Codec) -> int:
    """Restore ``parts`` from ``path`` and return the step reached; 0 where there is nothing to resume."""
    if not path.exists():
        return 0
    state = load_state(path)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    for key, value in state["codebooks"].items():
        k, name = key.split(".")
        getattr(codec.quantiser.levels[int(k)], name).copy_(value)
    return state["step"]
