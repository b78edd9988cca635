"""Train a codec on the house band. SoundStream: first the codes, then, with the codes frozen, how they sound.

Phase 1 trains encoder, quantiser and decoder by reconstruction, and asks the first level to tell the score (which
pitch classes sound, which drums strike): that makes its tokens the easier to predict. Phase 2 freezes the codes and
trains the decoder, at last against discriminators, so tokens made after phase 1 stay valid while the sound improves.

EnCodec has one phase, as published: everything at once, with the losses balanced.
"""

import contextlib
import functools
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.codecs import losses
from toccata.codecs.discriminators import Discriminators
from toccata.codecs.encodec import EnCodec, EnCodecConfig, encodec_24khz, encodec_32khz, encodec_mini, save_encodec
from toccata.codecs.soundstream import SoundStream, codes_hash, full, load_soundstream, mini, save_soundstream
from toccata.corpus.stream import ROLL_RATE, audio_shard, corpus_name
from toccata.data.shards import Shard, ShardStore, made_ahead, shards_read
from toccata.errors import InputError
from toccata.nn.rvq import perplexity
from toccata.recipes.codec_parts import (
    Codec,
    critic_loss,
    dropped_levels,
    masked_latents,
    opinion,
    remember,
    resume,
    same_crops,
    score_loss,
    unquantised,
)
from toccata.training.balancer import Balancer
from toccata.training.cpu import settle
from toccata.training.log import StepLog
from toccata.training.optim import warmup_cosine, warmup_stable_decay
from toccata.training.precision import fast_products
from toccata.training.provenance import provenance
from toccata.weights import checkpoint

PRESETS = {
    "mini": mini,
    "full": full,
    "encodec-mini": encodec_mini,
    "encodec-24khz": encodec_24khz,
    "encodec-32khz": encodec_32khz,
}
HELD_OUT_SEED = 10_000


@dataclass(frozen=True)
class CodecRecipe:
    """What to train and for how long. ``minutes`` ends this run early; the next goes on exactly where it stopped.

    ``codes`` is the folder of a SoundStream codec whose codes stay: only phase 2 runs, from its decoder, or from as
    much of it as the preset's decoder has. Phase 2 is ``sound_steps`` of the decoder alone and ``adversarial_steps``
    against discriminators, whose opinion weighs ``adversarial_weight`` and ``feature_weight`` beside ten times the
    distances of spectra; half of its sounds come through the first ``kept_levels``, which language models write.
    """

    out: Path = Path("runs/codec")
    band: Path = Path("runs/band")
    codes: Path | None = None
    preset: str = "mini"
    steps: int = 2500
    free_steps: int = 100
    refit_steps: int = 100
    sound_steps: int = 3000
    adversarial_steps: int = 1000
    adversarial_weight: float = 4.0
    feature_weight: float = 20.0
    kept_levels: int = 4
    batch: int = 16
    seconds: float = 1.92
    learning_rate: float = 1e-3
    sound_rate: float = 5e-4
    steps_per_shard: int = 20
    shards_in_memory: int = 6
    seed: int = 1
    workers: int = 1
    threads: int = 1
    minutes: float = float("inf")
    device: str = "cpu"
    compile: bool = True


def train(recipe: CodecRecipe) -> None:
    """Run the codec's phases (or what is left of them) and write it to ``recipe.out``."""
    if recipe.preset not in PRESETS:
        raise InputError(f"unknown preset {recipe.preset!r}; choose from {', '.join(PRESETS)}")
    settle(recipe.threads)
    deadline = time.monotonic() + 60 * recipe.minutes
    torch.manual_seed(recipe.seed)
    config = PRESETS[recipe.preset]()
    if isinstance(config, EnCodecConfig):
        balance(recipe, EnCodec(config).to(recipe.device), deadline)
        return
    codec = SoundStream(config).to(recipe.device)
    if recipe.codes:
        adopt(codec, recipe.codes)
    quicken(recipe, codec)
    if recipe.codes or reconstruct(recipe, codec, deadline):
        polish(recipe, codec, deadline)


def adopt(codec: SoundStream, folder: Path) -> None:
    """The weights in ``folder`` for ``codec``; parts of its decoder that ``folder`` lacks stay as they are."""
    own = codec.state_dict()
    theirs = load_soundstream(folder).state_dict()
    new = {name: tensor for name, tensor in own.items() if name.startswith("decoder.") and name not in theirs}
    checkpoint.load_into(codec, theirs | new, folder)


