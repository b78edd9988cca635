"""Train Stable Audio's autoencoder on the house band in stereo (arXiv 2402.04825 and 2407.14358, section 3.1).

One run: reconstruction of the middle and the sides, a little divergence from a normal, and, in the last
``adversarial_steps``, discriminators. Every step depends on its number alone, so a run goes on exactly.

Shapes: B batch, C channels (2), N samples, T frames, D latent width.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from toccata.codecs import losses
from toccata.codecs.autoencoder import Autoencoder, full, half, kl_divergence, mini, save_autoencoder
from toccata.codecs.discriminators import Discriminators
from toccata.codecs.soundstream import load_soundstream
from toccata.data.shards import made_ahead, shards_read
from toccata.errors import InputError
from toccata.recipes.autoencoder_start import take_over
from toccata.recipes.codec_parts import critic_loss, opinion, same_crops
from toccata.recipes.stereo import band, stereo_crops
from toccata.training.cpu import settle
from toccata.training.log import StepLog
from toccata.training.optim import warmup_stable_decay
from toccata.training.precision import fast_products
from toccata.training.provenance import provenance
from toccata.training.state import load_state, save_state

PRESETS = {"mini": mini, "half": half, "full": full}
CRITIC_SECONDS = 0.4


@dataclass(frozen=True)
class AutoencoderRecipe:
    """What to train and for how long. ``minutes`` ends this run early; the next goes on exactly where it stopped.

    ``divergence`` weighs how far latents may lie from a normal; crops are ``seconds`` long, to whole frames. Where the
    preset works on frames, it begins with what the SoundStream in the folder ``start`` has learnt of mono sound
    (None: with random weights).
    """

    out: Path = Path("runs/autoencoder")
    band: Path = Path("runs/band")
    preset: str = "mini"
    start: Path | None = None
    steps: int = 3_000
    adversarial_steps: int = 2_000
    batch: int = 4
    seconds: float = 2.0
    learning_rate: float = 5e-4
    divergence: float = 1e-4
    steps_per_shard: int = 20
    shards_in_memory: int = 12
    seed: int = 1
    workers: int = 1
    threads: int = 1
    minutes: float = float("inf")
    device: str = "cpu"


def train(recipe: AutoencoderRecipe) -> None:
    """Run what is left of the steps and write the codec to ``recipe.out``/codec."""
    if recipe.preset not in PRESETS:
        raise InputError(f"unknown preset {recipe.preset!r}; choose from {', '.join(PRESETS)}")
    settle(recipe.threads)
    deadline = time.monotonic() + 60 * recipe.minutes
    torch.manual_seed(recipe.seed)
    codec = Autoencoder(PRESETS[recipe.preset]())
    if recipe.start:
        take_over(codec, load_soundstream(recipe.start))
    codec = codec.to(recipe.device)
    judges = Discriminators((2048, 1024, 512), wave_scales=1, channels=16).to(recipe.device)
    maker = torch.optim.AdamW(codec.parameters(), recipe.learning_rate, betas=(0.8, 0.99), weight_decay=1e-3)
    critic = torch.optim.AdamW(judges.parameters(), 3e-4, betas=(0.8, 0.99), weight_decay=1e-3)
    parts = {"codec": codec, "judges": judges, "maker": maker, "critic": critic}
    path, rate = recipe.out / "state.safetensors", codec.config.sample_rate
    step, steps = resumed(path, parts), recipe.steps
    log = StepLog("autoencoder", step, steps, every=20)
    samples = round(recipe.seconds * codec.config.frame_rate) * codec.config.stride
    pieces = band(recipe.band, recipe.seed, rate)
    shards = shards_read(steps, recipe.steps_per_shard)
    with made_ahead(pieces, step // recipe.steps_per_shard, shards, recipe.workers) as read:
        draw = stereo_crops(recipe, samples, read)
        while step < steps:
            wave_BCN = draw(step)
            generator = torch.Generator().manual_seed(recipe.seed * 10**6 + step)
            with fast_products(recipe.device):
                mean_BTD, spread_BTD = (part.float() for part in codec.distribution(wave_BCN))
                noise_BTD = torch.randn(mean_BTD.shape, generator=generator).to(mean_BTD)
                made_BCN = codec.synthesise(mean_BTD + spread_BTD * noise_BTD).float()
            loss, told = heard(made_BCN, wave_BCN, rate)
            told["divergence"] = kl_divergence(mean_BTD, spread_BTD)
            loss = loss + recipe.divergence * told["divergence"]
            if step >= steps - recipe.adversarial_steps:
                crops = same_crops(ears(wave_BCN), ears(made_BCN), generator, round(CRITIC_SECONDS * rate))
                wrong = critic_loss(judges, *crops)
                wrong.backward()
                nn.utils.clip_grad_norm_(judges.parameters(), 1.0)
                critic.step()
                judged = opinion(judges, *crops)
                ramp = min(1.0, (step - steps + recipe.adversarial_steps) / 300)
                loss = loss + ramp * (0.1 * judged["adversarial"] + 0.5 * judged["feature"])
                told |= judged | {"critic": wrong}
            loss.backward()
            nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
            for group in maker.param_groups:
                group["lr"] = recipe.learning_rate * warmup_stable_decay(step, steps, 100, 0.25)
            maker.step()
            maker.zero_grad(set_to_none=True)
            critic.zero_grad(set_to_none=True)
            step += 1
            if log.due(step):
                log(step, **told)
            stopped = time.monotonic() > deadline
            if step % 250 == 0 or step == steps or stopped:
                save_state(path, {"step": step, **{name: part.state_dict() for name, part in parts.items()}})
                publish(recipe, codec, mean_BTD, step)
            if stopped:
                break


def heard(made_BCN: Tensor, wave_BCN: Tensor, rate: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Distances of sum and difference, which hold the stereo image, and half as heavy of left and right."""
    told: dict[str, Tensor] = {}
    total = torch.zeros((), device=made_BCN.device)
    for name, view, weight in (("middle", middle_and_side, 1.0), ("ears", ears, 0.5)):
        made, real = view(made_BCN), view(wave_BCN)
        tonal, partials = losses.tonal_loss(made, real, rate)
        told[name] = losses.mel_loss(made, real, rate) + 0.5 * (tonal + partials)
        total = total + weight * told[name]
    return total, told


def ears(wave_BCN: Tensor) -> Tensor:
    """Left and right, each as a mono sound: (2B, 1, N)."""
    return wave_BCN.flatten(0, 1)[:, None]


def middle_and_side(wave_BCN: Tensor) -> Tensor:
    """Half the sum and half the difference, each as a mono sound: (2B, 1, N)."""
    left, right = wave_BCN.unbind(1)
    return torch.cat([(left + right) / 2, (left - right) / 2])[:, None]


def resumed(path: Path, parts: dict[str, nn.Module | torch.optim.Optimizer]) -> int:
    """Restore ``parts`` from ``path`` and return the step reached; 0 where there is nothing to resume."""
    if not path.exists():
        return 0
    state = load_state(path)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return state["step"]


def publish(recipe: AutoencoderRecipe, codec: Autoencoder, mean_BTD: Tensor, steps: int) -> None:
    """Write the codec with where it comes from; its scale makes the latents of the last batch of unit variance."""
    codec.config = replace(codec.config, scale=round(mean_BTD.std().item(), 4))
    hours = round(steps * recipe.batch * recipe.seconds / 3600, 1)
    card = {"name": f"autoencoder-{recipe.preset}", "steps": steps, "hours_heard": hours}
    save_autoencoder(recipe.out / "codec", codec, **card, **provenance(recipe.device))
