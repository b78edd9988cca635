"""Train MusicGen on the house band: pieces rendered afresh, encoded once by a frozen codec, told apart by captions."""

import functools
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.audio.melody import melody_of_notes
from toccata.codecs.soundstream import codes_hash, load_soundstream
from toccata.corpus.instruments import INSTRUMENTS
from toccata.corpus.stream import PIECES, audio_shard, corpus_name
from toccata.data.shards import Shard, ShardStore, made_ahead
from toccata.data.tokens import TokenPiece, crop, encode_shard, pieces
from toccata.encoders.text import TextEncoder, load_text_encoder
from toccata.errors import InputError
from toccata.models.musicgen.config import MusicGenConfig, large, medium, mini, small, tiny
from toccata.models.musicgen.network import MusicGenNetwork
from toccata.models.musicgen.pipeline import save_musicgen
from toccata.nn.codebooks import PATTERNS, interleave, steps_of
from toccata.recipes.score_heads import LabelHead, LabelTargets, RollHead, label_targets
from toccata.recipes.words import learn_words
from toccata.training.cpu import settle
from toccata.training.log import StepLog
from toccata.training.optim import EMA, Optimisers, split_matrices, warmup_stable_decay
from toccata.training.precision import fast_products
from toccata.training.provenance import provenance
from toccata.training.run import remember, resume
from toccata.weights import checkpoint
from toccata.weights.compact import expand

PRESETS = {"tiny": tiny, "mini": mini, "small": small, "medium": medium, "large": large}
HELD_OUT_SEED = 10_000


@dataclass(frozen=True)
class MusicGenRecipe:
    """What to train and for how long. ``minutes`` ends this run early; the next goes on exactly where it stopped.

    The learning rate falls over the last ``decay`` of the steps; ``out``/before-decay.safetensors is the state before.
    Put it in the place of state.safetensors and ask for more steps, and a finished run becomes the start of a longer.

    ``codec`` is a codec's folder (None: soundstream-mini), ``start`` a model's whose weights a fresh run begins with.
    ``level_weights`` weigh the codebooks' losses: the first levels carry the music, the last ones texture.
    ``roll_weight`` and ``label_weight`` weigh what ``score_heads`` asks besides; ``word_steps`` come before the music.
    ``melody_share`` of the pieces come with their melody, where they have one and the model takes one;
    ``family_share`` are drawn by a family of instruments, rare ones as often as common ones, and come with a caption
    that names it; ``key_share`` of the others come with a caption that names their key, where they have one.
    ``short_share`` of the steps hear more and shorter crops (as much music in all): where little has been heard yet,
    only the words can tell what comes.
    ``stray_share`` of the crops begin with another piece's music, which is heard but not learnt: what follows is told
    by the words alone, so a model that strays from its prompt finds back.
    Pieces are drawn from the newest ``shards_in_memory`` shards; there are ``first_shards`` at the start (fewer than
    none where more steps were asked for and ``steps_per_shard`` is smaller than it was). After ``shards`` of them the
    music begins again with the first, drawn otherwise; None: it never does.
    """

    out: Path = Path("runs/musicgen")
    band: Path = Path("runs/band")
    tokens: Path = Path("runs/tokens")
    codec: Path | None = None
    start: Path | None = None
    preset: str = "mini"
    steps: int = 5000
    batch: int = 16
    window_seconds: float | None = None
    pattern: str = "delay"
    muon_rate: float = 3e-3
    adam_rate: float = 2e-3
    level_weights: tuple[float, ...] = (2.0, 1.5, 1.0, 0.8)
    roll_weight: float = 0.25
    label_weight: float = 0.05
    melody_share: float = 0.35
    family_share: float = 0.4
    key_share: float = 0.7
    short_share: float = 0.7
    short_seconds: float = 4.0
    stray_share: float = 0.4
    word_steps: int = 1500
    word_batch: int = 128
    ema: float = 0.99
    decay: float = 0.2
    first_shards: int = 80
    steps_per_shard: int = 16
    shards_in_memory: int = 120
    shards: int | None = None
    seed: int = 1
    workers: int = 1
    threads: int = 1
    minutes: float = float("inf")
    device: str = "cpu"
    compile: bool = False