def refit(recipe: CodecRecipe, codec: SoundStream, read: Callable[[int], Shard]) -> None:
    """Between the phases: the codebooks once more, by k-means over many latents of the encoder as it has become."""
    draw = sampler(recipe, codec, read)
    codec.eval()
    with torch.no_grad():
        latents = [codec.latents(draw(recipe.steps - 1 - back)[0]).flatten(0, 1) for back in range(recipe.refit_steps)]
    x_ND = torch.cat(latents)
    codec.quantiser.fit(x_ND, torch.Generator().manual_seed(recipe.seed))
    codes_BKT = codec.quantiser.encode(x_ND[None])
    use = [perplexity(c, codec.config.vocabulary) for c in codes_BKT.unbind(1)]
    print("refitted codebooks, use " + " ".join(f"{u:.2f}" for u in use), flush=True)


def reconstruct(recipe: CodecRecipe, codec: SoundStream, deadline: float) -> bool:
    """Phase 1. True when it is complete; ``codec`` then holds its weights."""
    score_head = nn.Linear(codec.config.latent, 29).to(recipe.device)
    nn.init.constant_(score_head.bias, -2.0)  # most of a score is silence
    parameters = [*codec.parameters(), *score_head.parameters()]
    groups = [{"params": codec.parameters(), "scale": 1.0}, {"params": score_head.parameters(), "scale": 10.0}]
    optimiser = torch.optim.AdamW(groups, recipe.learning_rate, betas=(0.8, 0.99), weight_decay=1e-3)
    parts = {"codec": codec, "head": score_head, "optimiser": optimiser}
    path = recipe.out / "codes.safetensors"
    step = resume(path, parts, codec)
    if step >= recipe.steps:
        return True
    log = StepLog("codes", step, recipe.steps, every=50)
    with _shards(recipe, codec, step, recipe.steps) as read:
        draw = sampler(recipe, codec, read)
        while step < recipe.steps:
            wave_BCN, roll_BTR = draw(step)
            generator = torch.Generator().manual_seed(recipe.seed * 10**6 + step)
            levels_B = dropped_levels(len(wave_BCN), codec.config.levels, generator).to(recipe.device)
            with fast_products(recipe.device):
                latent_BTD = codec.latents(wave_BCN)
            if step < recipe.free_steps:
                quantised = unquantised(latent_BTD)
            else:
                quantised = codec.quantiser(latent_BTD, levels_B, generator)
            with fast_products(recipe.device):
                made_BCN = codec.synthesise(quantised.latent_BTD)
            mel = losses.mel_loss(made_BCN, wave_BCN, codec.config.sample_rate)
            score = score_loss(score_head(quantised.first_BTD), roll_BTR)
            tonal, partials = losses.tonal_loss(made_BCN, wave_BCN, codec.config.sample_rate)
            loss = mel + 0.5 * (tonal + partials) + 0.25 * quantised.loss + 0.3 * score
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            for group in optimiser.param_groups:
                group["lr"] = group["scale"] * recipe.learning_rate * warmup_cosine(step, recipe.steps, 100)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            step += 1
            if log.due(step):
                use = min(perplexity(c, codec.config.vocabulary) for c in quantised.codes_BKT.unbind(1))
                log(
                    step, mel=mel, tonal=tonal, partials=partials, score=score, commitment=quantised.loss, least_use=use
                )
            if step % 250 == 0 or step == recipe.steps or time.monotonic() > deadline:
                remember(path, parts, codec, step)
                publish(recipe, codec, 0, step)
            if time.monotonic() > deadline:
                return step >= recipe.steps
    return True


