"""Train Stable Audio on the house band: pieces rendered in stereo, turned to latents once, told apart by captions.

Every crop is told where in its piece it starts and how long the whole is (arXiv 2402.04825, section 3.3), and goes on
with silence where the piece ends: so the model learns to begin and to end.

Shapes: B batch, T frames, D latent width.
"""

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from toccata.codecs.autoencoder import Autoencoder, load_autoencoder
from toccata.data.shards import Shard, ShardStore, made_ahead, shards_read
from toccata.encoders.readers import TextReader, load_reader
from toccata.errors import InputError, WeightsError
from toccata.models.stable_audio.config import START, TOTAL, StableAudioConfig, first, mini, mini_unet
from toccata.models.stable_audio.network import StableAudioNetwork, diffusion_loss, seconds_of
from toccata.models.stable_audio.pipeline import save_stable_audio
from toccata.recipes import stereo
from toccata.training.cpu import settle
from toccata.training.log import StepLog
from toccata.training.optim import EMA, Optimisers, averaged, split_matrices, warmup_stable_decay
from toccata.training.precision import fast_products
from toccata.training.provenance import provenance
from toccata.training.run import remember, resume
from toccata.weights import checkpoint
from toccata.weights.compact import expand
from toccata.weights.parts import BUNDLED, adopt

PRESETS = {"mini": mini, "mini-unet": mini_unet, "first": first}
HELD_OUT_SEED, HELD_OUT_CROPS = 10_000, 32


@dataclass(frozen=True)
class StableAudioRecipe:
    """What to train and for how long. ``minutes`` ends this run early; the next goes on exactly where it stopped.

    ``codec`` is an autoencoder's folder; one that is not part of toccata is copied beside the model. ``text`` reads
    the captions: text-mini, a folder with a T5 or a CLAP (copied too), or a public model's name. With ``start``,
    the folder of a trained model, training goes on from its weights. Shares of the crops begin with their piece
    (``from_start``), see its end (``to_end``), or are its last bars, told as a ``short`` piece of their own; the
    others lie anywhere within. A model that isn't ``timed`` is told the same seconds of every crop: what is
    compared with, to see what they are good for. Pieces are drawn from the newest ``shards_in_memory`` shards;
    there are ``first_shards`` at the start, and one more every ``steps_per_shard`` steps.
    """

    out: Path = Path("runs/stable-audio")
    latents: Path = Path("runs/latents")
    codec: Path = BUNDLED / "autoencoder-mini"
    text: str = "text-mini"
    preset: str = "mini"
    start: Path | None = None
    steps: int = 20_000
    batch: int = 16
    muon_rate: float = 2e-3
    adam_rate: float = 1e-3
    from_start: float = 0.35
    to_end: float = 0.2
    short: float = 0.3
    timed: bool = True
    ema: float = 0.999
    decay: float = 0.2
    first_shards: int = 40
    steps_per_shard: int = 16
    shards_in_memory: int = 400
    seed: int = 1
    workers: int = 1
    threads: int = 1
    minutes: float = float("inf")
    device: str = "cpu"


class Batch(NamedTuple):
    """Crops of B pieces: latent_BTD, captions, and the seconds that each is told."""

    latent_BTD: Tensor
    captions: list[str]
    timing: dict[str, Tensor]


def train(recipe: StableAudioRecipe) -> None:
    """Train, or go on training, and write the averaged weights to ``recipe.out``/model."""
    if recipe.preset not in PRESETS:
        raise InputError(f"unknown preset {recipe.preset!r}; choose from {', '.join(PRESETS)}")
    settle(recipe.threads)
    deadline = time.monotonic() + 60 * recipe.minutes
    heard, codec_name = adopt(str(recipe.codec), recipe.out / "autoencoder")
    told, text_name = adopt(recipe.text, recipe.out / "text")
    codec, text, parts = load_autoencoder(heard), load_reader(told), {"codec": codec_name, "text": text_name}
    config = replace(PRESETS[recipe.preset](), text_width=text.width)
    if not recipe.timed:
        config = replace(config, longest=0.0)
    config = config.with_latent(codec.config.latent)
    torch.manual_seed(recipe.seed)
    network = StableAudioNetwork(config).to(recipe.device)
    if recipe.start:
        begin_as(network, recipe.start)
    ema = EMA(network, recipe.ema)
    optimisers = Optimisers(*split_matrices(network.blocks, network), recipe.muon_rate, recipe.adam_rate)
    path = recipe.out / "state.safetensors"
    step = resume(path, network, ema, optimisers)
    log = StepLog(f"stable-audio-{recipe.preset}", step, recipe.steps, every=25)
    one_shard, others = replace(recipe, first_shards=1), latent_store(recipe, HELD_OUT_SEED)
    held_out = sampler(one_shard, config, codec, others.read, HELD_OUT_CROPS)(0)
    ahead, shards = recipe.first_shards + 20, shards_read(recipe.steps, recipe.steps_per_shard, recipe.first_shards)
    with made_ahead(latent_store(recipe, recipe.seed), 0, shards, recipe.workers, ahead) as read:
        draw = sampler(recipe, config, codec, read, recipe.batch)
        while step < recipe.steps:
            batch, generator = draw(step), torch.Generator().manual_seed(recipe.seed * 10**7 + step)
            with fast_products(recipe.device):
                loss = loss_of(network, text, batch, generator)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimisers.step(warmup_stable_decay(step, recipe.steps, 200, recipe.decay))
            ema.update(network)
            step += 1
            if log.due(step):
                log(step, loss=loss)
            last = step == recipe.steps or time.monotonic() > deadline
            if step % 250 == 0 or last:
                with averaged(network, ema), torch.no_grad():
                    heard = loss_of(network, text, held_out, torch.Generator().manual_seed(0))
                print(f"held out {heard.item():.4f}", flush=True)
                remember(path, network, ema, optimisers, step)
                publish(recipe, network, ema, parts, step)
            if last:
                break


