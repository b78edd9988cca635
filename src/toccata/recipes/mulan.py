"""Train MuLan: two towers that learn which captions belong to which music, from the band or from any manifest."""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from toccata.data.mels import MelPiece, crop, masked, mel_shard, pieces
from toccata.data.shards import Shard, made_ahead
from toccata.encoders.mulan import MuLan, MuLanConfig, full, full_transformer, mels_of, mini, save_mulan
from toccata.encoders.text import load_text_encoder
from toccata.encoders.towers import text_tower
from toccata.encoders.words import WordsConfig
from toccata.errors import InputError
from toccata.recipes.music import Front, MusicRecipe, Source, newest_shard, shards_of
from toccata.recipes.pairs import (
    PairRecipe,
    Pairs,
    contrasted,
    label_loss,
    longest_caption,
    matrices,
    retrieval_line,
    sampler,
)
from toccata.recipes.score_heads import LabelHead
from toccata.training.contrastive import pair_loss
from toccata.training.cpu import settle
from toccata.training.log import StepLog
from toccata.training.optim import EMA, Optimisers, averaged, split_matrices, warmup_stable_decay
from toccata.training.precision import fast_products
from toccata.training.provenance import provenance
from toccata.training.run import remember, resume

PRESETS = {"mini": mini, "full": full, "full-transformer": full_transformer}


@dataclass(frozen=True)
class MuLanRecipe(PairRecipe):
    __doc__ = PairRecipe.__doc__
    out: Path = Path("runs/mulan")


def train(recipe: MuLanRecipe) -> None:
    """Train, or go on training, and write the averaged weights to ``recipe.out``/model."""
    if recipe.preset not in PRESETS:
        raise InputError(f"unknown preset {recipe.preset!r}; choose from {', '.join(PRESETS)}")
    settle(recipe.threads)
    deadline = time.monotonic() + 60 * recipe.minutes
    config, words = PRESETS[recipe.preset](), load_text_encoder()
    torch.manual_seed(recipe.seed)
    model = MuLan(config, text_tower(config.text, recipe.text, words)).to(recipe.device)
    source = shards_of(
        recipe, front_of(config), captioned=True, words=words if isinstance(config.text, WordsConfig) else None
    )
    learner = nn.ModuleDict({"model": model, "labels": LabelHead(model.width)}).to(recipe.device)
    ema = EMA(model, recipe.ema)
    optimisers = Optimisers(*split_matrices(matrices(model), learner), recipe.muon_rate, recipe.adam_rate)
    path = recipe.out / "state.safetensors"
    step = resume(path, learner, ema, optimisers)
    print(f"mulan-{recipe.preset}: {sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters, "
          f"from step {step} to {recipe.steps}", flush=True)  # fmt: skip
    log = StepLog(f"mulan-{recipe.preset}", step, recipe.steps, every=25)
    ahead = recipe.first_shards + 20
    with made_ahead(source.train, 0, source.count, recipe.workers, ahead) as read:
        draw = sampler(recipe, words, source, read)
        while step < recipe.steps:
            loss, labels, hit = contrast(learner, draw(step), recipe)
            nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
            optimisers.step(warmup_stable_decay(step, recipe.steps, 100, recipe.decay))
            ema.update(model)
            step += 1
            if log.due(step):
                log(step, loss=loss, labels=labels, found=hit, temperature=model.temperature)
            late = time.monotonic() > deadline
            if step % 250 == 0 or step == recipe.steps or late:
                remember(path, learner, ema, optimisers, step)
            if late:
                break
            if step % 500 == 0 and step < recipe.steps:
                with averaged(model, ema):
                    judge(model, source)
                    publish(recipe, model, step)
        with averaged(model, ema):
            judge(model, source)
            if step >= recipe.steps:
                fit_tokens(model, recipe, source, read)
            publish(recipe, model, step)


def judge(model: MuLan, source: Source) -> None:
    """Print how well held-out captions and music find each other."""
    held_out = source.held_out_pieces()
    told_BD = model.embed_text([longest_caption(p) for p in held_out])
    print(retrieval_line(embedded(model, held_out, seed=0), told_BD), flush=True)


def front_of(config: MuLanConfig) -> Front:
    """The log-mels that the audio tower reads."""
    name = f"{config.sample_rate}-{config.n_fft}-{config.hop}-{config.bands}"
    return Front(name, config.sample_rate, functools.partial(mel_shard, mels=functools.partial(mels_of, config=config)))


def contrast(learner: nn.ModuleDict, pairs: Pairs, recipe: MuLanRecipe) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of a whole batch; the losses of pairs and labels, the share of captions whose music is found first."""
    model: Any = learner["model"]
    head: Any = learner["labels"]
    mels = [masked(crop(p, model.config.frames, pairs.choose), pairs.choose) for p in pairs.pieces]
    autocast = fast_products(recipe.device)

    def embed(first: int) -> Tensor:
        mel_BTM = torch.stack(mels[first : first + recipe.chunk]).float()
        with autocast:
            heard_BD = model.hear(mel_BTM.to(recipe.device))
            return torch.stack([heard_BD, model.read(pairs.captions[first : first + recipe.chunk])], dim=1)

    def losses(rows_B2D: Tensor) -> tuple[Tensor, Tensor]:
        heard_BD, told_BD = rows_B2D.unbind(1)
        labels = label_loss(head, heard_BD, pairs.pieces)
        return pair_loss(heard_BD, told_BD, model.log_scale), labels

    return contrasted(embed, losses, len(pairs.captions), recipe)


@torch.no_grad()
def embedded(model: MuLan, found: list[MelPiece], seed: int, crops: int = 1) -> Tensor:
    """Audio embeddings of ``crops`` windows of each piece, end to end."""
    choose = torch.Generator().manual_seed(seed)
    mels = [crop(p, model.config.frames, choose) for p in found for _ in range(crops)]
    rows = [model.hear(torch.stack(mels[i : i + 32]).float().to(model.device)) for i in range(0, len(mels), 32)]
    return torch.cat(rows).float().cpu()


def fit_tokens(model: MuLan, recipe: MusicRecipe, source: Source, read: Callable[[int], Shard]) -> None:
    """Fit the quantiser to embeddings of training music: k-means, then moving averages; print what it keeps."""
    newest = newest_shard(recipe, source, recipe.steps)
    shards = range(max(newest + 1 - recipe.shards_in_memory, 0), newest + 1)
    rows = torch.cat([embedded(model, pieces(read(index)), index, crops=4) for index in shards])
    choose = torch.Generator().manual_seed(recipe.seed)
    quantiser = model.quantiser.cpu()
    quantiser.fit(rows, choose)
    levels_B = torch.full((1,), model.config.levels)
    for _ in range(10):
        order = torch.randperm(len(rows), generator=choose)
        for part in order.split(2048):
            quantiser(rows[part][None], levels_B, choose)
    model.quantiser.to(model.device)
    heard = embedded(model, source.held_out_pieces(), seed=0)
    kept = (model.dequantise(model.quantise(heard)) * heard).sum(1).mean()
    print(f"tokens of {len(rows)} windows; held out, cosine to what they keep {kept:.3f}", flush=True)


def publish(recipe: MuLanRecipe, model: MuLan, step: int) -> None:
    """Write the weights as they are now as a model that ``toccata.load`` opens."""
    card = {"name": f"mulan-{recipe.preset}", "steps": step, "pairs": step * recipe.batch}
    save_mulan(recipe.out / "model", model, **card, **provenance(recipe.device))
