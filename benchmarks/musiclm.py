"""``musiclm``: does musiclm-mini play what its prompt says, beside musicgen-mini and without its semantic stage?

Prompts, judges and controls are those of ``prompts``. Three more figures of the same clips: the Fréchet distance on
musicnn's embedding, the KL divergence of musicnn's tags from those of the band's own piece (KLD), and the cosine with
the prompt in mulan-mini's space (MuLan cycle consistency, MCC; MusicLM itself is led by that space, MusicGen is not).
Then the structure of clips of a minute, and the speed of each stage. --against names a model that was trained without
a semantic stage.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

import toccata
from benchmarks import prompts
from benchmarks.captions import Case, cases
from benchmarks.clips import generated
from benchmarks.halves import own_and_others, tempo_and_key
from benchmarks.held_out import HELD_OUT, RATE, SECONDS, excerpts
from benchmarks.prompts import REFERENCE, SEED, Heard, embedded, listen, on_all_cores
from benchmarks.report import Figure, Options, compared, note
from benchmarks.streaming import CORES, music_per_second, read_bandwidth, take_cores
from toccata.clip import Clip
from toccata.evaluation.alignment import other_text_fit, text_fit
from toccata.evaluation.ears import MusicnnJudge
from toccata.evaluation.frechet import frechet_distance
from toccata.evaluation.labels import softmax_kl
from toccata.evaluation.structure import frames_of, returns
from toccata.hub import load_embedder
from toccata.models.musiclm.pipeline import MusicLM
from toccata.search.embedder import Embedder

LONG = 60.0  # seconds of a clip whose structure is measured
THIRD = 20.0


@dataclass(frozen=True)
class Sizes:
    """How many prompts, pieces to calibrate the probes on, and clips of a minute."""

    prompts: int
    calibration: int
    long: int


FULL, QUICK = Sizes(100, 240, 8), Sizes(24, 80, 2)


def run(options: Options) -> Iterator[Figure]:
    """A table of all models by all figures, structure, speed."""
    sizes = QUICK if options.quick else FULL
    ours = _musiclm(options.model or "musiclm-mini", options)
    models: dict[str, Any] = {"musiclm": ours}
    if options.against:
        models["without the semantic stage"] = _musiclm(options.against, options)
    else:
        note("no model without a semantic stage was named with --against; the ablation is left out")
    models["musicgen-mini"] = toccata.load("musicgen-mini", device=options.device)
    yield from _prompts(models, sizes)
    for name, model in models.items():
        yield from _named(name, structure(model, sizes.long))
    if options.device == "cpu":
        take_cores(CORES)
    yield from speed(ours, options.device)


def _musiclm(name: str, options: Options) -> MusicLM:
    model: Any = toccata.load(name, device=options.device)
    if not isinstance(model, MusicLM):
        raise toccata.InputError(f"musiclm measures models of the family musiclm; {name} is none")
    return model


def _named(name: str, figures: Iterator[Figure]) -> Iterator[Figure]:
    return (replace(figure, metric=f"{name}: {figure.metric}") for figure in figures)


def _prompts(models: dict[str, Any], sizes: Sizes) -> Iterator[Figure]:
    """The same prompts, seeds and judges for all."""
    probes = prompts.calibrate(sizes.calibration)
    asked = cases(sizes.prompts)
    band = [e.wave_N for e in excerpts(HELD_OUT, [case.index for case in asked])]
    band_heard: list[Heard] = on_all_cores(partial(listen, probes=probes), band)
    others = excerpts(HELD_OUT, range(REFERENCE, REFERENCE + len(asked)))
    reference_BD = embedded([other.wave_N for other in others])
    floor = frechet_distance(np.concatenate([one.embedding_BD for one in band_heard]), reference_BD)
    texts = [case.text for case in asked]
    of_band, judge = tags(band), load_embedder()
    told_ND = judge.embed_text(texts).numpy()
    for name, model in models.items():
        waves = list(generated(model, texts, SECONDS, SEED))
        heard: list[Heard] = on_all_cores(partial(listen, probes=probes), waves)
        yield from _named(name, prompts.verdicts(asked, band_heard, heard, frozenset(probes.families)))
        yield from _named(name, prompts.guards(waves, band))
        distance = frechet_distance(np.concatenate([one.embedding_BD for one in heard]), reference_BD)
        yield compared(f"{name}: Fréchet distance", distance, "", floor, n=len(waves))
        yield divergence(name, of_band, tags(waves))
        yield consistency(name, judge, asked, told_ND, waves, band)


def tags(waves: Sequence[np.ndarray]) -> np.ndarray:
    """musicnn's logits of each wave: (N, 50)."""
    judge = MusicnnJudge()
    return np.stack([judge.hear(Clip(wave[None], RATE))["logits_V"] for wave in waves])


