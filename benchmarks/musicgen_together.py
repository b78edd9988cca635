"""Requests of musicgen-mini made together, against the same made one after another: music per second of work."""

import statistics
import time
from collections.abc import Callable, Iterator

from benchmarks.report import Figure, Options, compared
from benchmarks.streaming import PROMPT
from toccata import hub
from toccata.models.musicgen.pipeline import MusicGen, Request

BATCHES = (4, 8)


def together(options: Options, batches: tuple[int, ...] = BATCHES) -> Iterator[Figure]:
    """In turn: one request alone, then each batch; of 12 seconds, codec included."""
    model = hub.load(*([options.model] if options.model else []), device=options.device)
    if not isinstance(model, MusicGen):
        return
    rounds, seconds = (1, 4.0) if options.quick else (3, 12.0)
    for batch in (1, *batches):
        model.generate_together(requests(batch, 1.0))
    times: dict[int, list[float]] = {batch: [] for batch in (1, *batches)}
    for _ in range(rounds):
        times[1].append(timed(lambda: model.generate(PROMPT, seconds, seed=0)))
        for batch in batches:
            times[batch].append(timed(lambda batch=batch: model.generate_together(requests(batch, seconds))))
    alone = seconds / statistics.median(times[1])
    for batch in batches:
        speed = batch * seconds / statistics.median(times[batch])
        yield compared(
            f"music per second of work, {batch} requests together against one", speed, "s/s", alone, n=rounds
        )


def requests(batch: int, seconds: float) -> list[Request]:
    return [Request(PROMPT, seconds, seed) for seed in range(batch)]


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
