"""What a precision does to the music itself: Fréchet distance of the same prompts and seeds from held-out pieces."""

from collections.abc import Iterator

import toccata
from benchmarks.captions import cases
from benchmarks.clips import generated
from benchmarks.held_out import HELD_OUT, RATE, excerpts
from benchmarks.prompts import REFERENCE, embedded
from benchmarks.report import Figure, compared
from toccata.evaluation.frechet import frechet_distance
from toccata.hub import DEFAULT

SECONDS = 10.0
SEED, OTHER_SEED = 12_000, 13_000


def distances(count: int, precisions: tuple[str, ...], name: str | None = None) -> Iterator[Figure]:
    """Each against fp32, on ``count`` clips; the control is fp32 with other seeds."""
    name = name or DEFAULT
    prompts = [case.text for case in cases(count)]
    others = excerpts(HELD_OUT, range(REFERENCE, REFERENCE + count))
    reference_BD = embedded([other.wave_N[: int(SECONDS * RATE)] for other in others])

    def distance(precision: str, seed: int) -> float:
        model = toccata.load(name, "cpu", precision)
        return frechet_distance(embedded(list(generated(model, prompts, SECONDS, seed))), reference_BD)

    full, control = distance("fp32", SEED), distance("fp32", OTHER_SEED)
    for precision in precisions:
        value = full if precision == "fp32" else distance(precision, SEED)
        yield compared(f"Fréchet distance, {name}, {precision}", value, "", full, control, count)
