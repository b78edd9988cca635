"""``mousai``: Moûsai at its published size, random weights: how long its two models take, and the whole.

The paper (arXiv 2301.11757) makes 43 s of music in 49 s on its GPU. T5 is left out, whose part of the work is small:
any text is the same random tokens. ``--model`` names a trained one instead: how far it compresses, how fast it plays.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

import toccata
from benchmarks.load import clocks, foreign
from benchmarks.report import Figure, Options, compared
from benchmarks.streaming import CORES, PROMPT, take_cores
from toccata.codecs import magnitude, magnitude_config
from toccata.encoders.features import TextFeatures
from toccata.errors import InputError
from toccata.models.mousai import config as mousai
from toccata.models.mousai.network import MousaiNetwork
from toccata.models.mousai.pipeline import Mousai

PAPER_SECONDS, PAPER_MUSIC, TRAINED = 49.0, 43.0, 10.0
TEXT_TOKENS = 20


@dataclass(frozen=True)
class Sizes:
    """``frames`` of latents a step, ``rounds`` that are timed, and how long a whole clip is, in how many ``steps``.

    ``decoding`` are the decoder's steps.
    """

    frames: int
    rounds: int
    seconds: float
    steps: int
    decoding: int


GPU, CPU, QUICK = Sizes(2048, 5, PAPER_MUSIC, 100, 20), Sizes(480, 3, 10.0, 4, 2), Sizes(64, 2, 1.0, 2, 1)


class RandomText:
    """Stands in for T5."""

    def __init__(self, width: int) -> None:
        self.width = width

    def encode(self, texts: list[str]) -> TextFeatures:
        tokens_BLD = torch.randn(1, TEXT_TOKENS, self.width, generator=torch.Generator().manual_seed(0))
        rows = tokens_BLD.expand(len(texts), -1, -1)
        return TextFeatures(rows, torch.ones(rows.shape[:2], dtype=torch.bool), rows[:, 0])


def run(options: Options) -> Iterator[Figure]:
    """A step of the text model with guidance, a step of the decoder, and a clip from words to sound."""
    gpu = options.device.startswith("cuda")
    if options.device == "cpu":
        take_cores(CORES)
    sizes = QUICK if options.quick else GPU if gpu else CPU
    if options.model:
        yield from trained(_mousai(options), sizes)
        return
    before, model = clocks(), built(options.device)
    rate = model.codec.config.frame_rate
    for name, step in (("the text model", text_step(model, sizes)), ("the decoder", decoder_step(model, sizes))):
        found = statistics.median(timed(step, options.device) for _ in range(sizes.rounds))
        yield Figure(f"a step of {name}, {sizes.frames / rate:.1f} s of music", found, "s", n=sizes.rounds)
    yield whole(model, options.device, sizes)
    yield foreign(before)


def _mousai(options: Options) -> Mousai:
    model: Any = toccata.load(options.model or "", device=options.device)
    if not isinstance(model, Mousai):
        raise InputError(f"mousai measures models of the family mousai; {options.model} is none")
    return model


def trained(model: Mousai, sizes: Sizes) -> Iterator[Figure]:
    """As it is run when nothing is said of it; the paper compresses 64 times."""
    codec = model.codec.config
    fewer = codec.sample_rate * codec.audio_channels / (codec.frame_rate * codec.latent)
    yield compared("samples a latent value", fewer, "times", 64, n=1)
    times = [timed(lambda seed=seed: model.generate(PROMPT, TRAINED, seed), "cpu") for seed in range(sizes.rounds)]
    yield Figure("music per second of work", TRAINED / statistics.median(times), "s/s", n=sizes.rounds)


def built(device: str) -> Mousai:
    """Both models with random weights; on a GPU the text model computes in bfloat16."""
    torch.manual_seed(0)
    with torch.device(device):
        network, codec = MousaiNetwork(mousai.full()), magnitude.build(magnitude_config.full())
    dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
    text = RandomText(network.config.text_width)
    return Mousai(network.to(dtype).requires_grad_(False), codec.requires_grad_(False), text)


def text_step(model: Mousai, sizes: Sizes) -> Callable[[], Any]:
    network, tokens_BLW = model.network, model.network.told_by(model.text, "any", None, True)
    latent_BDT = torch.randn(2, model.codec.config.latent, sizes.frames).to(tokens_BLW)
    return lambda: network(latent_BDT, torch.full((2,), 0.5, device=latent_BDT.device), tokens_BLW)


def decoder_step(model: Mousai, sizes: Sizes) -> Callable[[], Any]:
    config, device = model.codec.config, next(model.codec.parameters()).device
    wave_BCN = torch.randn(1, config.audio_channels, sizes.frames * config.stride, device=device)
    latent_BDT = torch.randn(1, config.latent, sizes.frames, device=device)
    return lambda: model.codec.velocity(wave_BCN, torch.full((1,), 0.5, device=device), latent_BDT)


def timed(work: Callable[[], Any], device: str) -> float:
    """Seconds, until the device is done."""
    started = time.perf_counter()
    with torch.no_grad():
        work()
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def whole(model: Mousai, device: str, sizes: Sizes) -> Figure:
    """Words to sound; with the paper's length and steps, against what the paper took."""
    model.codec.config = replace(model.codec.config, steps=sizes.decoding)
    seconds = timed(lambda: model.generate("any", sizes.seconds, 1, steps=sizes.steps), device)
    name = f"{sizes.seconds:g} s of music, {sizes.steps} steps and {sizes.decoding} of the decoder"
    if sizes == GPU:
        return compared(f"{name}, against the paper's GPU", seconds, "s", PAPER_SECONDS, n=1)
    return Figure(name, seconds, "s", n=1)
