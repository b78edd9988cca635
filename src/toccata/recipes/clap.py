"""Train CLAP: music of any length and its captions in one space, with feature fusion, from the band or any manifest."""

import functools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from toccata.data.mels import MelPiece, masked, mel_shard
from toccata.data.shards import made_ahead
from toccata.encoders.clap import (
    CLAP,
    CLAPConfig,
    build,
    clap_fused,
    clap_larger,
    clap_mini,
    clap_unfused,
    save_clap,
)
from toccata.encoders.clap_pictures import Pictures, draw_again, whole
from toccata.encoders.features import read_tokeniser
from toccata.encoders.text import load_text_encoder
from toccata.encoders.words import WordsConfig
from toccata.errors import InputError
from toccata.recipes.music import Front, Source, shards_of
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

PRESETS = {"mini": clap_mini, "unfused": clap_unfused, "fused": clap_fused, "larger": clap_larger}


@dataclass(frozen=True)
class CLAPRecipe(PairRecipe):
    __doc__ = PairRecipe.__doc__
    out: Path = Path("runs/clap")


def train(recipe: CLAPRecipe) -> None:
    """Train, or go on training, and write the averaged weights to ``recipe.out``/model."""
    if recipe.preset not in PRESETS:
        raise InputError(f"unknown preset {recipe.preset!r}; choose from {', '.join(PRESETS)}")
    settle(recipe.threads)
    deadline = time.monotonic() + 60 * recipe.minutes
    config, words = PRESETS[recipe.preset](), load_text_encoder()
    torch.manual_seed(recipe.seed)
    model = build(config, read_tokeniser(recipe.text) if recipe.text else None).to(recipe.device)
    source = shards_of(
        recipe, front_of(config.pictures), captioned=True, words=words if isinstance(config.text, WordsConfig) else None
    )
    learner = nn.ModuleDict({"model": model, "labels": LabelHead(model.width)}).to(recipe.device)
    ema = EMA(model, recipe.ema)
    optimisers = Optimisers(*split_matrices(matrices(model), learner), recipe.muon_rate, recipe.adam_rate)
    path = recipe.out / "state.safetensors"
    step = resume(path, learner, ema, optimisers)
    print(f"clap-{recipe.preset}: {sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters, "
          f"from step {step} to {recipe.steps}", flush=True)  # fmt: skip
    log = StepLog(f"clap-{recipe.preset}", step, recipe.steps, every=25)
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
                    publish(recipe, model, config, step)
    with averaged(model, ema):
        judge(model, source)
        publish(recipe, model, config, step)


def judge(model: CLAP, source: Source) -> None:
    """Print how well held-out captions and music find each other."""
    held_out = source.held_out_pieces()
    told_BD = model.embed_text([longest_caption(p) for p in held_out]).cpu()
    print(retrieval_line(embedded(model, held_out), told_BD), flush=True)


def front_of(pictures: Pictures) -> Front:
    """The log-mels that pictures are drawn from."""
    scale = "htk" if pictures.fused else "slaney"
    name = f"{pictures.sample_rate}-{pictures.window}-{pictures.hop}-{pictures.bands}-{scale}-{pictures.filling}"
    return Front(
        name, pictures.sample_rate, functools.partial(mel_shard, mels=functools.partial(_mels, pictures=pictures))
    )


def _mels(wave_1N: Tensor, pictures: Pictures) -> Tensor:
    return whole(wave_1N[0], pictures)[None]


def contrast(learner: nn.ModuleDict, pairs: Pairs, recipe: CLAPRecipe) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of a whole batch; the losses of pairs and labels, the share of captions whose music is found first."""
    model: Any = learner["model"]
    head: Any = learner["labels"]
    device = recipe.device
    drawn = [draw_again(p.mel_TM, model.pictures, pairs.choose) for p in pairs.pieces]
    mels = [torch.stack([masked(mel_TM.float(), pairs.choose) for mel_TM in mel_PTM]) for mel_PTM, _ in drawn]
    autocast = fast_products(device)

    def embed(first: int) -> Tensor:
        longer_B = torch.tensor([longer for _, longer in drawn[first : first + recipe.chunk]])
        if longer_B.sum() == 1:  # the fusion's norm over the batch has nothing to average; the whole one must do
            longer_B[:] = False
        mel_BPTM = torch.stack(mels[first : first + recipe.chunk])
        ids_BL, mask_BL = model.text.tokenise(pairs.captions[first : first + recipe.chunk])
        with autocast:
            heard_BD = model.project_audio(mel_BPTM.to(device), longer_B.to(device))
            return torch.stack([heard_BD, model.project_text(ids_BL.to(device), mask_BL.to(device))], dim=1)

    def losses(rows_B2D: Tensor) -> tuple[Tensor, Tensor]:
        heard_BD, told_BD = rows_B2D.unbind(1)
        labels = label_loss(head, heard_BD, pairs.pieces)
        return pair_loss(heard_BD, told_BD, model.scale_audio, model.scale_text), labels

    return contrasted(embed, losses, len(pairs.captions), recipe)


@torch.no_grad()
def embedded(model: CLAP, found: list[MelPiece], seed: int = 0) -> Tensor:
    """Audio embeddings of the pieces."""
    choose, rows = torch.Generator().manual_seed(seed), []
    device = model.scale_audio.device
    for at in range(0, len(found), 16):
        drawn = [draw_again(p.mel_TM, model.pictures, choose) for p in found[at : at + 16]]
        longer_B = torch.tensor([longer for _, longer in drawn])
        mel_BPTM = torch.stack([mel_PTM.float() for mel_PTM, _ in drawn])
        rows.append(model.project_audio(mel_BPTM.to(device), longer_B.to(device)).float().cpu())
    return torch.cat(rows)


def publish(recipe: CLAPRecipe, model: CLAP, config: CLAPConfig, step: int) -> None:
    """Write the weights as they are now as a model that ``toccata.load`` opens."""
    card = {"name": f"clap-{recipe.preset}", "steps": step, "pairs": step * recipe.batch}
    save_clap(recipe.out / "model", model, config, **card, **provenance(recipe.device))
