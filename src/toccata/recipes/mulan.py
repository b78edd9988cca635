"""Train MuLan: two towers that learn which captions belong to which music, from the band or from any manifest."""

import contextlib
import functools
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from toccata.corpus.band import labels, piece
from toccata.corpus.stream import corpus_name
from toccata.data.mels import ManifestRow, MelPiece, crop, manifest_waves, masked, mel_shard, pieces, read_manifest
from toccata.data.shards import Shard, ShardStore, made_ahead
from toccata.encoders.joint import similarity
from toccata.encoders.mulan import (
    MuLan,
    MuLanConfig,
    full,
    full_transformer,
    mels_of,
    mini,
    save_mulan,
    text_tower,
)
from toccata.encoders.text import TextEncoder, load_text_encoder
from toccata.errors import InputError
from toccata.training.contrastive import cached_backward, pair_loss
from toccata.training.log import StepLog
from toccata.training.memory import keep_freed_memory
from toccata.training.optim import EMA, Optimisers, split_matrices, warmup_stable_decay
from toccata.training.provenance import provenance
from toccata.training.run import remember, resume

PRESETS = {"mini": mini, "full": full, "full-transformer": full_transformer}
HELD_OUT_SEED = 10_000
PIECES = 32


@dataclass(frozen=True)
class MuLanRecipe:
    """What to train and for how long. ``minutes`` ends this run early; the next goes on exactly where it stopped.

    ``manifest`` names sound files and captions (see ``data.mels.read_manifest``), whose last ``held_out_shards`` of 32
    files are kept for judging; without one, band pieces are rendered afresh. ``text`` is a folder with BERT's
    tokenizer.json, for the presets that read with BERT.

    Each step contrasts ``batch`` pairs, encoded in chunks of ``chunk``. ``hard_share`` of them come in groups of four
    whose captions are alike. ``wrong_share`` of the captions are another piece's, ``tag_share`` of the band's are bare
    tags: found captions are as loose.
    """

    out: Path = Path("runs/mulan")
    mels: Path = Path("runs/mels")
    manifest: Path | None = None
    text: Path | None = None
    preset: str = "mini"
    steps: int = 3000
    batch: int = 256
    chunk: int = 32
    hard_share: float = 0.5
    wrong_share: float = 0.02
    tag_share: float = 0.15
    muon_rate: float = 3e-3
    adam_rate: float = 2e-3
    ema: float = 0.99
    decay: float = 0.2
    first_shards: int = 20
    steps_per_shard: int = 8
    shards_in_memory: int = 100
    held_out_shards: int = 8
    seed: int = 1
    workers: int = 1
    threads: int = 1
    minutes: float = float("inf")
    device: str = "cpu"


@dataclass(frozen=True)
class Source:
    """Where pieces come from: shards to train on, how many there are, and held-out ones."""

    train: ShardStore
    count: int
    held_out: ShardStore
    held_out_shards: tuple[int, ...]


def train(recipe: MuLanRecipe) -> None:
    """Train, or go on training, and write the averaged weights to ``recipe.out``/model."""
    if recipe.preset not in PRESETS:
        raise InputError(f"unknown preset {recipe.preset!r}; choose from {', '.join(PRESETS)}")
    torch.set_num_threads(recipe.threads)
    keep_freed_memory()
    deadline = time.monotonic() + 60 * recipe.minutes
    config, words = PRESETS[recipe.preset](), load_text_encoder()
    torch.manual_seed(recipe.seed)
    model = MuLan(config, text_tower(config, recipe.text, words)).to(recipe.device)
    source = shards_of(recipe, config)
    ema = EMA(model, recipe.ema)
    optimisers = Optimisers(*split_matrices(blocks(model), model), recipe.muon_rate, recipe.adam_rate)
    path = recipe.out / "state.safetensors"
    step = resume(path, model, ema, optimisers)
    print(f"mulan-{recipe.preset}: {sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters, "
          f"from step {step} to {recipe.steps}", flush=True)  # fmt: skip
    log = StepLog(f"mulan-{recipe.preset}", step, recipe.steps, every=25)
    ahead = recipe.first_shards + 20
    with made_ahead(source.train, 0, source.count, recipe.workers, ahead) as read:
        draw = sampler(recipe, config, words, source.count, read)
        while step < recipe.steps:
            mel_BTM, captions = draw(step)
            loss, hit = contrast(model, mel_BTM, captions, recipe)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimisers.step(warmup_stable_decay(step, recipe.steps, 100, recipe.decay))
            ema.update(model)
            step += 1
            if log.due(step):
                log(step, loss=loss, found=hit, temperature=model.temperature)
            last = step == recipe.steps or time.monotonic() > deadline
            if step % 250 == 0 or last:
                remember(path, model, ema, optimisers, step)
            if step % 500 == 0 or last:
                with averaged(model, ema):
                    print(held_out_line(model, source), flush=True)
                    if step == recipe.steps:
                        fit_tokens(model, recipe, source, read)
                    publish(recipe, model, step)
            if last:
                break


