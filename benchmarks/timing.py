"""``timing``: does Stable Audio's music end where it was asked to?

A clip is cut to its length and faded, so that is no proof. Here the music is drawn two seconds beyond the length that
the model is told, and heard until it is silent. The control is told another length, in turn, and measured by the first.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.report import Figure, Options, compared
from benchmarks.stable_models import stable_audio
from toccata.models.stable_audio.canvas import empty
from toccata.models.stable_audio.pipeline import Asked, StableAudio
from toccata.prompt import Prompt

LENGTHS = (2.0, 5.0, 9.5, 17.0, 30.0)
BEYOND = 2.0  # seconds
NEAR, SILENCE, AIM = 0.25, -60.0, 0.9  # seconds, dB below the loudest moment, share of clips
PROMPTS = (
    "warm lo-fi piano over a slow boom-bap beat", "techno at 132 bpm with a driving bass", "a string quartet, solemn",
    "funk with slap bass, drums and brass", "solo nylon-string guitar, gentle", "a church organ playing a chorale",
    "80s synth pop with drums", "a jazz trio with brushes",
)  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """How many clips of each length."""

    clips: int


FULL, QUICK = Sizes(16), Sizes(2)


def run(options: Options) -> Iterator[Figure]:
    """For each length: how many clips end within a quarter of a second, how far off the others are, what is left."""
    model = stable_audio("timing", options)
    count = (QUICK if options.quick else FULL).clips
    all_near, all_control = [], []
    for i, length in enumerate(LENGTHS):
        heard = [ends(model, PROMPTS[n % len(PROMPTS)], length, length, n) for n in range(count)]
        other = LENGTHS[(i + 2) % len(LENGTHS)]
        misled = [ends(model, PROMPTS[n % len(PROMPTS)], length, other, n) for n in range(count)]
        near, control = ([abs(one - length) <= NEAR for one, _ in told] for told in (heard, misled))
        all_near, all_control = all_near + near, all_control + control
        yield compared(
            f"ends within {NEAR} s of {length:g} s", np.mean(near).item(), "share", AIM, np.mean(control).item(), count
        )
        off, off_control = (float(np.median([abs(one - length) for one, _ in told])) for told in (heard, misled))
        yield Figure(f"distance of the end from {length:g} s (median)", off, "s", control=off_control, n=count)
        left, left_control = (float(np.median([level for _, level in told])) for told in (heard, misled))
        yield compared(f"level after {length:g} s (median)", left, "dB", SILENCE, left_control, count)
    share, control = float(np.mean(all_near)), float(np.mean(all_control))
    yield compared(f"ends within {NEAR} s, all lengths", share, "share", AIM, control, len(all_near))


@torch.no_grad()
def ends(model: StableAudio, prompt: str, length: float, told: float, seed: int) -> tuple[float, float]:
    """When the music is over, in seconds, and how loud it is after ``length`` + .25 s, in dB of its loudest moment.

    The model is told that the piece lasts ``told`` seconds.
    """
    codec = model.codec
    frames = -int(-(length + BEYOND) * codec.config.frame_rate // 1)
    canvas = empty(frames, model.config.window, codec.config.latent)
    asked = Asked(Prompt(prompt), seed, model.config.sampling)
    latent_TD = torch.cat(list(model.latents(asked, canvas, told, 1.0)))
    wave_BCN = codec.decode(latent_TD[None].to(next(codec.parameters()).device))
    return last_sound(wave_BCN[0].cpu().numpy(), codec.config.sample_rate, length + NEAR)


def last_sound(wave_CN: np.ndarray, rate: int, after: float) -> tuple[float, float]:
    """When the last moment above -60 dB ends, in seconds, and the loudest level after ``after``; dB of the loudest."""
    moment = rate // 50
    count = wave_CN.shape[1] // moment
    power = np.square(wave_CN[:, : count * moment]).reshape(len(wave_CN), count, moment).mean((0, 2))
    level = 10 * np.log10(np.maximum(power, 1e-20) / max(power.max(), 1e-10))
    above = np.flatnonzero(level > SILENCE)
    later = level[int(np.ceil(after * 50)) :]
    return (above[-1] + 1) / 50 if len(above) else 0.0, float(later.max(initial=-200.0))
