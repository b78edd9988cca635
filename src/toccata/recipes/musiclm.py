"""Train MusicLM's stages, one at a time, on sound alone: MuLan's tokens of the music stand where a text's will."""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.codecs.soundstream import codes_hash
from toccata.data import meaning
from toccata.data.shards import Shard, made_ahead
from toccata.encoders.melody import SEMITONES, MelodyConfig, MelodyEncoder
from toccata.errors import InputError
from toccata.models.musicgen.pipeline import load_network
from toccata.models.musiclm.config import (
    MusicLMConfig,
    StageConfig,
    full,
    melody_starts,
    mini,
    without_semantic,
)
from toccata.models.musiclm.network import StageNetwork
from toccata.models.musiclm.pipeline import save_musiclm
from toccata.recipes import melody as melody_recipe
from toccata.recipes.music import Front, MusicRecipe, Source, newest_shard, shards_of
from toccata.recipes.musiclm_parts import Parts, front, parts_at
from toccata.recipes.musiclm_start import as_stage, hear_as, hear_tunes, take_over
from toccata.training.cpu import settle
from toccata.training.log import StepLog
from toccata.training.optim import EMA, Optimisers, averaged, split_matrices, warmup_stable_decay
from toccata.training.precision import fast_products
from toccata.training.provenance import provenance
from toccata.training.run import remember, resume
from toccata.weights import checkpoint
from toccata.weights.compact import compact, expand
from toccata.weights.parts import BUNDLED, adopt, find_part

PRESETS = {"mini": mini, "full": full}
STAGES = ("semantic", "coarse", "fine")
SHORTEST = 0.05
TUNE_SHARDS = 4


@dataclass(frozen=True)
class MusicLMRecipe(MusicRecipe):
    __doc__ = f"""{MusicRecipe.__doc__}
    Captions are never read. ``stage`` is semantic, coarse or fine; when all three are there, they are joined to a model
    in ``out``/model. Where ``semantic`` is false there is no semantic stage, and the coarse one reads no tokens of it:
    the paper's ablation. ``mulan`` and ``w2vbert`` are folders of trained encoders, ``codec`` one of a SoundStream
    codec (None: soundstream-mini). Tokens are computed once and kept under ``tokens``. The learning rate rises for
    ``warmup`` steps. A ``short_share`` of the steps hear shorter crops, as the last windows of a clip are. A fresh
    stage begins as that of the MusicLM in the folder ``start``, or with what the MusicGen there has learnt, but for
    what reads text; see ``recipes.musiclm_start``.

    The stage melody trains the encoder of melodies instead, by ``recipes.melody``, in ``out``/melody; ``start`` is then
    an encoder's folder, and ``back`` weighs how well vectors give the tune back. With its model as ``melody`` (for all
    three stages) those that read melodies are told in ``melody_share`` of the steps what melody they write. The coarse
    stage may begin to hear them as the MusicGen in the folder ``tunes`` does.
    """

    out: Path = Path("runs/musiclm")
    tokens: Path = Path("runs/tokens")
    mulan: Path = BUNDLED / "mulan-mini"
    w2vbert: Path = BUNDLED / "w2vbert-mini"
    codec: Path | None = None
    melody: Path | None = None
    start: Path | None = None
    stage: str = "semantic"
    semantic: bool = True
    steps: int = 5000
    steps_per_shard: int = 16
    warmup: int = 200
    short_share: float = 0.3
    melody_share: float = 0.5
    tunes: Path | None = None
    back: float = 1.0


class Batch(NamedTuple):
    """What the stage reads, what it writes, and which rows are told what it can be led by."""

    read: dict[str, Tensor]
    written_BKT: Tensor
    told_B: Tensor


