"""Train Riffusion on pictures of log-mels, told apart by captions: the house band's, or any manifest's.

Shapes: B batch, M mel bands, T frames.
"""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from toccata.data.mels import MelPiece, crop, mel_shard, pieces
from toccata.data.shards import Shard, made_ahead
from toccata.encoders.readers import load_reader
from toccata.errors import InputError
from toccata.models.riffusion.config import RiffusionConfig, mini
from toccata.models.riffusion.network import RiffusionNetwork, picture_of
from toccata.models.riffusion.pipeline import save_riffusion
from toccata.models.worded import captioned_loss
from toccata.recipes.music import Front, Source, newest_shard, shards_of
from toccata.training.cpu import settle
from toccata.training.log import StepLog
from toccata.training.optim import EMA, averaged, warmup_stable_decay
from toccata.training.precision import fast_products
from toccata.training.provenance import provenance
from toccata.training.run import remember, resume
from toccata.weights.parts import adopt

PRESETS = {"mini": mini}
HELD_OUT_CROPS = 32


@dataclass(frozen=True)
class RiffusionRecipe:
    """What to train and for how long. ``minutes`` ends this run early; the next goes on exactly where it stopped.

    ``manifest`` names sound files (see ``data.mels.read_manifest``), whose last ``held_out_shards`` of 32 are kept for
    judging; without one, band pieces are rendered afresh. ``text`` reads the captions: a folder with a text encoder or
    a T5, or a public T5 by its name. Pieces are drawn from the newest ``shards_in_memory`` shards; there are
    ``first_shards`` at the start, and one more every ``steps_per_shard`` steps.
    """

    out: Path = Path("runs/riffusion")
    mels: Path = Path("runs/mels")
    manifest: Path | None = None
    text: str = "text-mini"
    preset: str = "mini"
    steps: int = 100_000
    batch: int = 16
    learning_rate: float = 1e-4
    ema: float = 0.999
    first_shards: int = 20
    steps_per_shard: int = 64
    shards_in_memory: int = 100
    held_out_shards: int = 1
    seed: int = 1
    workers: int = 1
    threads: int = 1
    minutes: float = float("inf")
    device: str = "cpu"


class Batch(NamedTuple):
    """Crops of B pieces: picture_BMT, and what each is told."""

    picture_BMT: Tensor
    captions: list[str]


def train(recipe: RiffusionRecipe) -> None:
    """Train, or go on training, and write the averaged weights to ``recipe.out``/model."""
    if recipe.preset not in PRESETS:
        raise InputError(f"unknown preset {recipe.preset!r}; choose from {', '.join(PRESETS)}")
    settle(recipe.threads)
    deadline = time.monotonic() + 60 * recipe.minutes
    reader, text_name = adopt(recipe.text, recipe.out / "text")
    text = load_reader(reader)
    config = replace(PRESETS[recipe.preset](), text_width=text.width)
    source = shards_of(recipe, front_of(config), captioned=True)
    torch.manual_seed(recipe.seed)
    network = RiffusionNetwork(config).to(recipe.device)
    ema = EMA(network, recipe.ema)
    optimiser = torch.optim.AdamW(network.parameters(), recipe.learning_rate, weight_decay=1e-2)
    path = recipe.out / "state.safetensors"
    step = resume(path, network, ema, optimiser)
    log = StepLog(f"riffusion-{recipe.preset}", step, recipe.steps, every=25)
    held_out = crops(source.held_out_pieces(), HELD_OUT_CROPS, config.frames, torch.Generator().manual_seed(0))
    ahead = recipe.first_shards + 20
    with made_ahead(source.train, 0, source.count, recipe.workers, ahead) as read:
        draw = sampler(recipe, config.frames, source, read)
        while step < recipe.steps:
            generator = torch.Generator().manual_seed(recipe.seed * 10**7 + step)
            batch = draw(step)
            with fast_products(recipe.device):
                loss = captioned_loss(network, batch.picture_BMT, text, batch.captions, generator)
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
                    heard = captioned_loss(network, held_out.picture_BMT, text, held_out.captions, same)
                print(f"held out {heard.item():.4f}", flush=True)
                remember(path, network, ema, optimiser, step)
                publish(recipe, network, ema, text_name, step)
            if last:
                break


def front_of(config: RiffusionConfig) -> Front:
    """The log-mels that pictures are of."""
    name = f"{config.sample_rate}-{config.n_fft}-{config.hop}-{config.bands}"
    mels = functools.partial(picture_of, config=config)
    return Front(name, config.sample_rate, functools.partial(mel_shard, mels=mels))


def sampler(
    recipe: RiffusionRecipe, frames: int, source: Source, read: Callable[[int], Shard]
) -> Callable[[int], Batch]:
    """``draw(step)``: crops of pieces of the newest shards, by the step alone."""
    load = functools.lru_cache(maxsize=recipe.shards_in_memory + 1)(lambda index: pieces(read(index)))

    def draw(step: int) -> Batch:
        newest = newest_shard(recipe, source, step)
        choose = torch.Generator().manual_seed(recipe.seed * 10**7 + step)
        among = min(newest + 1, recipe.shards_in_memory)
        shards = [load(newest - int(back)) for back in torch.randint(among, (recipe.batch,), generator=choose)]
        chosen = [shard[int(torch.randint(len(shard), (), generator=choose))] for shard in shards]
        return crops(chosen, recipe.batch, frames, choose)

    return draw


def crops(found: list[MelPiece], count: int, frames: int, choose: torch.Generator) -> Batch:
    """``count`` pictures, of the pieces in turn, and one caption of each; a piece that is too short is repeated."""
    chosen = [found[number % len(found)] for number in range(count)]
    pictures = [crop(piece, frames, choose).T.float() for piece in chosen]
    captions = [one_caption(piece, choose) for piece in chosen]
    return Batch(torch.stack(pictures), captions)


def one_caption(piece: MelPiece, choose: torch.Generator) -> str:
    texts = piece.record["captions"]
    return texts[int(torch.randint(len(texts), (), generator=choose))]["text"]


def publish(recipe: RiffusionRecipe, network: RiffusionNetwork, ema: EMA, text: str, steps: int) -> None:
    """Write the averaged weights with where they come from, and the name of what reads the ``text``."""
    card = {"name": f"riffusion-{recipe.preset}", "text": text, "steps": steps}
    with averaged(network, ema):
        save_riffusion(recipe.out / "model", network, **card, **provenance(recipe.device))