def polish(recipe: CodecRecipe, codec: SoundStream, deadline: float) -> bool:
    """Phase 2: the decoder, codes frozen; first alone, then against discriminators."""
    codec.requires_grad_(False).eval()
    codec.decoder.requires_grad_(True)
    judges = Discriminators((1024, 512, 256), wave_scales=1, channels=16).to(recipe.device)
    maker = torch.optim.AdamW(codec.decoder.parameters(), recipe.sound_rate, betas=(0.8, 0.99), weight_decay=1e-3)
    critic = torch.optim.AdamW(judges.parameters(), 3e-4, betas=(0.8, 0.99), weight_decay=1e-3)
    parts = {"codec": codec, "judges": judges, "maker": maker, "critic": critic}
    path = recipe.out / "sound.safetensors"
    step, steps, rate = resume(path, parts, codec), recipe.sound_steps + recipe.adversarial_steps, recipe.sound_rate
    log = StepLog("sound", step, steps, every=20)
    with _shards(recipe, codec, step, steps) as read:
        draw = sampler(recipe, codec, read)
        if step == 0 and not recipe.codes:
            refit(recipe, codec, read)
            remember(path, parts, codec, step)
            publish(recipe, codec, step)
        while step < steps:
            wave_BCN, _ = draw(step)
            generator = torch.Generator().manual_seed(recipe.seed * 10**6 + 10**5 + step)
            latent_BTD = heard_latents(recipe, codec, wave_BCN, generator)
            # Anywhere in a sound, so that the phases of its first seconds aren't learnt by heart.
            first = int(torch.randint(10_000, (), generator=generator))
            with fast_products(recipe.device):
                made_BCN = codec.synthesise(latent_BTD, first)
            mel = losses.mel_loss(made_BCN, wave_BCN, codec.config.sample_rate)
            tonal, partials = losses.tonal_loss(made_BCN, wave_BCN, codec.config.sample_rate)
            loss, told = 10 * (mel + tonal + partials), {"mel": mel, "tonal": tonal, "partials": partials}
            if step >= recipe.sound_steps:
                crops = same_crops(wave_BCN, made_BCN, generator, codec.config.sample_rate // 2)
                wrong = critic_loss(judges, *crops)
                wrong.backward()
                nn.utils.clip_grad_norm_(judges.parameters(), 1.0)
                critic.step()
                judged = opinion(judges, *crops)
                ramp = min(1.0, (step - recipe.sound_steps) / 300)
                heard = recipe.adversarial_weight * judged["adversarial"] + recipe.feature_weight * judged["feature"]
                loss, told = loss + ramp * heard, told | judged | {"critic": wrong}
            loss.backward()
            nn.utils.clip_grad_norm_(codec.decoder.parameters(), 10.0)
            for group in maker.param_groups:
                group["lr"] = rate * warmup_stable_decay(step, steps, 100, 0.25)
            maker.step()
            maker.zero_grad(set_to_none=True)
            critic.zero_grad(set_to_none=True)
            step += 1
            if log.due(step):
                log(step, **told)
            if step % 100 == 0 or step == steps or time.monotonic() > deadline:
                remember(path, parts, codec, step)
                publish(recipe, codec, step)
            if time.monotonic() > deadline:
                break
    return step >= steps


@torch.no_grad()
def heard_latents(recipe: CodecRecipe, codec: SoundStream, wave_BCN: Tensor, generator: torch.Generator) -> Tensor:
    """What the codes tell of ``wave_BCN``: half through the first ``kept_levels``, half through more or fewer."""
    codes_BKT = codec.encode(wave_BCN)
    levels_B = dropped_levels(len(wave_BCN), codec.config.levels, generator)
    kept_B = torch.rand(len(wave_BCN), generator=generator) < 0.5
    levels_B = torch.where(kept_B, min(recipe.kept_levels, codec.config.levels), levels_B)
    return masked_latents(codec, codes_BKT, levels_B.to(recipe.device))


def balance(recipe: CodecRecipe, codec: EnCodec, deadline: float) -> bool:
    """EnCodec's only phase (arXiv 2210.13438, section 3.4): a loss's weight is its share of the sound's gradient."""
    judges = Discriminators((2048, 1024, 512, 256, 128), wave_scales=0).to(recipe.device)
    maker = torch.optim.Adam(codec.parameters(), 3e-4, betas=(0.5, 0.9))
    critic = torch.optim.Adam(judges.parameters(), 3e-4, betas=(0.5, 0.9))
    balancer = Balancer({"time": 0.1, "mel": 1.0, "adversarial": 3.0, "feature": 3.0})
    parts = {"codec": codec, "judges": judges, "maker": maker, "critic": critic, "balancer": balancer}
    path = recipe.out / "balanced.safetensors"
    step, rate = resume(path, parts, codec), codec.config.sample_rate
    log = StepLog("balanced", step, recipe.steps, every=20)
    with _shards(recipe, codec, step, recipe.steps) as read:
        draw = sampler(recipe, codec, read)
        while step < recipe.steps:
            wave_BCN, _ = draw(step)
            generator = torch.Generator().manual_seed(recipe.seed * 10**6 + step)
            levels_B = dropped_levels(len(wave_BCN), codec.config.levels, generator).to(recipe.device)
            with fast_products(recipe.device):
                latent_BTD = codec.latents(wave_BCN)
            quantised = codec.quantiser(latent_BTD, levels_B, generator)
            with fast_products(recipe.device):
                made_BCN = codec.synthesise(quantised.latent_BTD)
            made_BCN = made_BCN.float()[..., : wave_BCN.shape[-1]]
            real_BCN, fake_BCN = same_crops(wave_BCN, made_BCN, generator, rate // 2)
            wrong = critic_loss(judges, real_BCN, fake_BCN)
            if torch.rand((), generator=generator) < 2 / 3:  # so that the judges don't get ahead
                wrong.backward()
                critic.step()
                critic.zero_grad(set_to_none=True)
            judged = opinion(judges, real_BCN, fake_BCN)
            heard = {"time": F.l1_loss(made_BCN, wave_BCN), "mel": losses.mel_loss(made_BCN, wave_BCN, rate)}
            gradient_BCN = balancer.gradient(heard | judged, made_BCN)
            # The commitment loss doesn't depend on the sound, so it stands beside the balanced ones.
            (quantised.loss + (made_BCN * gradient_BCN).sum()).backward()
            for group in maker.param_groups:
                group["lr"] = 3e-4 * warmup_cosine(step, recipe.steps, 100)
            maker.step()
            maker.zero_grad(set_to_none=True)
            step += 1
            if log.due(step):
                use = min(perplexity(c, codec.config.vocabulary) for c in quantised.codes_BKT.unbind(1))
                log(step, **heard, **judged, critic=wrong, commitment=quantised.loss, least_use=use)
            if step % 250 == 0 or step == recipe.steps or time.monotonic() > deadline:
                remember(path, parts, codec, step)
                hours = round(step * recipe.batch * recipe.seconds / 3600, 1)
                save_encodec(recipe.out / "codec", codec, steps=step, hours_heard=hours, **provenance(recipe.device))
            if time.monotonic() > deadline:
                break
    return step >= recipe.steps


def band(recipe: CodecRecipe, sample_rate: int) -> ShardStore:
    """The endless corpus of ``recipe.seed`` at ``sample_rate``, rendered as it is needed."""
    name = corpus_name(recipe.seed) + ("" if sample_rate == 24000 else f"-{sample_rate}")
    return ShardStore(recipe.band / name, functools.partial(audio_shard, seed=recipe.seed, sample_rate=sample_rate))


def _shards(
    recipe: CodecRecipe, codec: Codec, step: int, steps: int
) -> contextlib.AbstractContextManager[Callable[[int], Shard]]:
    """The shards that are still to be read of a phase of so many steps."""
    first, count = step // recipe.steps_per_shard, shards_read(steps, recipe.steps_per_shard)
    return made_ahead(band(recipe, codec.config.sample_rate), first, count, recipe.workers)


def sampler(recipe: CodecRecipe, codec: Codec, read: Callable[[int], Shard]) -> Callable[[int], tuple[Tensor, Tensor]]:
    """``draw(step) -> (wave_BCN, roll_BTR)``: crops that depend on the step alone, from the latest shards."""
    load = functools.lru_cache(maxsize=recipe.shards_in_memory + 1)(read)
    frame = codec.config.sample_rate // ROLL_RATE
    frames = int(recipe.seconds * ROLL_RATE)

    def draw(step: int) -> tuple[Tensor, Tensor]:
        newest = step // recipe.steps_per_shard
        choose = torch.Generator().manual_seed(recipe.seed * 10**6 + step)
        waves, rolls = [], []
        for _ in range(recipe.batch):
            back = int(torch.randint(min(newest + 1, recipe.shards_in_memory), (), generator=choose))
            tensors, _ = load(newest - back)
            start = int(torch.randint(len(tensors["roll"]) - frames, (), generator=choose))
            waves.append(tensors["wave"][start * frame : (start + frames) * frame].float() / 32767)
            rolls.append(tensors["roll"][start : start + frames].float())
        gain = 10 ** (torch.rand(len(waves), 1, 1, generator=choose) * 0.5 - 0.4)
        wave_BCN = (torch.stack(waves)[:, None] * gain).clamp(-1, 1)
        return wave_BCN.to(recipe.device), torch.stack(rolls).to(recipe.device)

    return draw


def quicken(recipe: CodecRecipe, codec: SoundStream) -> None:
    """Compile the frame networks where a compiler is at hand: on a CPU it fuses the depthwise convolutions."""
    if recipe.compile and codec.config.kind == "frames" and (recipe.device != "cpu" or shutil.which("g++")):
        for part in (codec.encoder, codec.decoder):
            setattr(part, "trunk", torch.compile(getattr(part, "trunk")))  # noqa: B009, B010 - a method, replaced on this one object


def publish(recipe: CodecRecipe, codec: SoundStream, sound: int, codes: int | None = None) -> None:
    """Write the codec with where it comes from, after ``codes`` steps (None: all) of phase 1 and ``sound`` of 2."""
    card: dict[str, object] = {"name": f"soundstream-{recipe.preset}"}
    card |= {"codes": codes_hash(recipe.codes)[:12]} if recipe.codes else {}
    codes = 0 if recipe.codes else recipe.steps if codes is None else codes
    heard = round((codes + sound) * recipe.batch * recipe.seconds / 3600, 1)
    steps = f"{sound} for the sound" if recipe.codes else f"{codes} for the codes, {sound} for the sound"
    save_soundstream(recipe.out / "codec", codec, steps=steps, hours_heard=heard, **card, **provenance(recipe.device))
