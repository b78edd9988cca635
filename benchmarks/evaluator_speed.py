"""``evaluator-speed``: files of 10 s to a Fréchet distance over VGGish, beside frechet-audio-distance in the same run.

Both read the same files and hear with the same network: the peer's published weights where it can fetch them. Where it
is not installed or has no weights, only our own figure is given, with weights drawn at random.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from benchmarks.held_out import HELD_OUT, RATE, excerpts
from benchmarks.prompts import REFERENCE
from benchmarks.report import Figure, Options, compared, note
from toccata.audio import io
from toccata.encoders.vggish import VGGish, VGGishConfig
from toccata.evaluation.ears import VGGishJudge
from toccata.evaluation.frechet import distance
from toccata.evaluation.hearing import listen
from toccata.evaluation.sets import read_set
from toccata.evaluation.table import Table

PEER = "frechet_audio_distance"
SECONDS = 10
FULL, QUICK = 1000, 100  # clips, half of them the reference


def run(options: Options) -> Iterator[Figure]:
    """Clips a second of either, and how far their distances are apart."""
    count = QUICK if options.quick else FULL
    network, theirs = VGGish(VGGishConfig()).eval().to(options.device), peer()
    if theirs:
        network.load_state_dict({name: theirs.model.state_dict()[name] for name in network.state_dict()})
    with tempfile.TemporaryDirectory() as folder:
        sets = written(Path(folder), count)
        ours, seconds = timed(lambda: distance_of(sets, network, Path(folder) / "kept"))
        if not theirs:
            yield Figure("clips of 10 s from files to a Fréchet distance, VGGish", count / seconds, "clips/s", n=count)
            return
        found, peer_seconds = timed(lambda: float(theirs.score(*map(str, sets))))
    metric = "clips of 10 s from files to a Fréchet distance, VGGish, against frechet-audio-distance"
    yield compared(metric, count / seconds, "clips/s", count / peer_seconds, n=count)
    yield compared("Fréchet distance, against frechet-audio-distance's", ours, "", found, n=count)


def peer() -> Any:
    """frechet-audio-distance with VGGish; None, with a note, where it cannot be had."""
    if find_spec(PEER) is None:
        note("frechet-audio-distance is not installed, so there are no figures against it")
        return None
    try:
        return import_module(PEER).FrechetAudioDistance(model_name="vggish", sample_rate=16000)
    except Exception as error:  # whatever another project does without its weights
        note(f"no figures against frechet-audio-distance: {error}")
        return None


def written(folder: Path, count: int) -> tuple[Path, Path]:
    """Two folders of held-out pieces as WAV, half of ``count`` each."""
    sets = folder / "reference", folder / "clips"
    for i, to in enumerate(sets):
        to.mkdir()
        first = REFERENCE + i * count // 2
        for number, excerpt in enumerate(excerpts(HELD_OUT, range(first, first + count // 2))):
            io.write(to / f"{number:04}.wav", excerpt.wave_N[None, : SECONDS * RATE], RATE, {})
    return sets


def distance_of(sets: tuple[Path, Path], network: VGGish, kept: Path) -> float:
    """As ``toccata evaluate`` takes it, with nothing kept from before."""
    judge = VGGishJudge(network, "vggish", "of this run")
    tables = [Table(listen(read_set(path), [judge], kept).found(judge, "rows_ND")) for path in sets]
    return distance(tables[0].moments(), tables[1].moments())


def timed(work: Callable[[], float]) -> tuple[float, float]:
    start = time.perf_counter()
    with torch.inference_mode():
        value = work()
    return value, time.perf_counter() - start
