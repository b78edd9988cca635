"""``audiolm``: does a continuation keep the tempo, the key and the instruments of what it goes on from, without words?

Of band pieces and of real recordings the model hears the first half. The ceiling is how they go on themselves, the
control every continuation against all the other beginnings.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import toccata
from benchmarks import recordings
from benchmarks.halves import grid, own_and_others, same_tempo
from benchmarks.held_out import HELD_OUT, RATE, excerpts
from benchmarks.prompts import FULL as JUDGED
from benchmarks.prompts import QUICK as JUDGED_QUICKLY
from benchmarks.prompts import Heard, calibrate, listen, on_all_cores
from benchmarks.report import Figure, Options, compared, note
from toccata.audio.resample import resample
from toccata.clip import Clip

SECONDS = 12.0  # of what is heard, and of what is new


@dataclass(frozen=True)
class Sizes:
    """How many band pieces, real recordings, and pieces to calibrate the judges of instruments on."""

    band: int
    real: int
    calibration: int


FULL, QUICK = Sizes(50, 25, JUDGED.calibration), Sizes(16, 8, JUDGED_QUICKLY.calibration)


def run(options: Options) -> Iterator[Figure]:
    """Tempo, key, instruments and sound of what is new, beside the ceiling and the control."""
    sizes = QUICK if options.quick else FULL
    model: Any = toccata.load(options.model or "musiclm-mini", device=options.device)
    probes = calibrate(sizes.calibration)
    whole = {"band": band(sizes.band), "real recordings": recordings.songs(sizes.real, 2 * SECONDS)}
    for name, waves in whole.items():
        if len(waves) < 2:
            continue
        half = len(waves[0]) // 2
        begun, own = [wave[:half] for wave in waves], [wave[half:] for wave in waves]
        new = [continued(model, wave, seed) for seed, wave in enumerate(begun)]
        heard = on_all_cores(partial(listen, probes=probes), [*begun, *own, *new])
        yield from kept(name, *(heard[k * len(waves) : (k + 1) * len(waves)] for k in range(3)))


def band(count: int) -> list[np.ndarray]:
    """The first ``count`` held-out pieces that last as long as is asked for."""
    found: list[np.ndarray] = []
    first, batch = 0, max(count // 4, 2)
    while len(found) < count:
        pieces = excerpts(HELD_OUT, range(first, first + batch), 2 * SECONDS)
        found += [one.wave_N for one in pieces if one.labels["seconds"] > 2 * SECONDS + 1]
        first += batch
    return found[:count]


def continued(model: Any, wave_N: np.ndarray, seed: int) -> np.ndarray:
    """Only what is new of the continuation, as the judges hear it."""
    clip = model.continue_(Clip(wave_N[None], RATE), seconds=SECONDS, seed=seed)
    new_1N = clip.samples.mean(0, keepdims=True)[:, -round(SECONDS * clip.sample_rate) :]
    return resample(new_1N, clip.sample_rate, RATE)[0]


def kept(name: str, begun: Sequence[Heard], own: Sequence[Heard], new: Sequence[Heard]) -> Iterator[Figure]:
    """How like the beginnings what is new is; against how like them their own second halves are."""
    questions: dict[str, tuple[str, Callable[[Heard, Heard], float]]] = {
        "tempo kept, within 8 %, octaves allowed": ("share", lambda a, b: same_tempo(a.tempo, b.tempo)),
        "key kept, relative or fifth allowed": ("share", lambda a, b: a.key.related(b.key)),
        "drums there or not, as before": ("share", lambda a, b: a.drums == b.drums),
        "instrument families in common": ("of all heard", alike),
        "cosine of musicnn's embedding": ("", near),
    }
    for metric, (unit, fits) in questions.items():
        asked = [i for i, one in enumerate(begun) if one.tempo > 0] if "tempo" in metric else list(range(len(begun)))
        if len(asked) < 2:
            note(f"{name}: too few beginnings with a beat")
            continue
        own_share, others = own_and_others(grid([begun[i] for i in asked], [new[i] for i in asked], fits))
        ceiling = float(np.mean([float(fits(begun[i], own[i])) for i in asked]))
        yield compared(f"{name}: {metric}", own_share, unit, ceiling, others, len(asked))


def alike(one: Heard, other: Heard) -> float:
    """Families heard in both over families heard in either; 1 where none is heard at all."""
    either = one.families | other.families
    return len(one.families & other.families) / len(either) if either else 1.0


def near(one: Heard, other: Heard) -> float:
    """Cosine of the mean embeddings."""
    a, b = one.embedding_BD.mean(0), other.embedding_BD.mean(0)
    return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-9))