def begin_as(network: StableAudioNetwork, folder: Path) -> None:
    """Take the weights of a trained model of the same sizes; raises ``WeightsError`` for any other.

    A network that isn't told seconds begins with the mean of what the trained one is told of them.
    """
    config, tensors = checkpoint.load(folder)
    if config.get("family") != "stable-audio":
        raise WeightsError(f"{folder} holds a {config.get('family')} model, not Stable Audio")
    known = expand(tensors)
    if not network.config.longest:
        rows = [name for name in known if name.endswith(".rows.weight")]
        known |= {name: known[name].mean(0, keepdim=True) for name in rows}
    checkpoint.load_into(network, known, folder)


def loss_of(network: StableAudioNetwork, text: TextReader, batch: Batch, generator: torch.Generator) -> Tensor:
    """The diffusion loss of a batch; ``generator`` decides times, noise, and who is told nothing."""
    device = network.device
    words = text.encode(batch.captions)
    timing = {name: batch.timing[name].to(device) for name in network.config.timing}
    tokens, mask = words.tokens_BLD.to(device), words.mask_BL.to(device)
    return diffusion_loss(network, batch.latent_BTD.to(device), tokens, mask, timing, generator)


def latent_store(recipe: StableAudioRecipe, seed: int) -> ShardStore:
    """Shards of latents of the endless corpus ``seed``."""
    return stereo.latent_store(recipe.latents, recipe.codec, load_autoencoder, seed)


def sampler(
    recipe: StableAudioRecipe, config: StableAudioConfig, codec: Autoencoder, read: Callable[[int], Shard], count: int
) -> Callable[[int], Batch]:
    """``draw(step)``: ``count`` crops that depend on the step alone."""
    load = functools.lru_cache(maxsize=recipe.shards_in_memory + 1)(read)
    silence_TD = codec.encode(torch.zeros(1, codec.config.audio_channels, config.window * codec.config.stride))[0]
    rate = codec.config.frame_rate

    def draw(step: int) -> Batch:
        newest = recipe.first_shards + step // recipe.steps_per_shard - 1
        choose = torch.Generator().manual_seed(recipe.seed * 10**7 + step)

        def under(stop: int) -> int:
            return int(torch.randint(stop, (), generator=choose))

        crops, captions, starts, totals = [], [], [], []
        for _ in range(count):
            shard, records = load(newest - under(min(newest + 1, recipe.shards_in_memory)))
            chosen = under(len(records))
            latent_TD = shard["latent"].split([record["frames"] for record in records])[chosen].float()
            place = float(torch.rand((), generator=choose))
            left = len(latent_TD) - config.window  # where the last whole window begins
            begins = 0  # where what the crop is told of begins
            if place < recipe.from_start:
                start = 0
            elif place < recipe.from_start + recipe.to_end:
                start = max(left, 0) + under(max(len(latent_TD) - max(left, 0) - round(rate), 1))
            elif place < recipe.from_start + recipe.to_end + recipe.short:
                bars = bars_within(records[chosen], max(left, 0), len(latent_TD) - round(rate), rate)
                start = begins = bars[under(len(bars))]
            else:
                start = under(max(left, 0) + 1)
            part_TD = latent_TD[start : start + config.window]
            crops.append(torch.cat([part_TD, silence_TD[len(part_TD) :]]))
            texts = records[chosen]["captions"]
            captions.append(texts[under(len(texts))]["text"])
            starts.append((start - begins) / rate)
            totals.append((len(latent_TD) - begins) / rate)
        return Batch(torch.stack(crops), captions, {START: seconds_of(starts), TOTAL: seconds_of(totals)})

    return draw


def bars_within(record: dict[str, Any], first: int, last: int, rate: float) -> list[int]:
    """The frames from ``first`` to ``last`` at which a bar of the piece begins; where none does, ``first``."""
    seconds = 60 / record["tempo"] * record["meter"][0]
    bars = range(math.ceil(first / rate / seconds), math.floor(last / rate / seconds) + 1)
    return [round(bar * seconds * rate) for bar in bars] or [first]


def publish(
    recipe: StableAudioRecipe, network: StableAudioNetwork, ema: EMA, parts: dict[str, str], steps: int
) -> None:
    """Write the averaged weights with where they come from, and the names of the codec and the text encoder."""
    card = {"name": f"stable-audio-{recipe.preset}", **parts, "steps": steps}
    with averaged(network, ema):
        save_stable_audio(recipe.out / "model", network, **card, **provenance(recipe.device))
