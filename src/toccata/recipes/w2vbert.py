"""Train w2v-BERT on sound alone, from the band or from any manifest, and fit the semantic tokens of its features."""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from toccata.data.mels import MelPiece, crop, mel_shard, pieces
from toccata.data.shards import Shard, made_ahead
from toccata.encoders.semantic import SemanticTokens, save_semantic
from toccata.encoders.w2vbert import Losses, W2vBert, W2vBertConfig, full, mels_of, mini
from toccata.errors import InputError
from toccata.nn.rvq import perplexity
from toccata.recipes.music import Front, MusicRecipe, Source, newest_shard, shards_of
from toccata.training.log import StepLog
from toccata.training.memory import keep_freed_memory
from toccata.training.optim import EMA, Optimisers, averaged, split_matrices, warmup_stable_decay
from toccata.training.provenance import provenance
from toccata.training.run import remember, resume

PRESETS = {"mini": mini, "full": full}


@dataclass(frozen=True)
class W2vBertRecipe(MusicRecipe):
    __doc__ = f"""{MusicRecipe.__doc__}
    Captions are never read. The choice of codes is drawn at a temperature that falls from 2 by ``cooling`` a step,
    down to 0.5. The tokens are fitted to ``token_shards`` shards when training ends.
    """

    out: Path = Path("runs/w2vbert")
    steps: int = 5000
    muon_rate: float = 2e-3
    adam_rate: float = 1e-3
    cooling: float = 0.9996
    token_shards: int = 20

    def temperature(self, step: int) -> float:
        """Of the choice of codes."""
        return max(2.0 * self.cooling**step, 0.5)


def train(recipe: W2vBertRecipe) -> None:
    """Train, or go on training, and write the averaged weights and the tokens to ``recipe.out``/model."""
    if recipe.preset not in PRESETS:
        raise InputError(f"unknown preset {recipe.preset!r}; choose from {', '.join(PRESETS)}")
    torch.set_num_threads(recipe.threads)
    keep_freed_memory()
    deadline = time.monotonic() + 60 * recipe.minutes
    config = PRESETS[recipe.preset]()
    torch.manual_seed(recipe.seed)
    model = SemanticTokens(W2vBert(config)).to(recipe.device)
    encoder = model.encoder
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
        while step < recipe.steps:
            mel_BTM, choose = draw(step)
            torch.manual_seed(recipe.seed * 10**7 + step)  # of the dropout, so that a run goes on exactly
            with torch.autocast(torch.device(recipe.device).type, torch.bfloat16):
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
                fit_tokens(model, recipe, source, read)
            publish(recipe, model, step)


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
def fit_tokens(model: SemanticTokens, recipe: W2vBertRecipe, source: Source, read: Callable[[int], Shard]) -> None:
    """Fit the tokens to features of training music; print how many of them held-out music uses."""
    newest = newest_shard(recipe, source, recipe.steps)
    rows = []
    for index in range(max(newest + 1 - recipe.token_shards, 0), newest + 1):
        mel_BTM = windows(pieces(read(index)), model.encoder.config, index)
        rows += [
            model.encoder.features(part.to(recipe.device)).float().flatten(0, 1).cpu() for part in mel_BTM.split(16)
        ]
    model.cpu().fit(torch.cat(rows), torch.Generator().manual_seed(recipe.seed))
    model.to(recipe.device)
    tokens_BT = model.tokens_of_mels(windows(source.held_out_pieces(), model.encoder.config, seed=0))
    print(
        f"tokens of {sum(map(len, rows))} frames; held out, use {perplexity(tokens_BT, model.vocabulary):.2f}",
        flush=True,
    )


def publish(recipe: W2vBertRecipe, model: SemanticTokens, step: int) -> None:
    """Write the weights as they are now."""
    hours = round(step * recipe.batch * model.encoder.config.window_seconds / 3600, 1)
    card = {"name": f"w2vbert-{recipe.preset}", "steps": step, "hours_heard": hours}
    save_semantic(recipe.out / "model", model, **card, **provenance(recipe.device))