class Batch(NamedTuple):
    """Crops of B pieces: codes_BKT, those of them to learn (filler elsewhere), roll_BTR, melodies (one-hot, NaN for
    none), captions, and the pieces' labels."""

    codes_BKT: Tensor
    asked_BKT: Tensor
    roll_BTR: Tensor
    chroma_BTC: Tensor
    captions: list[str]
    labels: LabelTargets


class Heads(nn.Module):
    """The heads that only training has."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.text, self.labels, self.roll = LabelHead(width), LabelHead(width), RollHead(width)

    def forward(self, hidden_BSD: Tensor, batch: Batch, config: MusicGenConfig) -> tuple[Tensor, Tensor]:
        """(roll loss, label loss), asked of the states that predict the first codebook.

        Every eighth must tell the labels, the first one from the text alone.
        """
        hidden_BTD = hidden_BSD[:, steps_of(config.places(batch.roll_BTR.shape[1]))[0]]
        eighth_BTD = hidden_BTD[:, ::8]
        N = eighth_BTD.shape[1]
        labels = LabelTargets(*(target.repeat_interleave(N, 0) for target in batch.labels))
        return self.roll(hidden_BTD, batch.roll_BTR), self.labels(eighth_BTD.flatten(0, 1), labels)


def train(recipe: MusicGenRecipe) -> None:
    """Train, or go on training, and write the averaged weights to ``recipe.out``/model."""
    for kind, name, known in (("preset", recipe.preset, PRESETS), ("pattern", recipe.pattern, PATTERNS)):
        if name not in known:
            raise InputError(f"unknown {kind} {name!r}; choose from {', '.join(known)}")
    settle(recipe.threads)
    deadline = time.monotonic() + 60 * recipe.minutes
    text = load_text_encoder()
    config = sized(recipe, text)
    torch.manual_seed(recipe.seed)
    network = MusicGenNetwork(config)
    if recipe.start is not None:
        checkpoint.load_into(network, expand(checkpoint.load(recipe.start)[1]), recipe.start)
    heads = Heads(config.width)
    learner = nn.ModuleDict({"network": network, "heads": heads}).to(recipe.device)
    path = recipe.out / "state.safetensors"
    store = token_store(recipe, recipe.seed)
    shards, ahead = recipe.shards or shards_drawn(recipe, recipe.steps - 1), max(recipe.first_shards, 0) + 20
    with made_ahead(store, 0, shards, recipe.workers, ahead) as read:
        if not path.exists() and recipe.start is None and recipe.word_steps:
            learn_words(network, heads.text, text, recipe.seed, HELD_OUT_SEED, recipe.word_steps, recipe.word_batch,
                        recipe.device)  # fmt: skip
        ema = EMA(network, recipe.ema)
        matrices, others = split_matrices(nn.ModuleList([network.blocks, network.text_blocks]), learner)
        optimisers = Optimisers(matrices, others, recipe.muon_rate, recipe.adam_rate)
        step = resume(path, learner, ema, optimisers)
        run = torch.compile(network.states) if recipe.compile else network.states
        print(f"musicgen-{recipe.preset}: {sum(p.numel() for p in network.parameters()) / 1e6:.1f} M parameters, "
              f"from step {step} to {recipe.steps}", flush=True)  # fmt: skip
        held_out = pieces(token_store(recipe, HELD_OUT_SEED).read(0))
        log = StepLog(f"musicgen-{recipe.preset}", step, recipe.steps, every=25)
        draw = sampler(recipe, config, read)
        while step < recipe.steps:
            batch = draw(step)
            captions, chroma_BTC = dropped(batch, config.condition_dropout, random.Random(f"{recipe.seed}-{step}"))
            with fast_products(recipe.device):
                hidden_BSD, loss, by_level = code_loss(
                    run, network, text, batch.codes_BKT, batch.asked_BKT, captions, chroma_BTC, recipe
                )
                roll, labels = heads(hidden_BSD, batch, config)
            (loss + recipe.roll_weight * roll + recipe.label_weight * labels).backward()
            nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
            optimisers.step(warmup_stable_decay(step, recipe.steps, 200, recipe.decay))
            ema.update(network)
            step += 1
            if log.due(step):
                log(step, loss=by_level.mean(), first_level=by_level[0], last_level=by_level[-1],
                    roll=roll.detach(), labels=labels.detach())  # fmt: skip
            last = step == recipe.steps or time.monotonic() > deadline
            if step % 250 == 0 or last:
                print(held_out_line(recipe, network, ema, text, held_out), flush=True)
                remember(path, learner, ema, optimisers, step)
                publish(recipe, network, ema, step)
            if step == round((1 - recipe.decay) * recipe.steps):
                remember(recipe.out / "before-decay.safetensors", learner, ema, optimisers, step)
            if last:
                break


def sized(recipe: MusicGenRecipe, text: TextEncoder) -> MusicGenConfig:
    """The preset, fitted to the codec and the text encoder at hand."""
    codec = codec_at(recipe.codec).config
    config = replace(
        PRESETS[recipe.preset](),
        pattern=recipe.pattern,
        vocabulary=codec.vocabulary,
        frame_rate=codec.frame_rate,
        text_width=text.config.width,
    )
    return config if recipe.window_seconds is None else replace(config, window_seconds=recipe.window_seconds)


def token_store(recipe: MusicGenRecipe, seed: int) -> ShardStore:
    """Token shards of the endless corpus ``seed``; their audio is rendered where it isn't there already."""
    make = functools.partial(token_shard, seed=seed, band=recipe.band, codec=recipe.codec)
    codec = codes_hash(recipe.codec)[:12]
    return ShardStore(recipe.tokens / f"{corpus_name(seed)}-codec-{codec}", make)


