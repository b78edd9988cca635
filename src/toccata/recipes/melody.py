"""Train MusicLM's melody encoder: covers of one melody lie close, whatever sounds it, in whatever key and tempo.

Shapes: T frames, M mel bands, D width.
"""

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.corpus import covers as band
from toccata.corpus.humming import VOICES
from toccata.corpus.stream import corpus_name
from toccata.data.covers import Covers, cover_shard, melodies
from toccata.data.shards import Shard, ShardStore, made_ahead
from toccata.encoders.joint import similarity
from toccata.encoders.melody import (
    MelodyConfig,
    MelodyEncoder,
    classes,
    full,
    load_melody,
    mels_of,
    mini,
    save_melody,
)
from toccata.errors import InputError
from toccata.recipes.music import HELD_OUT_SEED, MusicRecipe, Source, last_shard, newest_shard
from toccata.training.contrastive import triplet_loss
from toccata.training.cpu import settle
from toccata.training.log import StepLog
from toccata.training.optim import EMA, Optimisers, averaged, split_matrices, warmup_stable_decay
from toccata.training.provenance import provenance
from toccata.training.run import remember, resume

PRESETS = {"mini": mini, "full": full}
PIECES = 64
JUDGED = 100


@dataclass(frozen=True)
class MelodyRecipe(MusicRecipe):
    __doc__ = f"""{MusicRecipe.__doc__}
    Here pieces are the band's alone, for their scores tell the melody. Each step draws ``batch`` of them, with
    ``covers`` of the melody and two of its impostor, which has the same rhythm and the opposite contour. Windows are
    made up to ``stretch`` faster or slower, moved by up to ``shift`` of an octave where the mels are spaced by pitch,
    and don't begin quite together: ``stray`` seconds aside at most. Tokens are fitted to ``token_shards`` shards.
    ``back`` weighs how well vectors give the tune back. A run begins with the weights of the encoder in the folder
    ``start`` (None: with random ones).
    """

    out: Path = Path("runs/melody")
    steps: int = 5000
    first_shards: int = 8
    steps_per_shard: int = 64
    held_out_shards: int = 4
    covers: int = 3
    margin: float = 0.2
    stretch: float = 0.15
    shift: float = 0.25
    stray: float = 0.2
    token_shards: int = 16
    back: float = 1.0
    start: Path | None = None


class Drawn(NamedTuple):
    """Windows of log-mel, which melody each has, and the seed of the step."""

    mel_BTM: Tensor
    labels_B: Tensor
    seed: int


def train(recipe: MelodyRecipe) -> None:
    """Train, or go on training, and write the averaged weights and the tokens to ``recipe.out``/model."""
    if recipe.preset not in PRESETS:
        raise InputError(f"unknown preset {recipe.preset!r}; choose from {', '.join(PRESETS)}")
    if recipe.manifest is not None:
        raise InputError("the melody encoder learns from the band's scores, not from a manifest; leave it out")
    settle(recipe.threads)
    deadline = time.monotonic() + 60 * recipe.minutes
    config = PRESETS[recipe.preset]()
    torch.manual_seed(recipe.seed)
    model = MelodyEncoder(config).to(recipe.device)
    if recipe.start:
        begin_as(model, recipe.start)
    source = source_of(recipe, config)
    ema = EMA(model, recipe.ema)
    optimisers = Optimisers(*split_matrices(model.blocks, model), recipe.muon_rate, recipe.adam_rate)
    path = recipe.out / "state.safetensors"
    step = resume(path, model, ema, optimisers)
    print(f"melody-{recipe.preset}: {sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters, "
          f"from step {step} to {recipe.steps}", flush=True)  # fmt: skip
    log = StepLog(f"melody-{recipe.preset}", step, recipe.steps, every=25)
    with made_ahead(source.train, 0, source.count, recipe.workers, recipe.first_shards + 20) as read:
        draw = sampler(recipe, config, source, read)
        while step < recipe.steps:
            loss, told = contrast(model, draw(step), recipe)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimisers.step(warmup_stable_decay(step, recipe.steps, 100, recipe.decay))
            ema.update(model)
            step += 1
            if log.due(step):
                log(step, loss=loss, **told)
            last = step == recipe.steps or time.monotonic() > deadline
            if step % 250 == 0 or last:
                remember(path, model, ema, optimisers, step)
            if last:
                break
            if step % 500 == 0:
                with averaged(model, ema):
                    judge(model, source)
                    publish(recipe, model, step)
        with averaged(model, ema):
            judge(model, source)
            if step >= recipe.steps:
                fit_tokens(model, recipe, source, read)
            publish(recipe, model, step)


def source_of(recipe: MelodyRecipe, config: MelodyConfig) -> Source:
    """Shards of covers, made by the band as they are needed."""

    def store(seed: int) -> ShardStore:
        name = f"covers-{band.EDITION}-{config.sample_rate}-{config.n_fft}-{config.hop}-{config.bands}"
        return ShardStore(
            recipe.mels / f"{corpus_name(seed)}-{name}-{config.per_octave}",
            functools.partial(shard_of_covers, seed=seed, config=config),
        )

    count = last_shard(recipe) + 1
    return Source(store(recipe.seed), count, store(HELD_OUT_SEED), tuple(range(recipe.held_out_shards)))


