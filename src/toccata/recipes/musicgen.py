"""Train MusicGen on the house band: pieces rendered afresh, encoded once by a frozen codec, told apart by captions."""

import functools
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.codecs.soundstream import BUNDLED, load_soundstream
from toccata.corpus.stream import audio_shard, corpus_name
from toccata.data.shards import Shard, ShardStore, made_ahead
from toccata.data.tokens import TokenPiece, crop, encode_shard, pieces
from toccata.encoders.text import TextEncoder, load_text_encoder
from toccata.errors import InputError
from toccata.models.musicgen.config import MusicGenConfig, large, medium, mini, small
from toccata.models.musicgen.network import MusicGenNetwork
from toccata.models.musicgen.pipeline import save_musicgen
from toccata.nn.codebooks import delay
from toccata.training.log import StepLog
from toccata.training.optim import EMA, Optimisers, split_matrices, warmup_cosine
from toccata.training.provenance import provenance
from toccata.training.state import load_state, save_state
from toccata.weights import checkpoint
from toccata.weights.compact import expand

PRESETS = {"mini": mini, "small": small, "medium": medium, "large": large}
HELD_OUT_SEED = 10_000


@dataclass(frozen=True)
class MusicGenRecipe:
    """What to train and for how long. ``minutes`` ends this run early; the next goes on exactly where it stopped.

    ``codec`` is a codec's folder (None: soundstream-mini), ``start`` a model's whose weights a fresh run begins with.
    ``level_weights`` weigh the codebooks' losses: the first levels carry the music, the last ones texture.
    """

    out: Path = Path("runs/musicgen")
    band: Path = Path("runs/band")
    tokens: Path = Path("runs/tokens")
    codec: Path | None = None
    start: Path | None = None
    preset: str = "mini"
    steps: int = 2400
    batch: int = 16
    window_seconds: float | None = None
    muon_rate: float = 3e-3
    adam_rate: float = 2e-3
    level_weights: tuple[float, ...] = (2.0, 1.5, 1.0, 0.8)
    ema: float = 0.998
    steps_per_shard: int = 9
    shards_in_memory: int = 60
    seed: int = 1
    workers: int = 1
    threads: int = 1
    minutes: float = float("inf")
    device: str = "cpu"
    compile: bool = False


def train(recipe: MusicGenRecipe) -> None:
    """Train, or go on training, and write the averaged weights to ``recipe.out``/model."""
    if recipe.preset not in PRESETS:
        raise InputError(f"unknown preset {recipe.preset!r}; choose from {', '.join(PRESETS)}")
    torch.set_num_threads(recipe.threads)
    deadline = time.monotonic() + 60 * recipe.minutes
    text = load_text_encoder()
    config = sized(recipe, text)
    torch.manual_seed(recipe.seed)
    network = MusicGenNetwork(config)
    if recipe.start is not None:
        checkpoint.load_into(network, expand(checkpoint.load(recipe.start)[1]), recipe.start)
    network.to(recipe.device)
    ema = EMA(network, recipe.ema)
    matrices, others = split_matrices(nn.ModuleList([network.blocks, network.text_blocks]), network)
    optimisers = Optimisers(matrices, others, recipe.muon_rate, recipe.adam_rate)
    path = recipe.out / "state.safetensors"
    step = resume(path, network, ema, optimisers)
    run = torch.compile(network.logits) if recipe.compile else network.logits
    print(f"musicgen-{recipe.preset}: {sum(p.numel() for p in network.parameters()) / 1e6:.1f} M parameters, "
          f"from step {step} to {recipe.steps}", flush=True)  # fmt: skip
    held_out = pieces(token_store(recipe, HELD_OUT_SEED).read(0))
    log = StepLog(f"musicgen-{recipe.preset}", step, recipe.steps, every=25)
    with made_ahead(token_store(recipe, recipe.seed), 0, 10**6, recipe.workers, ahead=40) as read:
        draw = sampler(recipe, config, read)
        while step < recipe.steps:
            codes_BKT, captions = draw(step)
            choose = random.Random(f"{recipe.seed}-{step}")
            captions = [None if choose.random() < config.condition_dropout else c for c in captions]
            with torch.autocast(torch.device(recipe.device).type, torch.bfloat16):
                loss, by_level = code_loss(run, config, text, codes_BKT, captions, recipe)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimisers.step(warmup_cosine(step, recipe.steps, 200))
            ema.update(network)
            step += 1
            if log.due(step):
                log(step, loss=by_level.mean(), first_level=by_level[0], last_level=by_level[-1])
            last = step == recipe.steps or time.monotonic() > deadline
            if step % 250 == 0 or last:
                print(held_out_line(recipe, network, ema, text, held_out), flush=True)
                remember(path, network, ema, optimisers, step)
                publish(recipe, network, ema, step)
            if last:
                break