def divergence(name: str, band_NV: np.ndarray, ours_NV: np.ndarray) -> Figure:
    """KL(band's piece || the clip of its caption); the control is the band's next piece."""
    value, control = (float(softmax_kl(one, ours_NV).mean()) for one in (band_NV, np.roll(band_NV, 1, 0)))
    return Figure(f"{name}: KL of musicnn's tags (KLD)", value, "nats", control=control, n=len(ours_NV))


def consistency(
    name: str, judge: Embedder, asked: list[Case], told_ND: np.ndarray, waves: list[np.ndarray], band: list[np.ndarray]
) -> Figure:
    """Mean cosine of clip and prompt; against the band's own pieces, the control all other prompts."""
    ours_ND, band_ND = (judge.embed([Clip(wave[None], RATE) for wave in one]).numpy() for one in (waves, band))
    value, ceiling = (float(text_fit(one, told_ND).mean()) for one in (ours_ND, band_ND))
    control = other_text_fit(ours_ND, told_ND, [case.text for case in asked])
    return compared(f"{name}: MuLan cycle consistency (MCC)", value, "cosine", ceiling, control, len(waves))


def structure(model: Any, count: int) -> Iterator[Figure]:
    """Of clips of a minute: how well they come back to something; the last third against the first."""
    texts = [case.text for case in cases(count)]
    waves = list(generated(model, texts, LONG, SEED))
    back = [returns(frames_of(wave, RATE)) for wave in waves]
    yield Figure("a minute comes back to itself (1 a loop, 0 noise)", float(np.mean(back)), "", n=count)
    third = round(THIRD * RATE)
    first, last = ([wave[part] for wave in waves] for part in (slice(third), slice(-third, None)))
    for name, kept_NN in zip(("tempo", "key"), tempo_and_key(first, last), strict=True):
        own, others = own_and_others(kept_NN)
        yield Figure(f"{name} of the last third is the first's", own, "share", control=others, n=count)


def speed(model: MusicLM, device: str) -> Iterator[Figure]:
    """Music a second of work, and steps a second of each stage against what reading its weights allows."""
    model.generate("warm up", seconds=1, seed=0)
    value = max(music_per_second(model, 10.0, seed) for seed in range(3))
    yield compared("musiclm: music per second of work, after load", value, "s/s", 1.0, n=3)
    bandwidth = read_bandwidth(device)
    for name, stage in model.stages.items():
        network, config = stage.network, stage.network.config
        frames, beside = min(stage.window, 100), config.layout == "beside"
        read = {
            s.name: torch.zeros(1, s.levels, max(s.frames(config.seconds), 1), dtype=torch.int64)
            for s in config.reads
            if s.name != "melody"
        }
        nothing_BKT = torch.zeros(1, config.writes.levels, 0, dtype=torch.int64)
        seconds = []
        for seed in range(3):
            frame = stage.write(read, nothing_BKT, frames, [torch.Generator().manual_seed(seed)])
            next(frame)  # reading what it is told is not what is measured
            started = time.perf_counter()
            made = sum(1 for _ in frame)
            seconds.append((time.perf_counter() - started) / (made * (1 if beside else config.writes.levels)))
        bound = bandwidth / step_bytes(network)
        yield compared(f"musiclm, {name} stage: steps a second of one piece", 1 / min(seconds), "1/s", bound, n=3)


def step_bytes(network: nn.Module) -> int:
    """Bytes of the weights that every step reads: all but the table of embeddings."""
    return sum(tensor.nbytes for name, tensor in network.named_parameters() if not name.startswith("embedding."))