def token_shard(index: int, seed: int, band: Path, codec: Path | None) -> Shard:
    """Shard ``index`` of corpus ``seed`` as codes of every level."""
    audio = ShardStore(band / corpus_name(seed), functools.partial(audio_shard, seed=seed))
    shard = audio.read(index) if audio.path(index).exists() else audio.make(index)
    return encode_shard(shard, codec_at(codec).encode)


@functools.lru_cache(maxsize=1)
def codec_at(folder: Path | None) -> Any:
    return load_soundstream(folder)


def sampler(recipe: MusicGenRecipe, config: MusicGenConfig, read: Callable[[int], Shard]) -> Callable[[int], Batch]:
    """``draw(step)``: depends on the step alone."""
    load = functools.lru_cache(maxsize=recipe.shards_in_memory + 1)(
        lambda index: pieces(read(index % recipe.shards if recipe.shards else index))
    )

    def draw(step: int) -> Batch:
        newest = shards_drawn(recipe, step) - 1
        choose = torch.Generator().manual_seed(recipe.seed * 10**7 + step)
        short = float(torch.rand((), generator=choose)) < recipe.short_share
        frames = min(int(recipe.short_seconds * config.frame_rate), config.window_frames)
        frames = frames if short else config.window_frames
        crops, chroma, captions, records = [], [], [], []
        for _ in range(recipe.batch * config.window_frames // frames):
            back = int(torch.randint(min(newest + 1, recipe.shards_in_memory), (), generator=choose))
            shard = load(newest - back)
            piece, texts = captioned(shard, recipe, choose)
            crops.append(crop(piece, frames, config.filler, choose))
            captions.append(one_of(texts, choose))
            told = float(torch.rand((), generator=choose)) < recipe.melody_share
            chroma.append(melody_chroma(piece, crops[-1].start, frames, config, told))
            records.append(piece.record)
        codes_BKT = torch.stack([c.codes_KT[: config.codebooks] for c in crops])
        roll_BTR, chroma_BTC, where = torch.stack([c.roll_TR for c in crops]), torch.stack(chroma), recipe.device
        codes_BKT, asked_BKT, roll_BTR = strayed(codes_BKT, roll_BTR, recipe.stray_share, config.filler, choose)
        labels = label_targets(records).to(where)
        return Batch(
            codes_BKT.to(where), asked_BKT.to(where), roll_BTR.to(where), chroma_BTC.to(where), captions, labels
        )

    return draw


def captioned(shard: Sequence[TokenPiece], recipe: MusicGenRecipe, choose: torch.Generator) -> tuple[TokenPiece, list]:
    """A piece of the shard, and the captions that may tell of it: see ``family_share`` and ``key_share``."""
    if float(torch.rand((), generator=choose)) < recipe.family_share and (known := by_family(shard)):
        return one_of(known[one_of(sorted(known), choose)], choose)
    piece = one_of(shard, choose)
    texts = [caption["text"] for caption in piece.record["captions"]]
    if float(torch.rand((), generator=choose)) < recipe.key_share:
        texts = [caption["text"] for caption in piece.record["captions"] if "key" in caption["named"]] or texts
    return piece, texts


def by_family(shard: Sequence[TokenPiece]) -> dict[str, list[tuple[TokenPiece, list[str]]]]:
    """Each family of instruments -> pieces with captions that name it, drums left out: most pieces have those."""
    found: dict[str, list[tuple[TokenPiece, list[str]]]] = {}
    for piece in shard:
        texts: dict[str, list[str]] = {}
        for caption in piece.record["captions"]:
            named = caption["named"]
            players = {INSTRUMENTS[name].family for name in named.get("instruments", ())}
            for family in sorted({*named.get("families", ()), *players} - {"drums"}):
                texts.setdefault(family, []).append(caption["text"])
        for family, naming in texts.items():
            found.setdefault(family, []).append((piece, naming))
    return found


def one_of(choices: Sequence[Any], choose: torch.Generator) -> Any:
    return choices[int(torch.randint(len(choices), (), generator=choose))]


def shards_drawn(recipe: MusicGenRecipe, step: int) -> int:
    """From how many shards music has been drawn when ``step`` is done, were there no end of them."""
    return recipe.first_shards + step // recipe.steps_per_shard + 1


def strayed(
    codes_BKT: Tensor, roll_BTR: Tensor, share: float, filler: int, choose: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """``share`` of the rows begin with the next row's music, over a tenth to six tenths of their frames.

    Returns (codes, the codes to learn: ``filler`` over the other's music, roll).
    """
    B, _, T = codes_BKT.shape
    until_B = (T * (0.1 + 0.5 * torch.rand(B, generator=choose))).long()
    until_B = torch.where(torch.rand(B, generator=choose) < share, until_B, 0)
    other_BT = torch.arange(T) < until_B[:, None]
    heard_BKT = torch.where(other_BT[:, None], codes_BKT.roll(-1, 0), codes_BKT)
    asked_BKT = codes_BKT.masked_fill(other_BT[:, None], filler)
    return heard_BKT, asked_BKT, torch.where(other_BT[..., None], roll_BTR.roll(-1, 0), roll_BTR)


def melody_chroma(piece: TokenPiece, start: int, frames: int, config: MusicGenConfig, told: bool) -> Tensor:
    """The piece's melody over ``frames`` from ``start`` on (T, C); NaN where it has none or is not ``told`` it."""
    none = torch.full((frames, config.chroma_bins), torch.nan)
    if not told or not config.chroma_bins:
        return none
    seconds = piece.codes_KT.shape[1] / config.frame_rate
    melody = melody_of_notes(piece.record["melody"], seconds)
    return none if melody is None else melody.at(start / config.frame_rate, frames, config.frame_rate)


def dropped(batch: Batch, share: float, choose: random.Random) -> tuple[list[str | None], Tensor]:
    """Captions and melodies of a batch, of which ``share`` are told neither: what guidance leads away from."""
    drop = [choose.random() < share for _ in batch.captions]
    captions = [None if d else caption for d, caption in zip(drop, batch.captions, strict=True)]
    told_B = ~torch.tensor(drop, device=batch.chroma_BTC.device)
    return captions, torch.where(told_B[:, None, None], batch.chroma_BTC, torch.nan)


def code_loss(
    run: Callable[..., Tensor],
    network: MusicGenNetwork,
    text: TextEncoder,
    codes_BKT: Tensor,
    asked_BKT: Tensor,
    captions: Sequence[str | None],
    chroma_BTC: Tensor | None,
    recipe: MusicGenRecipe,
) -> tuple[Tensor, Tensor, Tensor]:
    """(hidden_BSD, weighted loss, mean cross-entropy of each level in nats); a caption of None is "no text".

    ``codes_BKT`` are heard, ``asked_BKT`` learnt where they aren't filler;
    ``run`` is ``network.states``, compiled or not.
    """
    config = network.config
    places = config.places(codes_BKT.shape[2])
    steps_BKS, asked_BKS = (interleave(c, places, config.filler) for c in (codes_BKT, asked_BKT))
    inputs_BKS = F.pad(steps_BKS, (1, 0), value=config.filler)[..., :-1]
    tokens_BLW, mask_BL = text_features(text, captions, codes_BKT.device)
    hidden_BSD = run(inputs_BKS, network.condition(tokens_BLW, mask_BL, chroma_BTC))
    logits_BKSV = network.logits(hidden_BSD)
    targets = torch.where(asked_BKS == config.filler, -100, asked_BKS)
    losses_BKS = F.cross_entropy(logits_BKSV.flatten(0, 2), targets.flatten(), ignore_index=-100, reduction="none")
    counts = (targets != -100).sum((0, 2)).clamp(min=1)
    by_level = losses_BKS.view(targets.shape).sum((0, 2)) / counts
    weights = torch.tensor(recipe.level_weights[: config.codebooks], device=by_level.device)
    return hidden_BSD, (by_level * weights).sum() / weights.sum(), by_level.detach()


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
    """Losses of averaged weights on held-out pieces: told their own captions, none, one another's; and the melody."""
    own = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(dict(ema.weights(network)))
    config = network.config
    choose = torch.Generator().manual_seed(0)
    crops = [crop(p, config.window_frames, config.filler, choose) for p in held_out]
    codes = torch.stack([c.codes_KT[: config.codebooks] for c in crops]).to(recipe.device)
    frames = config.window_frames
    melodies = [melody_chroma(p, c.start, frames, config, True) for p, c in zip(held_out, crops, strict=True)]
    chroma = torch.stack(melodies).to(recipe.device)
    captions = [max((c["text"] for c in p.record["captions"]), key=len) for p in held_out]
    told = {"own caption": (captions, None), "none": ([None] * len(captions), None),
            "wrong": (captions[1:] + captions[:1], None)}  # fmt: skip
    if config.chroma_bins:
        told["own caption and melody"] = captions, chroma
    results = {}
    for name, (texts, tune) in told.items():
        with fast_products(recipe.device):
            results[name] = code_loss(network.states, network, text, codes, codes, texts, tune, recipe)[-1]
    network.load_state_dict(own)
    return "held out: " + ", ".join(f"{n} {r.mean():.3f} (first {r[0]:.3f})" for n, r in results.items())


def publish(recipe: MusicGenRecipe, network: MusicGenNetwork, ema: EMA, step: int) -> None:
    """Write the averaged weights as a model that ``toccata.load`` opens."""
    averaged = MusicGenNetwork(network.config)
    averaged.load_state_dict({name: value.cpu() for name, value in ema.weights(network)})
    heard = step * recipe.batch * network.config.window_seconds / 3600
    names = {"name": f"musicgen-{recipe.preset}", "codec": "soundstream-mini", "text": "text-mini"}
    drawn = PIECES * min(shards_drawn(recipe, step - 1), recipe.shards or 10**6)
    card = {**names, "steps": step, "hours_heard": round(heard, 1), "pieces": drawn, **provenance(recipe.device)}
    save_musicgen(recipe.out / "model", averaged, **card)