def train(recipe: MusicLMRecipe) -> None:
    """Train a stage, or go on training it, and write its averaged weights to ``recipe.out``/stage."""
    for kind, name, known in (("preset", recipe.preset, PRESETS), ("stage", recipe.stage, (*STAGES, "melody"))):
        if name not in known:
            raise InputError(f"unknown {kind} {name!r}; choose from {', '.join(known)}")
    if recipe.stage == "melody":
        return melody_recipe.train(of_melody(recipe))
    settle(recipe.threads)
    deadline = time.monotonic() + 60 * recipe.minutes
    preset = PRESETS[recipe.preset]()
    preset = preset if recipe.semantic else without_semantic(preset)
    if recipe.stage not in preset.stages:
        raise InputError(f"without semantic tokens there is no stage {recipe.stage!r}; train coarse and fine")
    parts = parts_at(recipe.mulan, recipe.w2vbert, recipe.codec, recipe.melody)
    whole = fitted(preset, parts)
    config = whole.stages[recipe.stage]
    torch.manual_seed(recipe.seed)
    network = StageNetwork(config).to(recipe.device)
    network.begin_with(codebooks(parts, whole))
    if recipe.start:
        begin_as(network, recipe, recipe.start)
    source = shards_of(replace(recipe, mels=recipe.tokens), front_of(recipe), captioned=False)
    path = recipe.out / f"{recipe.stage}.safetensors"
    known = recipe.start is not None and "melody" in checkpoint.read_config(recipe.start)
    if parts.melody and parts.melody.config.back and not (known or path.exists()):
        begin_with_tunes(network, recipe, parts.melody, source)
    ema = EMA(network, recipe.ema)
    optimisers = Optimisers(*split_matrices(network.blocks, network), recipe.muon_rate, recipe.adam_rate)
    check_tokens(recipe, whole)
    step = resume(path, network, ema, optimisers)
    print(f"musiclm-{recipe.preset}, {recipe.stage}: {sum(p.numel() for p in network.parameters()) / 1e6:.1f} M "
          f"parameters, from step {step} to {recipe.steps}", flush=True)  # fmt: skip
    if step >= recipe.steps:  # a run that was killed before it wrote its model
        with averaged(network, ema):
            publish(recipe, whole, network, step)
    log = StepLog(f"musiclm-{recipe.preset} {recipe.stage}", step, recipe.steps, every=25)
    with made_ahead(source.train, 0, source.count, recipe.workers, recipe.first_shards + 20) as read:
        draw = sampler(recipe, whole, source, read)
        while step < recipe.steps:
            torch.manual_seed(recipe.seed * 10**7 + step)  # of the dropout, so that a run goes on exactly
            loss, by_level_K = code_loss(network, draw(step), recipe.device)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimisers.step(warmup_stable_decay(step, recipe.steps, recipe.warmup, recipe.decay))
            ema.update(network)
            step += 1
            if log.due(step):
                log(step, loss=loss, first_level=by_level_K[0], last_level=by_level_K[-1])
            last = step == recipe.steps or time.monotonic() > deadline
            if step % 250 == 0 or last:
                remember(path, network, ema, optimisers, step)
                with averaged(network, ema):
                    judge(network, recipe, whole, source)
                    publish(recipe, whole, network, step)
            if last:
                break


def of_melody(recipe: MusicLMRecipe) -> melody_recipe.MelodyRecipe:
    """The stage melody's own recipe, with what this one changes of the settings that both have."""
    usual = MusicLMRecipe()
    both = {field.name: getattr(recipe, field.name) for field in fields(MusicRecipe)}
    changed = {name: value for name, value in both.items() if value != getattr(usual, name)}
    return melody_recipe.MelodyRecipe(
        **{**changed, "out": recipe.out / "melody", "start": recipe.start, "back": recipe.back}
    )


def check_tokens(recipe: MusicLMRecipe, whole: MusicLMConfig) -> None:
    """Raise ``InputError`` where a stage in ``recipe.out`` has learnt from other encoders' tokens.

    Those that read no melodies may have been trained before there was an encoder of them.
    """
    own = front_of(recipe).name.split("-")
    for stage, config in whole.stages.items():
        card = recipe.out / stage
        if not (card / "config.json").is_file():
            continue
        learnt = checkpoint.read_config(card).get("tokens", "").split("-")
        tuneful = any(stream.name == "melody" for stream in config.reads)
        if learnt != own if tuneful else learnt[:4] != own[:4]:
            raise InputError(f"{card} was trained on tokens of other encoders; choose another --out, or those encoders")


def fitted(config: MusicLMConfig, parts: Parts) -> MusicLMConfig:
    """The preset, with the streams of the parts at hand."""
    codec, melody = parts.codec.config, parts.melody and parts.melody.config
    sizes = {
        "melody": told_of(melody) if melody else {},
        "mulan": {"levels": parts.mulan.config.levels, "vocabulary": parts.mulan.config.vocabulary},
        "semantic": {"vocabulary": parts.semantic.vocabulary, "rate": parts.semantic.frame_rate},
        "coarse": {"vocabulary": codec.vocabulary, "rate": codec.frame_rate},
        "fine": {"vocabulary": codec.vocabulary, "rate": codec.frame_rate,
                 "levels": codec.levels - config.coarse.writes.levels},
    }  # fmt: skip

    def stage(one: StageConfig) -> StageConfig:
        reads = tuple(replace(stream, **sizes.get(stream.name, {})) for stream in one.reads)
        return replace(one, reads=reads, writes=replace(one.writes, **sizes[one.writes.name]))

    return replace(config, **{name: stage(getattr(config, name)) for name in STAGES})


def told_of(melody: MelodyConfig) -> dict[str, Any]:
    """What a stage reads of melodies: tokens of windows or, where the encoder gives tunes back, of their frames."""
    if melody.back:
        return {"levels": 1, "vocabulary": SEMITONES + 1, "rate": melody.frame_rate}
    return {"levels": melody.levels, "vocabulary": melody.vocabulary}