def blocks(model: MuLan) -> nn.Module:
    """The parts whose matrices Muon trains."""
    return nn.ModuleList(module for module in model.modules() if type(module).__name__ == "Blocks")


def contrast(model: MuLan, mel_BTM: Tensor, captions: list[str], recipe: MuLanRecipe) -> tuple[Tensor, Tensor]:
    """Gradients of a whole batch; the loss, and the share of captions whose music is found first."""
    B = len(captions)
    autocast = torch.autocast(torch.device(recipe.device).type, torch.bfloat16)

    def hear(first: int) -> Tensor:
        with autocast:
            return model.hear(mel_BTM[first : first + recipe.chunk].float().to(recipe.device))

    def read(first: int) -> Tensor:
        with autocast:
            return model.read(captions[first : first + recipe.chunk])

    def loss(rows: Tensor) -> Tensor:
        return pair_loss(rows[:B], rows[B:], model.log_scale)

    starts = range(0, B, recipe.chunk)
    chunks = [functools.partial(side, first) for side in (hear, read) for first in starts]
    value, rows = cached_backward(chunks, loss)
    hit = (similarity(rows[B:], rows[:B]).argmax(1) == torch.arange(B, device=rows.device)).float().mean()
    return value, hit


def shards_of(recipe: MuLanRecipe, config: MuLanConfig) -> Source:
    """Stores of log-mels, apart for each front end: the band's, or the manifest's."""
    front = f"{config.sample_rate}-{config.n_fft}-{config.hop}-{config.bands}"
    if recipe.manifest is None:

        def store(seed: int) -> ShardStore:
            make = functools.partial(band_shard, seed=seed, config=config)
            return ShardStore(recipe.mels / f"{corpus_name(seed)}-{front}", make)

        return Source(store(recipe.seed), 10**6, store(HELD_OUT_SEED), tuple(range(recipe.held_out_shards)))
    rows = read_manifest(recipe.manifest)
    shards = -(-len(rows) // PIECES)
    kept = min(recipe.held_out_shards, shards // 5)
    if not kept:
        raise InputError(f"{recipe.manifest} names {len(rows)} files; give at least {5 * PIECES} to train on")
    name = hashlib.sha256(recipe.manifest.read_bytes()).hexdigest()[:12]
    make = functools.partial(manifest_shard, rows=rows, config=config)
    store_ = ShardStore(recipe.mels / f"manifest-{name}-{front}", make)
    return Source(store_, shards - kept, store_, tuple(range(shards - kept, shards)))


def band_shard(index: int, seed: int, config: MuLanConfig) -> Shard:
    """Shard ``index`` of the endless corpus ``seed`` as log-mels."""
    return mel_shard(_band(index, seed, config.sample_rate), functools.partial(mels_of, config=config))


def _band(index: int, seed: int, sample_rate: int) -> Iterator[tuple[Tensor, dict[str, Any]]]:
    for number in range(index * PIECES, (index + 1) * PIECES):
        made = piece(seed, number, sample_rate=sample_rate)
        yield torch.from_numpy(made.mix_CN.mean(0)).float(), labels(made)


def manifest_shard(index: int, rows: list[ManifestRow], config: MuLanConfig) -> Shard:
    """The ``index``-th 32 files as log-mels."""
    chosen = rows[index * PIECES : (index + 1) * PIECES]
    return mel_shard(manifest_waves(chosen, config.sample_rate), functools.partial(mels_of, config=config))


def sampler(
    recipe: MuLanRecipe, config: MuLanConfig, words: TextEncoder, count: int, read: Callable[[int], Shard]
) -> Callable[[int], tuple[Tensor, list[str]]]:
    """``draw(step)`` -> (mel_BTM, captions): depends on the step alone."""
    load = functools.lru_cache(maxsize=recipe.shards_in_memory + 1)(lambda index: pieces(read(index)))

    def draw(step: int) -> tuple[Tensor, list[str]]:
        newest = min(recipe.first_shards + step // recipe.steps_per_shard, count - 1)
        choose = torch.Generator().manual_seed(recipe.seed * 10**7 + step)
        drawn = [one(newest, choose) for _ in range(2 * recipe.batch)]
        kept = alike(words, [caption for _, caption in drawn], recipe.batch, recipe.hard_share)
        mels = [masked(crop(drawn[i][0], config.frames, choose), choose) for i in kept]
        captions = [drawn[i][1] for i in kept]
        for i in range(len(captions)):
            if float(torch.rand((), generator=choose)) < recipe.wrong_share:
                captions[i] = captions[int(torch.randint(len(captions), (), generator=choose))]
        return torch.stack(mels), captions

    def one(newest: int, choose: torch.Generator) -> tuple[MelPiece, str]:
        back = int(torch.randint(min(newest + 1, recipe.shards_in_memory), (), generator=choose))
        shard = load(newest - back)
        found = shard[int(torch.randint(len(shard), (), generator=choose))]
        texts = found.record["captions"]
        text = texts[int(torch.randint(len(texts), (), generator=choose))]["text"]
        bare = float(torch.rand((), generator=choose)) < recipe.tag_share
        return found, (tags(found.record, choose) if bare else "") or text

    return draw


def tags(record: dict[str, Any], choose: torch.Generator) -> str:
    """Up to four of a band piece's labels as bare tags; "" where the record has none."""
    known = [record.get("genre"), *record.get("instruments", ()), *record.get("moods", ())]
    known = [str(tag).replace("_", " ") for tag in known if tag]
    order = torch.randperm(len(known), generator=choose)[:4].tolist()
    return ", ".join(known[i] for i in order)


def alike(words: TextEncoder, captions: list[str], count: int, share: float) -> list[int]:
    """``count`` of the captions: the first ones, but a ``share`` in groups of four that say nearly the same."""
    pooled_BD = words.encode(captions).pooled_BD
    near = similarity(pooled_BD, pooled_BD).argsort(1, descending=True).tolist()
    chosen: list[int] = []
    taken: set[int] = set()
    for anchor in range(len(captions)):
        if len(chosen) + 4 > share * count:
            break
        group = [i for i in near[anchor] if i not in taken][:4] if anchor not in taken else []
        chosen += group
        taken.update(group)
    return (chosen + [i for i in range(len(captions)) if i not in taken])[:count]


@torch.no_grad()
def embedded(model: MuLan, found: list[MelPiece], seed: int, crops: int = 1) -> Tensor:
    """Audio embeddings of ``crops`` windows of each piece, end to end."""
    choose = torch.Generator().manual_seed(seed)
    mels = [crop(p, model.config.frames, choose) for p in found for _ in range(crops)]
    rows = [model.hear(torch.stack(mels[i : i + 32]).float().to(model.device)) for i in range(0, len(mels), 32)]
    return torch.cat(rows).float().cpu()


def held_out_line(model: MuLan, source: Source) -> str:
    """How well held-out captions find their music among all held-out pieces, and the other way round."""
    found = [p for index in source.held_out_shards for p in pieces(source.held_out.read(index))]
    heard = embedded(model, found, seed=0)
    told = model.embed_text([max((c["text"] for c in p.record["captions"]), key=len) for p in found])
    figures = []
    for name, table in (("music by text", similarity(told, heard)), ("text by music", similarity(heard, told))):
        rank = (table > table.diag()[:, None]).sum(1)
        shares = ", ".join(f"R@{k} {(rank < k).float().mean():.2f}" for k in (1, 10))
        figures.append(f"{name} {shares}, median rank {int(rank.median()) + 1}")
    return f"held out, of {len(found)}: " + "; ".join(figures)


def fit_tokens(model: MuLan, recipe: MuLanRecipe, source: Source, read: Callable[[int], Shard]) -> None:
    """Fit the quantiser to embeddings of training music: k-means, then moving averages; print what it keeps."""
    newest = min(recipe.first_shards + recipe.steps // recipe.steps_per_shard, source.count - 1)
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
    found = [p for index in source.held_out_shards for p in pieces(source.held_out.read(index))]
    heard = embedded(model, found, seed=0)
    kept = (model.dequantise(model.quantise(heard)) * heard).sum(1).mean()
    print(f"tokens of {len(rows)} windows; held out, cosine to what they keep {kept:.3f}", flush=True)


@contextlib.contextmanager
def averaged(model: MuLan, ema: EMA) -> Iterator[None]:
    """Within the scope the model has its averaged weights and is in evaluation mode."""
    own = {name: value.clone() for name, value in model.state_dict().items() if name in ema.shadow}
    model.load_state_dict(ema.shadow, strict=False)
    model.eval()
    try:
        yield
    finally:
        model.load_state_dict(own, strict=False)
        model.train()


def publish(recipe: MuLanRecipe, model: MuLan, step: int) -> None:
    """Write the weights as they are now as a model that ``toccata.load`` opens."""
    card = {"name": f"mulan-{recipe.preset}", "steps": step, "pairs": step * recipe.batch}
    save_mulan(recipe.out / "model", model, **card, **provenance(recipe.device))
