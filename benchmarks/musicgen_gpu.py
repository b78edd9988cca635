"""``musicgen-gpu``: decoding steps a second of MusicGen's published sizes on a GPU, beside transformers and audiocraft.

Guidance on, a text of 20 tokens, bf16, the same random weights; a step is decoding, guidance, sampling on the device
and its codes on the host, for every engine alike. The floor is reading the weights and the cache once a step.

Shapes: P pieces, B rows (2 P), K codebooks, S steps, L text tokens, W its width, V vocabulary.
"""

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from benchmarks.musicgen_cpu import (
    GUIDANCE,
    TEXT_TOKENS,
    WARM_UP,
    Begin,
    Decode,
    as_ours,
    faster,
    random_peer,
    random_text,
    started,
    their_begin,
    timed,
    turns,
)
from benchmarks.musicgen_together import together
from benchmarks.report import Figure, Options, compared, note
from benchmarks.streaming import read_bandwidth, step_bytes
from toccata.errors import InputError
from toccata.models.musicgen.config import MusicGenConfig, large, medium, small
from toccata.models.musicgen.network import MusicGenNetwork
from toccata.models.musicgen.stage import Stage, size_for
from toccata.sampling.tokens import TokenSampling, guided, sample_each

SIZES = {"small": small, "medium": medium, "large": large}
AUDIOCRAFT = "audiocraft"
OURS, THEIRS = "toccata", "transformers"


@dataclass(frozen=True)
class Case:
    """``batch`` pieces that have ``at`` steps behind them; ``rounds`` of ``count`` steps are timed."""

    place: str
    batch: int
    at: int
    rounds: int
    count: int

    @property
    def room(self) -> int:
        """Steps that there must be room for: those behind, four tries of ``faster``, a warm-up and the rounds."""
        return max(self.at, 1) + 4 + WARM_UP + self.rounds * self.count

    @property
    def middle(self) -> float:
        """How many steps the cache holds on average while it is timed."""
        return self.room - self.rounds * self.count / 2


def run(options: Options) -> Iterator[Figure]:
    """Every size at batch 1 and 32 from the start, at batch 1 at the window's end too; then the mini's requests."""
    if not options.device.startswith("cuda"):
        hint = "add --device cuda" if torch.cuda.is_available() else "there is none here"
        raise InputError(f"musicgen-gpu measures a GPU; {hint}")
    device = options.device
    bandwidth = copy_bandwidth(device)
    yield Figure("memory bandwidth, copying", bandwidth / 2**30, "GiB/s", n=1)
    yield Figure("memory bandwidth, reading", read_bandwidth(device) / 2**30, "GiB/s", n=1)
    for name in ("small", "large") if options.quick else SIZES:
        config = replace(SIZES[name](), text_width=SIZES[name]().width)
        yield from speeds(name, config, cases(config, options.quick), device, bandwidth)
    yield from together(options, (8, 32))


def cases(config: MusicGenConfig, quick: bool) -> list[Case]:
    rounds, count = (3, 30) if quick else (7, 50)
    end = config.window_frames - (rounds + 1) * count
    start = "from the start"
    return [
        Case(start, 1, 0, rounds, count),
        Case("at the window's end", 1, end, rounds, count),
        Case(start, 32, 0, rounds, count),
    ]


def speeds(
    name: str,
    config: MusicGenConfig,
    wanted: list[Case],
    device: str,
    bandwidth: float,
    dtype: torch.dtype | None = None,
) -> Iterator[Figure]:
    """Ours, against the faster of transformers' caches, against audiocraft, and against the floor."""
    peer = random_peer(config, device).to(dtype or torch.bfloat16)
    network, text_BLW = as_ours(peer, config), random_text(config)
    for case in wanted:
        label = f"{name}, batch {case.batch}, {case.place}"
        theirs = {
            kind: sampled(their_begin(peer, kind, text_BLW, case.batch), case.batch) for kind in ("dynamic", "static")
        }
        begun = {
            THEIRS: faster(theirs, case.at, case.room),
            OURS: started(sampled(staged_begin(network, text_BLW, case.batch), case.batch), case.at, case.room),
        }
        timers: dict[str, Callable[[int], float]] = {engine: partial(timed, decode) for engine, decode in begun.items()}
        if case.at == 0 and (audiocraft := audiocraft_timer(name, case.batch, device)):
            timers[AUDIOCRAFT] = audiocraft
        found = turns(timers, case.rounds, case.count)
        floor = bandwidth / case_bytes(config, case)
        yield from figures(label, found, floor, case)
        del begun, theirs, timers
        gc.collect()  # caches of the next case need the room