def codebooks(parts: Parts, whole: MusicLMConfig) -> dict[str, Tensor]:
    """What the tokens of all streams stand for, in each encoder's own space: (K, V, E)."""
    codec, coarse = list(parts.codec.quantiser.levels), whole.coarse.writes.levels
    levels = {
        "mulan": list(parts.mulan.quantiser.levels),
        "semantic": [parts.semantic.centres],
        "melody": list(parts.melody.quantiser.levels) if parts.melody and not parts.melody.config.back else [],
        "coarse": codec[:coarse],
        "fine": codec[coarse : coarse + whole.fine.writes.levels],
    }
    return {name: torch.stack([one.get_buffer("codes_VD") for one in found]) for name, found in levels.items() if found}


def begin_as(network: StageNetwork, recipe: MusicLMRecipe, start: Path) -> None:
    """Begin the stage as that of the MusicLM in ``start``, or with the MusicGen that is there."""
    if checkpoint.read_config(start).get("family") == "musiclm":
        told = recipe.melody_share > 0
        as_stage(network, recipe.stage, start, front_of(recipe).name, recipe.melody is not None, told)
        return
    card, trained = load_network(start)
    same_codec = codes_hash(find_part(start, card, "codec")) == codes_hash(recipe.codec)
    take_over(network, trained.to(network.heads.weight.device), same_codec and recipe.stage == "coarse")


def begin_with_tunes(network: StageNetwork, recipe: MusicLMRecipe, melody: MelodyEncoder, source: Source) -> None:
    """Let the tokens of tunes, which are new to the stage, begin as something that it knows."""
    if recipe.stage == "coarse" and recipe.tunes:
        hear_as(network, load_network(recipe.tunes)[1].to(network.heads.weight.device), melody.config.low)
    elif recipe.stage == "semantic" and recipe.melody_share:
        shards = range(min(TUNE_SHARDS, recipe.first_shards))
        hear_tunes(network, (piece for index in shards for piece in meaning.pieces(source.train.read(index))))


def front_of(recipe: MusicLMRecipe) -> Front:
    """All kinds of tokens, named by the weights that they come from."""
    return front(recipe.mulan, recipe.w2vbert, recipe.codec, recipe.melody)


def sampler(
    recipe: MusicLMRecipe, whole: MusicLMConfig, source: Source, read: Callable[[int], Shard]
) -> Callable[[int], Batch]:
    """``draw(step)``: depends on the step alone."""
    load = functools.lru_cache(maxsize=recipe.shards_in_memory + 1)(lambda index: meaning.pieces(read(index)))

    def draw(step: int) -> Batch:
        newest = newest_shard(recipe, source, step)
        choose = torch.Generator().manual_seed(recipe.seed * 10**7 + step)
        found: list[meaning.MeaningPiece] = []
        while len(found) < 4 * recipe.batch:
            back = int(torch.randint(min(newest + 1, recipe.shards_in_memory), (), generator=choose))
            shard = load(newest - back)
            found.append(shard[int(torch.randint(len(shard), (), generator=choose))])
        share = 1.0
        if float(torch.rand((), generator=choose)) < recipe.short_share:
            share = SHORTEST + (1 - SHORTEST) * float(torch.rand((), generator=choose))
        batch = batch_of(found, recipe.batch, recipe.stage, whole, choose, share)
        if "melody" in batch.read and float(torch.rand((), generator=choose)) >= recipe.melody_share:
            return without_melody(batch)
        return batch

    return draw


def batch_of(
    found: list[meaning.MeaningPiece],
    count: int,
    stage: str,
    whole: MusicLMConfig,
    choose: torch.Generator,
    share: float = 1.0,
) -> Batch:
    """Crops of ``count`` of the pieces, as long as that ``share`` of the stage's window, or as the longest can be."""
    config, ratio = whole.stages[stage], round(whole.coarse.writes.rate / whole.semantic.writes.rate)
    frames = max(round(share * config.seconds * whole.coarse.writes.rate), ratio)
    longest = sorted(min(p.codes_KT.shape[1], p.semantic_KT.shape[1] * ratio) for p in found)[-count:][0]
    frames = min(frames, longest) // ratio * ratio
    starts, rate = melody_starts(frames / whole.coarse.writes.rate), whole.semantic.writes.rate
    # A tune has several frames a second, windows come every few seconds.
    tune_rate = next((s.rate for s in whole.semantic.reads if s.name == "melody" and s.rate > 1), 0.0)
    crops = [one for p in found if (one := meaning.crop(p, frames, ratio, choose, starts, rate, tune_rate))][:count]
    told_B = torch.rand(len(crops), generator=choose) >= config.condition_dropout
    coarse = whole.coarse.writes.levels
    tokens = {
        "mulan": torch.stack([one.mulan_KT for one in crops]),
        "semantic": torch.stack([one.semantic_KT for one in crops]),
        "coarse": torch.stack([one.codes_KT[:coarse] for one in crops]),
        "fine": torch.stack([one.codes_KT[coarse : coarse + whole.fine.writes.levels] for one in crops]),
    }
    tunes = [one.melody_KT for one in crops if one.melody_KT is not None]
    if len(tunes) == len(crops):
        tokens["melody"] = torch.stack(tunes)
    read = {stream.name: tokens[stream.name] for stream in config.reads if stream.name in tokens}
    return Batch(read, tokens[config.writes.name], told_B)


