"""``timing``: does Stable Audio's music end where it was asked to, and does it begin and end as music does?

A clip is cut to its length and faded, so that is no proof. Here the music is drawn two seconds beyond the length that
the model is told, and heard until it is silent; silence beyond the end, which ``generate`` keeps for models with a
``rest``, is left out too. What clips are like as they are generated is told after that. The control is told another
length, in turn, and measured by the first. ``--against`` is a model that was trained without being told (``--set
timed=false``), which is asked for the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.held_out import HELD_OUT
from benchmarks.report import Figure, Options, compared
from benchmarks.stable_models import stable_audio
from benchmarks.stereo import RATE
from toccata.corpus.band import piece
from toccata.models.stable_audio.canvas import empty
from toccata.models.stable_audio.pipeline import Asked, StableAudio
from toccata.prompt import Prompt
from toccata.recipes.stereo import MOMENTS, SILENT

LENGTHS = (2.0, 5.0, 9.5, 17.0, 30.0)
BEYOND = 2.0  # seconds
NEAR, AIM = 0.25, 0.95  # seconds, share of clips
LOUD = -20.0  # dB below the loudest moment
PROMPTS = (
    "warm lo-fi piano over a slow boom-bap beat", "techno at 132 bpm with a driving bass", "a string quartet, solemn",
    "funk with slap bass, drums and brass", "solo nylon-string guitar, gentle", "a church organ playing a chorale",
    "80s synth pop with drums", "a jazz trio with brushes",
)  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """How many clips of each length, and band pieces that their ends are compared with."""

    clips: int
    band: int


FULL, QUICK = Sizes(6, 40), Sizes(2, 2)


@dataclass(frozen=True)
class Ends:
    """Of a wave, in seconds: when it is first and last heard, and how long it fades.

    ``left`` is how loud it is where it should be over, in dB of its loudest moment.
    """

    start: float
    end: float
    fade: float
    left: float


def run(options: Options) -> Iterator[Figure]:
    """For each length: how many clips end within a quarter of a second, how far off the others are, what is left."""
    model, sizes = stable_audio("timing", options), QUICK if options.quick else FULL
    without = stable_audio("timing", options, options.against) if options.against else None
    count, near = sizes.clips, {"told": [], "misled": [], "untold": []}
    for i, length in enumerate(LENGTHS):
        other = LENGTHS[(i + 2) % len(LENGTHS)]
        told, misled = (_ends_of(model, length, said, count) for said in (length, other))
        near["told"] += (hits := [_near(one, length) for one in told])
        near["misled"] += (missed := [_near(one, length) for one in misled])
        if without is not None:
            near["untold"] += [_near(one, length) for one in _ends_of(without, length, length, count)]
        yield compared(
            f"ends within {NEAR} s of {length:g} s", np.mean(hits).item(), "share", AIM, np.mean(missed).item(), count
        )
        off, off_control = (float(np.median([abs(one.end - length) for one in some])) for some in (told, misled))
        yield Figure(f"distance of the end from {length:g} s (median)", off, "s", control=off_control, n=count)
        left, left_control = (float(np.median([one.left for one in some])) for some in (told, misled))
        yield compared(f"level after {length:g} s (median)", left, "dB", SILENT, left_control, count)
    share, control = (float(np.mean(near[name])) for name in ("told", "misled"))
    yield compared(f"ends within {NEAR} s, all lengths", share, "share", AIM, control, len(near["told"]))
    if near["untold"]:
        untold = float(np.mean(near["untold"]))
        yield compared(f"ends within {NEAR} s, trained without timing", untold, "share", share, n=len(near["untold"]))
    clips = [
        (length, ends_of(model.generate(PROMPTS[n % len(PROMPTS)], length, n).samples, model.sample_rate, length))
        for length in LENGTHS
        for n in range(count)
    ]
    exact = float(np.mean([_near(one, length) for length, one in clips]))
    yield compared(f"as generated: ends within {NEAR} s, all lengths", exact, "share", AIM, n=len(clips))
    yield from beginnings_and_ends([one for _, one in clips], sizes.band)


def beginnings_and_ends(heard: Sequence[Ends], band: int) -> Iterator[Figure]:
    """Of clips as generated, against the band's own pieces, whole."""
    pieces = (piece(HELD_OUT, index, sample_rate=RATE).mix_CN for index in range(band))
    theirs = [ends_of(wave_CN, RATE, wave_CN.shape[1] / RATE) for wave_CN in pieces]
    for name, part in (("before the first sound", "start"), ("of fading at the end", "fade")):
        own, usual = (float(np.median([getattr(one, part) for one in some])) for some in (heard, theirs))
        yield compared(f"as generated: seconds {name} (median)", own, "s", usual, n=len(heard))


def _ends_of(model: StableAudio, length: float, told: float, count: int) -> list[Ends]:
    return [ends(model, PROMPTS[n % len(PROMPTS)], length, told, n) for n in range(count)]


def _near(one: Ends, length: float) -> bool:
    return abs(one.end - length) <= NEAR


@torch.no_grad()
def ends(model: StableAudio, prompt: str, length: float, told: float, seed: int) -> Ends:
    """Of music that the model is told lasts ``told`` seconds, when it should last ``length``."""
    codec = model.codec
    frames = -int(-(length + BEYOND) * codec.config.frame_rate // 1)
    canvas = empty(frames, model.config.window, codec.config.latent)
    asked = Asked(Prompt(prompt), seed, model.config.sampling)
    latent_TD = torch.cat(list(model.latents(asked, canvas, told, 1.0)))
    wave_BCN = codec.decode(latent_TD[None].to(next(codec.parameters()).device))
    return ends_of(wave_BCN[0].cpu().numpy(), codec.config.sample_rate, length + NEAR)


def ends_of(wave_CN: np.ndarray, rate: int, after: float) -> Ends:
    """It sounds where it is above -60 dB of its loudest moment, and fades from the last one above -20 dB.

    ``after`` is in seconds.
    """
    moment = rate // MOMENTS
    count = wave_CN.shape[1] // moment
    power = np.square(wave_CN[:, : count * moment]).reshape(len(wave_CN), count, moment).mean((0, 2))
    level = 10 * np.log10(np.maximum(power, 1e-20) / max(power.max(), 1e-10))
    above, loud = (np.flatnonzero(level > least) for least in (SILENT, LOUD))
    left = float(level[int(np.ceil(after * MOMENTS)) :].max(initial=-200.0))
    if not len(loud):
        return Ends(count / MOMENTS, 0.0, 0.0, left)
    return Ends(above[0] / MOMENTS, (above[-1] + 1) / MOMENTS, (above[-1] - loud[-1]) / MOMENTS, left)