def shard_of_covers(index: int, seed: int, config: MelodyConfig) -> Shard:
    """Shard ``index`` of the endless corpus ``seed``: true melodies and their impostors in turn."""

    def made() -> Iterator[Sequence[tuple[Tensor, Sequence[float], str]]]:
        for number in range(index * PIECES, (index + 1) * PIECES):
            for covers in band.covers(seed, number, config.sample_rate):
                yield [(torch.from_numpy(one.wave_N), one.onsets_J.tolist(), one.sound) for one in covers]

    return cover_shard(made(), functools.partial(mels_of, config=config))


def sampler(
    recipe: MelodyRecipe, config: MelodyConfig, source: Source, read: Callable[[int], Shard]
) -> Callable[[int], Drawn]:
    """``draw(step)``: depends on the step alone."""
    load = functools.lru_cache(maxsize=recipe.shards_in_memory + 1)(lambda index: melodies(read(index)))

    def draw(step: int) -> Drawn:
        newest = newest_shard(recipe, source, step)
        choose = torch.Generator().manual_seed(recipe.seed * 10**7 + step)
        mels, labels = [], []
        for piece in pieces(newest, choose):
            for melody, count in zip(piece, (recipe.covers, 2), strict=True):
                place = spot(melody, choose)
                order = torch.randperm(len(melody.mels), generator=choose)[:count].tolist()
                mels += [bent(melody, cover, place, recipe, config, choose) for cover in order]
                labels += [len(labels)] * len(order)
        return Drawn(torch.stack(mels).float(), torch.tensor(labels), choose.initial_seed())

    def pieces(newest: int, choose: torch.Generator) -> list[tuple[Covers, Covers]]:
        """Different ones, each with its impostor."""
        found: dict[tuple[int, int], tuple[Covers, Covers]] = {}
        for _ in range(20 * recipe.batch):
            index = newest - int(torch.randint(min(newest + 1, recipe.shards_in_memory), (), generator=choose))
            shard = load(index)
            at = 2 * int(torch.randint(len(shard) // 2, (), generator=choose))
            found[index, at] = (shard[at], shard[at + 1])
            if len(found) == recipe.batch:
                break
        return list(found.values())

    return draw


def spot(melody: Covers, choose: torch.Generator) -> float:
    """A place between two notes, not too near the ends."""
    last = len(melody.onsets[0]) - 1
    return last * (0.2 + 0.6 * float(torch.rand((), generator=choose)))


def bent(
    melody: Covers, cover: int, place: float, recipe: MelodyRecipe, config: MelodyConfig, choose: torch.Generator
) -> Tensor:
    """(T, M) of a cover around a place: a little aside, faster or slower, and in another key."""
    faster, higher, aside = (2 * torch.rand(3, generator=choose) - 1).tolist()
    frames = round(config.frames * (1 + recipe.stretch) ** faster)
    notes_a_second = len(melody.onsets[cover]) / float(melody.onsets[cover][-1])
    mel_TM = melody.window(cover, max(place + aside * recipe.stray * notes_a_second, 0.0), frames, config.frame_rate)
    stretched_1MT = F.interpolate(mel_TM.T[None].float(), config.frames, mode="linear")
    return moved(stretched_1MT[0].T, round(higher * recipe.shift * config.per_octave))


def moved(mel_TM: Tensor, bands: int) -> Tensor:
    """The picture so many bands higher, as quiet as its quietest spot where nothing is known."""
    if not bands:
        return mel_TM
    out_TM = torch.full_like(mel_TM, float(mel_TM.min()))
    if bands > 0:
        out_TM[:, bands:] = mel_TM[:, :-bands]
    else:
        out_TM[:, :bands] = mel_TM[:, -bands:]
    return out_TM


def begin_as(model: MelodyEncoder, start: Path) -> None:
    """Take over all weights of a trained encoder; what gives tunes back may be new, its tokens are fitted again."""
    known = load_melody(start)
    if replace(known.config, back=model.config.back) != model.config:
        raise InputError(f"{start} holds a melody encoder of other sizes; leave start out")
    trained = {name: t for name, t in known.state_dict().items() if not name.startswith("quantiser.")}
    model.load_state_dict({**model.state_dict(), **trained})


def contrast(model: MelodyEncoder, drawn: Drawn, recipe: MelodyRecipe) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss; the share of windows whose nearest other has the same melody, and of frames whose pitch is given back.

    What is given back is the pitch of each frame, whatever its octave, as the window itself has it.
    """
    labels_B = drawn.labels_B.to(recipe.device)
    torch.manual_seed(drawn.seed)  # of the dropout, so that a run goes on exactly
    kind = torch.device(recipe.device).type
    # On a CPU matrices this small are faster as they are.
    with torch.autocast(kind, torch.bfloat16, enabled=kind != "cpu"):
        seen_BTM, _ = model.see(drawn.mel_BTM.to(recipe.device))
        rows_BD = model.vector(seen_BTM)
    with torch.no_grad():
        nearest_B = similarity(rows_BD, rows_BD).fill_diagonal_(-2.0).argmax(1)
        told = {"found": (labels_B[nearest_B] == labels_B).float().mean()}
    loss = triplet_loss(rows_BD, labels_B, recipe.margin)
    if model.back is not None:
        heard_BTP = classes(seen_BTM, model.config.per_octave, model.config.bands // 2)
        given_BTP = model.give_back(rows_BD)
        told["back"] = (given_BTP.argmax(-1) == heard_BTP.argmax(-1)).float().mean()
        wrong = F.cross_entropy(given_BTP.flatten(0, 1), heard_BTP.flatten(0, 1))
        told["nats"] = wrong.detach()
        loss = loss + recipe.back * wrong
    return loss, told


@torch.no_grad()
def heard(model: MelodyEncoder, found: Sequence[Covers], sounds: Sequence[int]) -> Tensor:
    """Embeddings of the middle of each melody in its cover number ``sounds``."""
    config = model.config
    mels = [
        melody.window(cover, len(melody.onsets[cover]) / 2, config.frames, config.frame_rate)
        for melody, cover in zip(found, sounds, strict=True)
    ]
    rows = [model.hear(torch.stack(mels[i : i + 64]).float().to(model.device)) for i in range(0, len(mels), 64)]
    return torch.cat(rows).cpu()


def judge(model: MelodyEncoder, source: Source) -> None:
    """Print how often a held-out melody is found among others when a voice gives it in another key and tempo."""
    everything = [one for index in source.held_out_shards for one in melodies(source.held_out.read(index))]
    true, false = everything[::2][:JUDGED], everything[1::2][:JUDGED]
    voiced_BD = heard(model, true, [sounds_of(one, voice=True) for one in true])
    alone_BD = heard(model, true, [sounds_of(one, voice=False) for one in true])
    opposite_BD = heard(model, false, [sounds_of(one, voice=False) for one in false])
    in_band_BD = heard(model, true, [0] * len(true))
    own_B = torch.arange(len(true))
    shares = {
        name: float((similarity(voiced_BD, rows_BD).argmax(1) == own_B).float().mean())
        for name, rows_BD in (("an instrument", alone_BD), ("the band", in_band_BD))
    }
    told = ", ".join(f"by {name} R@1 {share:.2f}" for name, share in shares.items())
    nearer = (voiced_BD * alone_BD).sum(1) > (voiced_BD * opposite_BD).sum(1)
    print(f"held out, given by a voice, of {len(true)}: played {told}; nearer than the opposite contour "
          f"{float(nearer.float().mean()):.2f}", flush=True)  # fmt: skip


def sounds_of(melody: Covers, voice: bool) -> int:
    """The cover that a voice gives, or that an instrument plays alone."""
    return next(i for i, sound in enumerate(melody.sounds) if sound != "band" and (sound in VOICES) == voice)


def fit_tokens(model: MelodyEncoder, recipe: MelodyRecipe, source: Source, read: Callable[[int], Shard]) -> None:
    """Fit the quantiser to windows of training music, one a second; print what it keeps of held-out ones."""
    newest = newest_shard(recipe, source, recipe.steps)
    shards = range(max(newest + 1 - recipe.token_shards, 0), newest + 1)
    rows_ND = torch.cat([_everything(model, melodies(read(index))) for index in shards])
    if len(rows_ND) < model.config.vocabulary:
        raise InputError(f"{len(rows_ND)} windows are too few for {model.config.vocabulary} tokens; give more shards")
    quantiser = model.quantiser.cpu()
    quantiser.fit(rows_ND, torch.Generator().manual_seed(recipe.seed))
    model.quantiser.to(model.device)
    held_ND = _everything(model, melodies(source.held_out.read(source.held_out_shards[0])))
    kept = (model.dequantise(model.quantise(held_ND)) * held_ND).sum(1).mean()
    print(f"tokens of {len(rows_ND)} windows; held out, cosine to what they keep {kept:.3f}", flush=True)


@torch.no_grad()
def _everything(model: MelodyEncoder, found: Sequence[Covers]) -> Tensor:
    rows = []
    for melody in found:
        for mel_TM in melody.mels:
            if len(mel_TM) >= model.config.frames:
                rows.append(model.hear(model.windows(mel_TM.float(), 1.0).to(model.device)).cpu())
    return torch.cat(rows)


def publish(recipe: MelodyRecipe, model: MelodyEncoder, step: int) -> None:
    """Write the weights as they are now."""
    card = {"name": f"melody-{recipe.preset}", "steps": step, "pieces": step * recipe.batch}
    save_melody(recipe.out / "model", model, **card, **provenance(recipe.device))
