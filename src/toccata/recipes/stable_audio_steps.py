"""Distil a trained Stable Audio to a few steps without guidance: ``sampling/distillation.py`` on its own music.

The student begins as its teacher. It learns to reach in one step what the guided teacher reaches in several, from the
noisy latents of training pieces; its configuration says how few steps it takes, and by which solver.

Shapes: B batch, T frames, D latent width.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from toccata.data.shards import made_ahead, shards_read
from toccata.errors import InputError
from toccata.models.stable_audio.config import StableAudioConfig
from toccata.models.stable_audio.network import StableAudioNetwork
from toccata.models.stable_audio.pipeline import StableAudio, load_pipeline, save_stable_audio
from toccata.recipes.stable_audio import HELD_OUT_SEED, Batch, StableAudioRecipe, latent_store, sampler
from toccata.sampling.diffusion import PATHS, Denoise, ddim, denoiser, even, guided, heun
from toccata.sampling.distillation import leap, leap_from
from toccata.training.cpu import settle
from toccata.training.log import StepLog
from toccata.training.optim import EMA, Optimisers, averaged, split_matrices, warmup_stable_decay
from toccata.training.precision import fast_products
from toccata.training.provenance import provenance
from toccata.training.run import remember, resume
from toccata.weights import checkpoint
from toccata.weights.parts import find_part, inherit

MOST_LEAPS = 8
HELD_OUT_CROPS = 8


@dataclass(frozen=True)
class StableAudioStepsRecipe:
    """What to distil and for how long. ``minutes`` ends this run early; the next goes on exactly where it stopped.

    ``teacher`` is the folder of a model that ``toccata train stable-audio`` wrote; its codec and its text encoder serve
    the student too. The student takes ``leaps`` steps, 1 to 8; a leap is what the teacher does in ``walk`` steps of two
    calls, with its own guidance. A share ``strays`` of the leaps begins anywhere, as sampling from a recording does.
    The rows of a batch are at ``times`` different times. Latents are drawn as in the recipe stable-audio.
    """

    out: Path = Path("runs/stable-audio-steps")
    teacher: Path = Path("runs/stable-audio/model")
    latents: Path = Path("runs/latents")
    leaps: int = 8
    walk: int = 3
    strays: float = 0.25
    steps: int = 4_000
    batch: int = 16
    times: int = 4
    muon_rate: float = 5e-4
    adam_rate: float = 2e-4
    ema: float = 0.998
    decay: float = 0.2
    first_shards: int = 40
    steps_per_shard: int = 16
    shards_in_memory: int = 400
    seed: int = 1
    workers: int = 1
    threads: int = 1
    minutes: float = float("inf")
    device: str = "cpu"


def train(recipe: StableAudioStepsRecipe) -> None:
    """Distil, or go on distilling, and write the averaged weights to ``recipe.out``/model."""
    if not 1 <= recipe.leaps <= MOST_LEAPS:
        raise InputError(f"a student takes 1 to {MOST_LEAPS} steps, not {recipe.leaps}; choose other leaps")
    settle(recipe.threads)
    deadline = time.monotonic() + 60 * recipe.minutes
    teacher = load_pipeline(recipe.teacher, recipe.device, "fp32")
    teacher.network.requires_grad_(False)
    music, card = parts_of(recipe, teacher)
    config = config_of(teacher.config, recipe.leaps)
    student = StableAudioNetwork(config).to(recipe.device)
    student.load_state_dict(teacher.network.state_dict())
    ema = EMA(student, recipe.ema)
    optimisers = Optimisers(*split_matrices(student.blocks, student), recipe.muon_rate, recipe.adam_rate)
    path = recipe.out / "state.safetensors"
    step = resume(path, student, ema, optimisers)
    log = StepLog("stable-audio-steps", step, recipe.steps, every=25)
    others = latent_store(music, HELD_OUT_SEED).read
    held_out = sampler(replace(music, first_shards=1), config, teacher.codec, others, HELD_OUT_CROPS)(0)
    judge = examine(teacher, read(held_out, teacher, recipe.device), recipe)
    count = shards_read(recipe.steps, recipe.steps_per_shard, recipe.first_shards)
    with made_ahead(latent_store(music, recipe.seed), 0, count, recipe.workers, recipe.first_shards + 20) as shards:
        draw = sampler(music, config, teacher.codec, shards, recipe.batch)
        while step < recipe.steps:
            told, chance = read(draw(step), teacher, recipe.device), Generator().manual_seed(recipe.seed * 10**7 + step)
            with fast_products(recipe.device):
                loss = loss_of(student, teacher, told, recipe, chance)
            loss.backward()
            nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimisers.step(warmup_stable_decay(step, recipe.steps, 100, recipe.decay))
            ema.update(student)
            step += 1
            if log.due(step):
                log(step, loss=loss)
            last = step == recipe.steps or time.monotonic() > deadline
            if step % 250 == 0 or last:
                with averaged(student, ema):
                    print(judge(student), flush=True)
                    save_stable_audio(recipe.out / "model", student, **card, steps=step, **provenance(recipe.device))
                remember(path, student, ema, optimisers, step)
            if last:
                break


def parts_of(recipe: StableAudioStepsRecipe, teacher: StableAudio) -> tuple[StableAudioRecipe, dict[str, object]]:
    """How latents are drawn, and what the student's card says; the teacher's parts now lie beside the student too."""
    said = checkpoint.read_config(recipe.teacher)
    codec = inherit(recipe.teacher, said, "codec", recipe.out / "autoencoder")
    text = inherit(recipe.teacher, said, "text", recipe.out / "text")
    music = StableAudioRecipe(
        latents=recipe.latents, codec=find_part(recipe.teacher, said, "codec"), first_shards=recipe.first_shards,
        steps_per_shard=recipe.steps_per_shard, shards_in_memory=recipe.shards_in_memory, seed=recipe.seed,
    )  # fmt: skip
    name = f"{teacher.name}-{recipe.leaps}-steps"
    return music, {"name": name, "codec": codec, "text": text, "teacher": teacher.weights_sha256}


def config_of(teacher: StableAudioConfig, leaps: int) -> StableAudioConfig:
    """The student's: as its teacher's, but few steps from time to time, and no guidance."""
    sampling = replace(teacher.sampling, solver="ddim", schedule="even", steps=leaps, guidance=1.0, rescale=0.0)
    return replace(teacher, sampling=sampling, condition_dropout=0.0)


class Told(NamedTuple):
    """Pieces with what the network is told of each, on its device."""

    latent_BTD: Tensor
    tokens_BLD: Tensor
    mask_BL: Tensor
    timing: dict[str, Tensor]

    def rows(self, rows_B: Tensor) -> "Told":
        timing = {name: seconds_B[rows_B] for name, seconds_B in self.timing.items()}
        return Told(self.latent_BTD[rows_B], self.tokens_BLD[rows_B], self.mask_BL[rows_B], timing)


def read(batch: Batch, teacher: StableAudio, device: str) -> Told:
    """The batch with its captions read."""
    words = teacher.text.encode(batch.captions)
    timing = {name: batch.timing[name].to(device) for name in teacher.config.timing}
    return Told(batch.latent_BTD.to(device), words.tokens_BLD.to(device), words.mask_BL.to(device), timing)


def loss_of(
    student: StableAudioNetwork, teacher: StableAudio, told: Told, recipe: StableAudioStepsRecipe, chance: Generator
) -> Tensor:
    """The mean squared error of the velocities that make leaps; ``chance`` decides times and noise."""
    path, rows, errors = PATHS[teacher.config.objective], len(told.latent_BTD), []
    for some_B in torch.arange(rows).split(-(-rows // recipe.times)):
        part = told.rows(some_B)
        place, stray = torch.rand(2, generator=chance).tolist()
        t, after = leap_from(even(recipe.leaps), place, stray < recipe.strays)
        noise_BTD = torch.randn(part.latent_BTD.shape, generator=chance).to(part.latent_BTD)
        x_BTD = path.mix(part.latent_BTD, noise_BTD, t)
        with torch.no_grad():
            wanted_BTD = leap(taught(teacher, part), x_BTD, t, after, path, recipe.walk)
        made_BTD = predicting(student, part)(x_BTD, t)
        errors.append((made_BTD - wanted_BTD).square().mean() * len(some_B) / rows)
    return torch.stack(errors).sum()


def predicting(network: StableAudioNetwork, told: Told, kept: bool = True) -> Denoise:
    """The velocities of ``network``, which hears of texts only where they are ``kept``."""
    kept_B = torch.full((len(told.mask_BL),), kept, device=told.mask_BL.device)
    condition = network.condition(told.tokens_BLD, told.mask_BL, told.timing, kept_B)
    return lambda x, t: network(x, torch.full((len(x),), t).to(x), condition).float()


def taught(teacher: StableAudio, told: Told) -> Denoise:
    """The sound that the teacher expects, with its guidance."""
    sampling, path = teacher.config.sampling, PATHS[teacher.config.objective]
    with_text, without = (predicting(teacher.network, told, kept) for kept in (True, False))
    return denoiser(lambda x, t: guided(with_text(x, t), without(x, t), sampling.guidance, sampling.rescale), path)


@torch.no_grad()
def examine(teacher: StableAudio, told: Told, recipe: StableAudioStepsRecipe) -> Callable[[StableAudioNetwork], str]:
    """How far from where its teacher lands in many steps a student does, and, beside it, the teacher in as few."""
    path, few = PATHS[teacher.config.objective], even(recipe.leaps)
    noise_BTD = torch.randn(told.latent_BTD.shape, generator=Generator().manual_seed(0)).to(told.latent_BTD)
    many_BTD = heun(taught(teacher, told), noise_BTD, even(recipe.leaps * recipe.walk), path)

    def far(denoise: Denoise) -> float:
        return (ddim(denoise, noise_BTD, few, path) - many_BTD).square().mean().sqrt().item()

    own = far(taught(teacher, told))

    @torch.no_grad()
    def judge(student: StableAudioNetwork) -> str:
        off = far(denoiser(predicting(student, told), path))
        return f"held out: {off:.4f} from where the teacher lands in many steps, the teacher in as few {own:.4f}"

    return judge
