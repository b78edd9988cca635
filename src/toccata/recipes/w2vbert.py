"""Train w2v-BERT on sound alone, from the band or from any manifest, and fit the semantic tokens of its features.

Or of a public encoder's, which is not trained.
"""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from toccata.data.mels import MelPiece, crop, mel_shard, pieces
from toccata.data.shards import Shard, made_ahead
from toccata.encoders.public_features import MERT, W2V_BERT, PublicFeatures, public_features
from toccata.encoders.semantic import SemanticTokens, save_semantic
from toccata.encoders.w2vbert import Losses, W2vBert, W2vBertConfig, full, mels_of, mini
from toccata.errors import InputError
from toccata.nn.rvq import perplexity
from toccata.recipes.music import Front, MusicRecipe, Source, newest_shard, shards_of
from toccata.training.cpu import settle
from toccata.training.log import StepLog
from toccata.training.optim import EMA, Optimisers, averaged, split_matrices, warmup_stable_decay
from toccata.training.precision import fast_products
from toccata.training.provenance import provenance
from toccata.training.run import remember, resume

PRESETS = {"mini": mini, "full": full}
START_STEPS = 16  # whose music the codes of mels are found in
PUBLIC = {"w2v-bert-2.0": W2V_BERT, "mert": MERT}


@dataclass(frozen=True)
class W2vBertRecipe(MusicRecipe):
    __doc__ = f"""{MusicRecipe.__doc__}
    Captions are never read. The choice of codes is drawn at a temperature that falls from 2 by ``cooling`` a step,
    down to 0.5. The tokens are fitted to ``token_shards`` shards when training ends.

    The presets w2v-bert-2.0 and mert train nothing: they fit tokens to what that public encoder says after ``layer``
    blocks (its own choice where None).
    """

    out: Path = Path("runs/w2vbert")
    steps: int = 5000
    muon_rate: float = 2e-3
    adam_rate: float = 1e-3
    cooling: float = 0.9996
    token_shards: int = 20
    layer: int | None = None

    def temperature(self, step: int) -> float:
        """Of the choice of codes."""
        return max(2.0 * self.cooling**step, 0.5)


def train(recipe: W2vBertRecipe) -> None:
    """Train, or go on training, and write the averaged weights and the tokens to ``recipe.out``/model."""
    if recipe.preset not in (*PRESETS, *PUBLIC):
        raise InputError(f"unknown preset {recipe.preset!r}; choose from {', '.join((*PRESETS, *PUBLIC))}")
    settle(recipe.threads)
    if recipe.preset in PUBLIC:
        return fit_public(recipe, PUBLIC[recipe.preset])
    deadline = time.monotonic() + 60 * recipe.minutes
    config = PRESETS[recipe.preset]()
    torch.manual_seed(recipe.seed)
    encoder = W2vBert(config)
    model = SemanticTokens(encoder).to(recipe.device)
    source = shards_of(recipe, front_of(config), captioned=False)
    ema = EMA(model, recipe.ema)
    linear = nn.ModuleList(m for m in encoder.blocks.modules() if isinstance(m, nn.Linear))
    optimisers = Optimisers(*split_matrices(linear, model), recipe.muon_rate, recipe.adam_rate)
    path = recipe.out / "state.safetensors"
    step = resume(path, model, ema, optimisers)
    print(f"w2vbert-{recipe.preset}: {sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters, "
          f"from step {step} to {recipe.steps}", flush=True)  # fmt: skip
    log = StepLog(f"w2vbert-{recipe.preset}", step, recipe.steps, every=25)
    with made_ahead(source.train, 0, source.count, recipe.workers, recipe.first_shards + 20) as read:
        draw = sampler(recipe, config, source, read)
        if step == 0:
            mel_BTM = torch.cat([draw(first)[0] for first in range(START_STEPS)])
            encoder.start(mel_BTM, torch.Generator().manual_seed(recipe.seed))
        while step < recipe.steps:
            mel_BTM, choose = draw(step)
            torch.manual_seed(recipe.seed * 10**7 + step)  # of the dropout, so that a run goes on exactly
            with fast_products(recipe.device):
                losses: Losses = encoder(mel_BTM, recipe.temperature(step), choose)
            losses.total.backward()
            nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
            optimisers.step(warmup_stable_decay(step, recipe.steps, 200, recipe.decay))
            ema.update(model)
            step += 1
            if log.due(step):
                log(step, **losses._asdict())
            last = step == recipe.steps or time.monotonic() > deadline
            if step % 250 == 0 or last:
                remember(path, model, ema, optimisers, step)
            if last:
                break
            if step % 500 == 0:
                with averaged(model, ema):
                    judge(encoder, recipe, source)
        with averaged(model, ema):
            judge(encoder, recipe, source)
            if step >= recipe.steps:
                fit_tokens(model, encoder, recipe, source, read)
            publish(recipe, model, encoder, step)


def front_of(config: W2vBertConfig) -> Front:
    """The log-mels that the encoder reads."""
    name = f"w2vbert-{config.sample_rate}-{config.n_fft}-{config.hop}-{config.bands}"
    return Front(name, config.sample_rate, functools.partial(mel_shard, mels=functools.partial(mels_of, config=config)))