def sized(recipe: MusicGenRecipe, text: TextEncoder) -> MusicGenConfig:
    """The preset, fitted to the codec and the text encoder at hand."""
    codec = codec_at(recipe.codec).config
    config = replace(
        PRESETS[recipe.preset](),
        vocabulary=codec.vocabulary,
        frame_rate=codec.frame_rate,
        text_width=text.config.width,
    )
    return config if recipe.window_seconds is None else replace(config, window_seconds=recipe.window_seconds)


def token_store(recipe: MusicGenRecipe, seed: int) -> ShardStore:
    """Token shards of the endless corpus ``seed``; their audio is rendered where it isn't there already."""
    make = functools.partial(token_shard, seed=seed, band=recipe.band, codec=recipe.codec)
    codec = checkpoint.sha256(recipe.codec or BUNDLED)[:12]
    return ShardStore(recipe.tokens / f"{corpus_name(seed)}-codec-{codec}", make)


def token_shard(index: int, seed: int, band: Path, codec: Path | None) -> Shard:
    """Shard ``index`` of corpus ``seed`` as codes of every level."""
    audio = ShardStore(band / corpus_name(seed), functools.partial(audio_shard, seed=seed))
    shard = audio.read(index) if audio.path(index).exists() else audio.make(index)
    return encode_shard(shard, codec_at(codec).encode)


@functools.lru_cache(maxsize=1)
def codec_at(folder: Path | None) -> Any:
    return load_soundstream(folder)


def sampler(
    recipe: MusicGenRecipe, config: MusicGenConfig, read: Callable[[int], Shard]
) -> Callable[[int], tuple[Tensor, list[str]]]:
    """``draw(step) -> (codes_BKT, captions)``: depends on the step alone."""
    load = functools.lru_cache(maxsize=recipe.shards_in_memory + 1)(lambda index: pieces(read(index)))

    def draw(step: int) -> tuple[Tensor, list[str]]:
        newest = step // recipe.steps_per_shard
        choose = torch.Generator().manual_seed(recipe.seed * 10**7 + step)
        codes, captions = [], []
        for _ in range(recipe.batch):
            back = int(torch.randint(min(newest + 1, recipe.shards_in_memory), (), generator=choose))
            shard = load(newest - back)
            piece = shard[int(torch.randint(len(shard), (), generator=choose))]
            codes.append(crop(piece, config.window_frames, config.filler, choose)[: config.codebooks])
            texts = piece.record["captions"]
            captions.append(texts[int(torch.randint(len(texts), (), generator=choose))]["text"])
        return torch.stack(codes).to(recipe.device), captions

    return draw


