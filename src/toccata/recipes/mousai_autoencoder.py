"""Train Moûsai's magnitude autoencoder on the house band in stereo (arXiv 2301.11757, section 3.3).

The error of the velocity of noisy sound is made small, predicted by a decoder that is told what the encoder heard; the
mini's learns the sizes of its coefficients, too. Every step depends on its number alone, so a run goes on exactly.

Shapes: B batch, C channels (2), N samples, T latent frames, D latent width.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from toccata.codecs.diffusion import DiffusionCodec
from toccata.codecs.magnitude import build, load_magnitude, save_magnitude
from toccata.codecs.magnitude_config import full, mini
from toccata.data.shards import made_ahead, shards_read
from toccata.errors import InputError
from toccata.recipes.stereo import band, stereo_crops
from toccata.training.cpu import settle
from toccata.training.log import StepLog
from toccata.training.optim import EMA, averaged, warmup_stable_decay
from toccata.training.precision import fast_products
from toccata.training.provenance import provenance
from toccata.training.run import remember, resume

PRESETS = {"mini": mini, "full": full}


@dataclass(frozen=True)
class MousaiAutoencoderRecipe:
    """What to train and for how long. ``minutes`` ends this run early; the next goes on exactly where it stopped.

    Crops are ``seconds`` long, to whole windows of the U-Net; the weights' average forgets by ``ema``. With ``start``,
    the folder of a trained one, its decoder alone goes on: latents stay what they were for a model that learnt them.
    """

    out: Path = Path("runs/mousai-autoencoder")
    band: Path = Path("runs/band")
    preset: str = "mini"
    start: Path | None = None
    steps: int = 100_000
    batch: int = 16
    seconds: float = 5.46
    learning_rate: float = 1e-4
    ema: float = 0.995
    steps_per_shard: int = 20
    shards_in_memory: int = 12
    seed: int = 1
    workers: int = 1
    threads: int = 1
    minutes: float = float("inf")
    device: str = "cpu"


def train(recipe: MousaiAutoencoderRecipe) -> None:
    """Run what is left of the steps and write the codec to ``recipe.out``/codec."""
    if recipe.preset not in PRESETS:
        raise InputError(f"unknown preset {recipe.preset!r}; choose from {', '.join(PRESETS)}")
    settle(recipe.threads)
    deadline = time.monotonic() + 60 * recipe.minutes
    torch.manual_seed(recipe.seed)
    codec = (
        (load_magnitude(recipe.start) if recipe.start else build(PRESETS[recipe.preset]())).to(recipe.device).train()
    )
    codec.encoder.requires_grad_(not recipe.start)
    config, ema = codec.config, EMA(codec, recipe.ema)
    optimiser = torch.optim.AdamW(
        codec.parameters(), recipe.learning_rate, betas=(0.95, 0.999), eps=1e-6, weight_decay=1e-3
    )
    path, steps = recipe.out / "state.safetensors", recipe.steps
    step = resume(path, codec, ema, optimiser)
    log = StepLog(f"mousai-autoencoder-{recipe.preset}", step, steps, every=20)
    samples = max(round(recipe.seconds * config.frame_rate / config.whole), 1) * config.whole * config.stride
    pieces = band(recipe.band, recipe.seed, config.sample_rate)
    shards = shards_read(recipe.steps, recipe.steps_per_shard)
    with made_ahead(pieces, step // recipe.steps_per_shard, shards, recipe.workers) as read:
        draw = stereo_crops(recipe, samples, read)
        if not (step or recipe.start):
            codec.begin_with(draw(0))
        while step < steps:
            generator = torch.Generator().manual_seed(recipe.seed * 10**6 + step)
            wave_BCN = draw(step)
            codec.encoder.train(not recipe.start)
            with fast_products(recipe.device):
                loss, latent_BDT = codec.loss(wave_BCN, generator)
            loss.backward()
            nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
            for group in optimiser.param_groups:
                group["lr"] = recipe.learning_rate * warmup_stable_decay(step, steps, 200)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            ema.update(codec)
            step += 1
            if log.due(step):
                log(step, loss=loss, spread=latent_BDT.std())
            last = step == steps or time.monotonic() > deadline
            if step % 250 == 0 or last:
                remember(path, codec, ema, optimiser, step)
                publish(recipe, codec, ema, latent_BDT.detach(), step)
            if last:
                break


def publish(recipe: MousaiAutoencoderRecipe, codec: DiffusionCodec, ema: EMA, latent_BDT: Tensor, steps: int) -> None:
    """Write the averaged weights; a new codec's scale makes the latents of the last batch of unit variance."""
    if not recipe.start:
        codec.config = replace(codec.config, scale=round(latent_BDT.float().std().item(), 4))
    hours = round(steps * recipe.batch * recipe.seconds / 3600, 1)
    card = {"name": f"mousai-autoencoder-{recipe.preset}", "steps": steps, "hours_heard": hours}
    with averaged(codec, ema):
        save_magnitude(recipe.out / "codec", codec, **card, **provenance(recipe.device))