def sampler(
    recipe: W2vBertRecipe, config: W2vBertConfig, source: Source, read: Callable[[int], Shard]
) -> Callable[[int], tuple[Tensor, torch.Generator]]:
    """``draw(step) -> (mel_BTM, generator)``: windows of pieces, and what draws the rest; depends on the step alone."""
    load = functools.lru_cache(maxsize=recipe.shards_in_memory + 1)(lambda index: pieces(read(index)))

    def draw(step: int) -> tuple[Tensor, torch.Generator]:
        newest = newest_shard(recipe, source, step)
        choose = torch.Generator().manual_seed(recipe.seed * 10**7 + step)
        mels = []
        for _ in range(recipe.batch):
            back = int(torch.randint(min(newest + 1, recipe.shards_in_memory), (), generator=choose))
            shard = load(newest - back)
            piece = shard[int(torch.randint(len(shard), (), generator=choose))]
            mels.append(crop(piece, config.window_frames, choose))
        return torch.stack(mels).float().to(recipe.device), choose

    return draw


def windows(found: list[MelPiece], config: W2vBertConfig, seed: int) -> Tensor:
    """One window of each piece: mel_BTM."""
    choose = torch.Generator().manual_seed(seed)
    return torch.stack([crop(piece, config.window_frames, choose) for piece in found]).float()


@torch.no_grad()
def judge(encoder: W2vBert, recipe: W2vBertRecipe, source: Source) -> None:
    """Print how well hidden stretches of held-out music are guessed."""
    mel_BTM = windows(source.held_out_pieces(), encoder.config, seed=0)
    found = [
        encoder(part.to(recipe.device), 0.0, torch.Generator().manual_seed(i))
        for i, part in enumerate(mel_BTM.split(16))
    ]
    means = {name: torch.stack([getattr(losses, name) for losses in found]).mean() for name in Losses._fields}
    print("held out: " + ", ".join(f"{name} {value:.3f}" for name, value in means.items()), flush=True)


@torch.no_grad()
def fit_tokens(
    model: SemanticTokens, encoder: W2vBert, recipe: W2vBertRecipe, source: Source, read: Callable[[int], Shard]
) -> None:
    """Fit the tokens to features of training music; print how many of them held-out music uses."""
    newest = newest_shard(recipe, source, recipe.steps)
    rows = []
    for index in range(max(newest + 1 - recipe.token_shards, 0), newest + 1):
        mel_BTM = windows(pieces(read(index)), encoder.config, index)
        rows += [encoder.features(part.to(recipe.device)).float().flatten(0, 1).cpu() for part in mel_BTM.split(16)]
    model.cpu().fit(torch.cat(rows), torch.Generator().manual_seed(recipe.seed))
    model.to(recipe.device)
    mel_BTM = windows(source.held_out_pieces(), encoder.config, seed=0)
    tell(model, sum(map(len, rows)), model.named(encoder.windows_of_mels(mel_BTM)))


def tell(model: SemanticTokens, frames: int, held_out_BT: Tensor) -> None:
    """Print how many frames the tokens were fitted to, and how many of the tokens held-out music uses."""
    print(f"tokens of {frames} frames; held out, use {perplexity(held_out_BT, model.vocabulary):.2f}", flush=True)


def fit_public(recipe: W2vBertRecipe, name: str) -> None:
    """Fit tokens to a public encoder's features, and write them to ``recipe.out``/model."""
    encoder = features_at(name, recipe.layer)
    front = Front(
        f"{Path(name).name}-{encoder.config.layer}",
        encoder.config.sample_rate,
        functools.partial(mel_shard, mels=functools.partial(features_of, name=name, layer=recipe.layer)),
    )
    source = shards_of(recipe, front, captioned=False)
    count = min(recipe.token_shards, source.count)
    with made_ahead(source.train, 0, count, recipe.workers, count) as read:
        rows = torch.cat([one.mel_TM.float() for index in range(count) for one in pieces(read(index))])
    model = SemanticTokens(encoder)
    model.fit(rows, torch.Generator().manual_seed(recipe.seed))
    held_out_TD = torch.cat([one.mel_TM.float() for one in source.held_out_pieces()])
    tell(model, len(rows), model.named([held_out_TD[None]]))
    save_semantic(recipe.out / "model", model, name=recipe.preset, frames=len(rows), **provenance(recipe.device))


@functools.lru_cache(maxsize=1)
def features_at(name: str, layer: int | None) -> PublicFeatures:
    return public_features(name, layer)


def features_of(wave_BN: Tensor, name: str, layer: int | None) -> Tensor:
    """What a public encoder says of a whole piece: features_BTD."""
    return torch.cat(list(features_at(name, layer).windows(wave_BN)), dim=1)


def publish(recipe: W2vBertRecipe, model: SemanticTokens, encoder: W2vBert, step: int) -> None:
    """Write the weights as they are now."""
    hours = round(step * recipe.batch * encoder.config.window_seconds / 3600, 1)
    card = {"name": f"w2vbert-{recipe.preset}", "steps": step, "hours_heard": hours}
    save_semantic(recipe.out / "model", model, **card, **provenance(recipe.device))