def figures(label: str, found: dict[str, float], floor: float, case: Case) -> Iterator[Figure]:
    """``found`` steps a second; audiocraft's line is null where it was not measured."""
    ours, n = found[OURS], case.rounds
    yield compared(f"against transformers, {label}", ours, "steps/s", found[THEIRS], n=n)
    if case.at == 0:
        theirs = found.get(AUDIOCRAFT)
        metric = f"against audiocraft, {label}"
        yield Figure(metric, None, "steps/s") if theirs is None else compared(metric, ours, "steps/s", theirs, n=n)
    yield compared(f"against reading weights and cache, {label}", ours, "steps/s", floor, n=n)


def case_bytes(config: MusicGenConfig, case: Case) -> float:
    """Bytes that a step in bf16 reads: the weights once, and every row's keys and values of steps and text."""
    with torch.device("meta"):
        weights = step_bytes(MusicGenNetwork(config).bfloat16())
    rows, each = 2 * case.batch, 2 * config.width * torch.bfloat16.itemsize
    return weights + config.layers * rows * each * (case.middle + TEXT_TOKENS)


def copy_bandwidth(device: str, mebibytes: int = 1024, repeats: int = 5) -> float:
    """Bytes a second that copying a large tensor moves, read and written, the best of several."""
    source = torch.ones(mebibytes * 2**18, device=device)
    target = torch.empty_like(source)
    times = []
    for _ in range(repeats + 1):
        finish(device)
        began = time.perf_counter()
        target.copy_(source)
        finish(device)
        times.append(time.perf_counter() - began)
    return 2 * source.nbytes / min(times)


def finish(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def staged_begin(network: MusicGenNetwork, text_BLW: Tensor, batch: int) -> Begin:
    """As ``Writer.predicting`` and ``Writer.write_together`` do it on a GPU; logits as ``their_begin``'s."""
    like = network.norm.weight
    with torch.no_grad():
        mask_BL = torch.ones(text_BLW.shape[:2], dtype=torch.bool, device=like.device)
        condition = network.condition(text_BLW.to(like), mask_BL)

    def begin(steps: int) -> Decode:
        conditions = [condition] * batch
        stage = Stage(network, size_for(conditions, steps))
        stage.begin(conditions)
        return lambda steps_KS: stage([steps_KS] * batch).transpose(0, 1).flatten(0, 1)

    return begin


def sampled(begin: Begin, batch: int) -> Begin:
    """With guidance, sampling by a generator for each piece on the device, and the codes on the host."""

    def begin_sampled(steps: int) -> Decode:
        decode, options = begin(steps), TokenSampling()
        generators: list[torch.Generator] = []

        def step(steps_KS: Tensor) -> Tensor:
            logits_BKV = decode(steps_KS)
            if not generators:
                generators.extend(torch.Generator(logits_BKV.device).manual_seed(piece) for piece in range(batch))
            sample_each(guided(logits_BKV.unflatten(0, (2, batch)), GUIDANCE), options, generators).tolist()
            return logits_BKV

        return step

    return begin_sampled


def audiocraft_timer(name: str, batch: int, device: str) -> Callable[[int], float] | None:
    """Times ``LMModel.generate`` of the public weights; None, with a note, where it cannot be had."""
    if find_spec(AUDIOCRAFT) is None:
        note("audiocraft is not installed, so there are no figures against it")
        return None
    try:
        return _timer_of(name, batch, device)
    except Exception as error:  # whatever another project does without its weights or on this device
        note(f"no figures against audiocraft, {name}, batch {batch}: {error}")
        return None


def _timer_of(name: str, batch: int, device: str) -> Callable[[int], float]:
    from importlib import import_module

    model: Any = import_module("audiocraft.models").MusicGen.get_pretrained(f"facebook/musicgen-{name}", device=device)
    attributes: Any = import_module("audiocraft.modules.conditioners").ConditioningAttributes
    told = [attributes(text={"description": "warm lo-fi piano over a slow boom-bap beat"})] * batch

    def seconds(frames: int) -> float:
        finish(device)
        began = time.perf_counter()
        with model.autocast, torch.no_grad():
            model.lm.generate(None, told, max_gen_len=frames, top_k=TokenSampling().top_k, cfg_coef=GUIDANCE)
        finish(device)
        return time.perf_counter() - began

    # Its text encoder runs in the same call: a call of one frame is taken off.
    return lambda count: (seconds(count + 1) - seconds(1)) / count
