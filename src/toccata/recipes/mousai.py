"""Train Moûsai's text-conditioned model on the house band: pieces turned to latents once, told apart by captions.

A crop of a piece that is longer than a window is told which part of it it is, in words (arXiv 2301.11757, section 4.1).

Shapes: B batch, T frames, D latent width.
"""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from toccata.codecs.diffusion import DiffusionCodec
from toccata.codecs.magnitude import load_magnitude
from toccata.data.shards import Shard, ShardStore, made_ahead, shards_read
from toccata.encoders.readers import load_reader
from toccata.errors import InputError
from toccata.models.mousai.config import full, mini
from toccata.models.mousai.network import MousaiNetwork
from toccata.models.mousai.pipeline import save_mousai
from toccata.models.worded import captioned_loss
from toccata.recipes import stereo
from toccata.training.cpu import settle
from toccata.training.log import StepLog
from toccata.training.optim import EMA, averaged, warmup_stable_decay
from toccata.training.precision import fast_products
from toccata.training.provenance import provenance
from toccata.training.run import remember, resume
from toccata.weights.parts import BUNDLED, adopt

PRESETS = {"mini": mini, "full": full}
HELD_OUT_SEED, HELD_OUT_CROPS = 10_000, 32


@dataclass(frozen=True)
class MousaiRecipe:
    """What to train and for how long. ``minutes`` ends this run early; the next goes on exactly where it stopped.

    ``codec`` is a magnitude autoencoder's folder; one that is not part of toccata is copied beside the model. ``text``
    reads the captions: a folder with a text encoder or a T5, or a public T5 by its name. Pieces are drawn from the
    newest ``shards_in_memory`` shards; there are ``first_shards`` at the start, and one more every ``steps_per_shard``
    steps.
    """

    out: Path = Path("runs/mousai")
    latents: Path = Path("runs/latents")
    codec: Path = BUNDLED / "mousai-autoencoder-mini"
    text: str = "text-mini"
    preset: str = "mini"
    steps: int = 100_000
    batch: int = 16
    learning_rate: float = 1e-4
    ema: float = 0.995
    first_shards: int = 40
    steps_per_shard: int = 16
    shards_in_memory: int = 400
    seed: int = 1
    workers: int = 1
    threads: int = 1
    minutes: float = float("inf")
    device: str = "cpu"


class Batch(NamedTuple):
    """Crops of B pieces: latent_BDT, and what each is told."""

    latent_BDT: Tensor
    captions: list[str]


def train(recipe: MousaiRecipe) -> None:
    """Train, or go on training, and write the averaged weights to ``recipe.out``/model."""
    if recipe.preset not in PRESETS:
        raise InputError(f"unknown preset {recipe.preset!r}; choose from {', '.join(PRESETS)}")
    settle(recipe.threads)
    deadline = time.monotonic() + 60 * recipe.minutes
    heard, codec_name = adopt(str(recipe.codec), recipe.out / "autoencoder")
    reader, text_name = adopt(recipe.text, recipe.out / "text")
    codec, text, parts = load_magnitude(heard), load_reader(reader), {"codec": codec_name, "text": text_name}
    config = replace(PRESETS[recipe.preset](), text_width=text.width)
    config = replace(config, unet=replace(config.unet, inputs=codec.config.latent))
    torch.manual_seed(recipe.seed)
    network = MousaiNetwork(config).to(recipe.device)
    ema = EMA(network, recipe.ema)
    optimiser = torch.optim.AdamW(
        network.parameters(), recipe.learning_rate, betas=(0.95, 0.999), eps=1e-6, weight_decay=1e-3
    )
    path = recipe.out / "state.safetensors"
    step = resume(path, network, ema, optimiser)
    log = StepLog(f"mousai-{recipe.preset}", step, recipe.steps, every=25)
    one_shard, others = replace(recipe, first_shards=1), latent_store(recipe, HELD_OUT_SEED)
    held_out = sampler(one_shard, config.window, codec, others.read, HELD_OUT_CROPS)(0)
    ahead, shards = recipe.first_shards + 20, shards_read(recipe.steps, recipe.steps_per_shard, recipe.first_shards)
    with made_ahead(latent_store(recipe, recipe.seed), 0, shards, recipe.workers, ahead) as read:
        draw = sampler(recipe, config.window, codec, read, recipe.batch)
        while step < recipe.steps:
            generator = torch.Generator().manual_seed(recipe.seed * 10**7 + step)
            batch = draw(step)
            with fast_products(recipe.device):
                loss = captioned_loss(network, batch.latent_BDT, text, batch.captions, generator)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            for group in optimiser.param_groups:
                group["lr"] = recipe.learning_rate * warmup_stable_decay(step, recipe.steps, 200)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            ema.update(network)
            step += 1
            if log.due(step):
                log(step, loss=loss)
            last = step == recipe.steps or time.monotonic() > deadline
            if step % 250 == 0 or last:
                with averaged(network, ema), torch.no_grad():
                    same = torch.Generator().manual_seed(0)
                    heard = captioned_loss(network, held_out.latent_BDT, text, held_out.captions, same)
                print(f"held out {heard.item():.4f}", flush=True)
                remember(path, network, ema, optimiser, step)
                publish(recipe, network, ema, parts, step)
            if last:
                break


def latent_store(recipe: MousaiRecipe, seed: int) -> ShardStore:
    """Shards of latents of the endless corpus ``seed``."""
    return stereo.latent_store(recipe.latents, recipe.codec, load_magnitude, seed)


def sampler(
    recipe: MousaiRecipe, window: int, codec: DiffusionCodec, read: Callable[[int], Shard], count: int
) -> Callable[[int], Batch]:
    """``draw(step)``: ``count`` crops of ``window`` frames by the step alone; silence follows short pieces."""
    load = functools.lru_cache(maxsize=recipe.shards_in_memory + 1)(read)
    silence_TD = codec.encode(torch.zeros(1, codec.config.audio_channels, window * codec.config.stride))[0]

    def draw(step: int) -> Batch:
        newest = recipe.first_shards + step // recipe.steps_per_shard - 1
        choose = torch.Generator().manual_seed(recipe.seed * 10**7 + step)

        def under(stop: int) -> int:
            return int(torch.randint(stop, (), generator=choose))

        crops, captions = [], []
        for _ in range(count):
            shard, records = load(newest - under(min(newest + 1, recipe.shards_in_memory)))
            chosen = under(len(records))
            latent_TD = shard["latent"].split([record["frames"] for record in records])[chosen].float()
            start = under(max(len(latent_TD) - window, 0) + 1)
            part_TD = latent_TD[start : start + window]
            crops.append(torch.cat([part_TD, silence_TD[len(part_TD) :]]))
            texts = records[chosen]["captions"]
            captions.append(told(texts[under(len(texts))]["text"], start, len(latent_TD), window))
        return Batch(torch.stack(crops).mT, captions)

    return draw


def told(caption: str, start: int, frames: int, window: int) -> str:
    """The caption and, of a piece that is longer than a window, which of its parts ``start`` lies in."""
    parts = -(-frames // window)
    if parts == 1:
        return caption
    return f"{caption}, {start * parts // (frames - window + 1) + 1} of {parts}"


def publish(recipe: MousaiRecipe, network: MousaiNetwork, ema: EMA, parts: dict[str, str], steps: int) -> None:
    """Write the averaged weights with where they come from, and the names of their ``parts``."""
    card = {"name": f"mousai-{recipe.preset}", **parts, "steps": steps}
    with averaged(network, ema):
        save_mousai(recipe.out / "model", network, **card, **provenance(recipe.device))