def code_loss(
    run: Callable[..., Tensor],
    config: MusicGenConfig,
    text: TextEncoder,
    codes_BKT: Tensor,
    captions: Sequence[str | None],
    recipe: MusicGenRecipe,
) -> tuple[Tensor, Tensor]:
    """(weighted loss, mean cross-entropy of each level in nats); a caption of None is "no text"."""
    steps_BKS = delay(codes_BKT, config.filler)
    inputs_BKS = F.pad(steps_BKS, (1, 0), value=config.filler)[..., :-1]
    tokens_BLW, mask_BL = text_features(text, captions, codes_BKT.device)
    logits_BKSV = run(inputs_BKS, tokens_BLW, mask_BL)
    targets = torch.where(steps_BKS == config.filler, -100, steps_BKS)
    losses_BKS = F.cross_entropy(logits_BKSV.flatten(0, 2), targets.flatten(), ignore_index=-100, reduction="none")
    counts = (targets != -100).sum((0, 2)).clamp(min=1)
    by_level = losses_BKS.view(targets.shape).sum((0, 2)) / counts
    weights = torch.tensor(recipe.level_weights[: config.codebooks], device=by_level.device)
    return (by_level * weights).sum() / weights.sum(), by_level.detach()


def text_features(text: TextEncoder, captions: Sequence[str | None], device: torch.device) -> tuple[Tensor, Tensor]:
    """Features and mask of captions; a row of None has no token at all."""
    features = text.encode([caption or "music" for caption in captions])
    there_B = torch.tensor([caption is not None for caption in captions])
    mask_BL = features.mask_BL & there_B[:, None]
    return (features.tokens_BLD * mask_BL[..., None]).to(device), mask_BL.to(device)


@torch.no_grad()
def held_out_line(
    recipe: MusicGenRecipe, network: MusicGenNetwork, ema: EMA, text: TextEncoder, held_out: list[TokenPiece]
) -> str:
    """Losses of averaged weights on held-out pieces with their own captions, with none, and with one another's."""
    own = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(dict(ema.weights(network)))
    config = network.config
    choose = torch.Generator().manual_seed(0)
    codes = torch.stack([crop(p, config.window_frames, config.filler, choose)[: config.codebooks] for p in held_out])
    captions = [max((c["text"] for c in p.record["captions"]), key=len) for p in held_out]
    results = []
    for texts in (captions, [None] * len(captions), captions[1:] + captions[:1]):
        with torch.autocast(torch.device(recipe.device).type, torch.bfloat16):
            _, levels = code_loss(network.logits, config, text, codes.to(recipe.device), texts, recipe)
        results.append(levels)
    network.load_state_dict(own)
    names = ("own caption", "none", "wrong")
    return "held out: " + ", ".join(
        f"{n} {r.mean():.3f} (first {r[0]:.3f})" for n, r in zip(names, results, strict=True)
    )


def publish(recipe: MusicGenRecipe, network: MusicGenNetwork, ema: EMA, step: int) -> None:
    """Write the averaged weights as a model that ``toccata.load`` opens."""
    averaged = MusicGenNetwork(network.config)
    averaged.load_state_dict({name: value.cpu() for name, value in ema.weights(network)})
    heard = step * recipe.batch * network.config.window_seconds / 3600
    names = {"name": f"musicgen-{recipe.preset}", "codec": "soundstream-mini", "text": "text-mini"}
    card = {**names, "steps": step, "hours_heard": round(heard, 1), **provenance(recipe.device)}
    save_musicgen(recipe.out / "model", averaged, **card)


def remember(path: Path, network: MusicGenNetwork, ema: EMA, optimisers: Optimisers, step: int) -> None:
    state = {"network": network.state_dict(), "ema": ema.shadow, "optimisers": optimisers.state_dict(), "step": step}
    save_state(path, state)


def resume(path: Path, network: MusicGenNetwork, ema: EMA, optimisers: Optimisers) -> int:
    """Restore a run and return the step it reached; 0 where there is none."""
    if not path.exists():
        return 0
    state = load_state(path)
    network.load_state_dict(state["network"])
    for name, value in state["ema"].items():
        ema.shadow[name].copy_(value)
    optimisers.load_state_dict(state["optimisers"])
    return state["step"]