def without_melody(batch: Batch) -> Batch:
    """The same, told no melody, as a user who gives none."""
    return batch._replace(read={name: codes for name, codes in batch.read.items() if name != "melody"})


def code_loss(network: StageNetwork, batch: Batch, device: str) -> tuple[Tensor, Tensor]:
    """(mean, by level) cross-entropy of what is written, in nats a token."""
    read = {name: codes_BKT.to(device) for name, codes_BKT in batch.read.items()}
    written_BKT = batch.written_BKT.to(device)
    with fast_products(device):
        logits_BKTV = network(read, written_BKT, batch.told_B.to(device))
    loss_BKT = F.cross_entropy(logits_BKTV.flatten(0, 2).float(), written_BKT.flatten(), reduction="none").view(
        written_BKT.shape
    )
    return loss_BKT.mean(), loss_BKT.detach().mean((0, 2))


@torch.no_grad()
def judge(network: StageNetwork, recipe: MusicLMRecipe, whole: MusicLMConfig, source: Source) -> None:
    """Print what held-out music costs with its own condition, another piece's, and none."""
    found = meaning.pieces(source.held_out.read(source.held_out_shards[0]))
    count = max(len(found) // 2, 2)
    batch = batch_of(found, count, recipe.stage, whole, torch.Generator().manual_seed(0))
    rows = len(batch.told_B)
    own = batch._replace(told_B=torch.ones(rows, dtype=torch.bool))
    wrong = own._replace(read={name: codes.roll(1, 0) for name, codes in own.read.items()})
    told = {"own": own, "another's": wrong, "none": own._replace(told_B=torch.zeros(rows, dtype=torch.bool))}
    if "melody" in own.read:
        another = {**own.read, "melody": own.read["melody"].roll(1, 0)}
        told |= {"own without melody": without_melody(own), "own with another's melody": own._replace(read=another)}
    costs = {name: code_loss(network, one, recipe.device)[0] for name, one in told.items()}
    print("held out, condition: " + ", ".join(f"{name} {cost:.3f}" for name, cost in costs.items()), flush=True)


def steps_before(recipe: MusicLMRecipe) -> int:
    """How many steps the stage had behind it when it began: those of the MusicLM that it began as."""
    said = checkpoint.read_config(recipe.start) if recipe.start else {}
    return said["steps"][recipe.stage] if said.get("family") == "musiclm" else 0


def publish(recipe: MusicLMRecipe, whole: MusicLMConfig, network: StageNetwork, step: int) -> None:
    """Write the stage; where all three are there, the model, with the parts that it names inside it."""
    crop_seconds = network.config.seconds * (1 - recipe.short_share * (1 - SHORTEST) / 2)  # on average
    heard = round(step * recipe.batch * crop_seconds / 3600, 1)
    card = {
        "steps": step + steps_before(recipe),
        "hours_heard": heard,
        "tokens": front_of(recipe).name,
        **provenance(recipe.device),
    }
    checkpoint.save(recipe.out / recipe.stage, {"family": "musiclm-stage", **card}, compact(network.state_dict()))
    if not all((recipe.out / name / "config.json").is_file() for name in whole.stages):
        return
    networks = {name: StageNetwork(config) for name, config in whole.stages.items()}
    steps = {}
    for name, one in networks.items():
        said, tensors = checkpoint.load(recipe.out / name)
        checkpoint.load_into(one, expand(tensors), recipe.out / name)
        steps[name] = said["steps"]
    target = recipe.out / "model"
    parts = {"mulan": recipe.mulan, "w2vbert": recipe.w2vbert, "codec": recipe.codec or BUNDLED / "soundstream-mini"}
    parts |= {"melody": recipe.melody} if recipe.melody and recipe.semantic else {}
    named = {role: adopt(str(folder), target / role)[1] for role, folder in parts.items()}
    card = {"name": f"musiclm-{recipe.preset}", "steps": steps, "tokens": front_of(recipe).name, **named}
    save_musiclm(target, whole, networks, **card, **provenance(recipe.device))
