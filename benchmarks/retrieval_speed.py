"""How fast embeddings are made, beside transformers' CLAP in the same run, and how fast a known folder is searched."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.report import CACHE, Figure, Options, compared
from toccata.audio.io import write
from toccata.encoders.clap import CLAPConfig, build
from toccata.encoders.words import WordsConfig
from toccata.search.embedder import Embedder
from toccata.search.folder import library

CLIPS = 10_000
RATE = 48_000


def speed(model: Embedder, options: Options) -> Iterator[Figure]:
    """Music per time of this model and of CLAP's published size against transformers; then a folder searched again."""
    yield from throughput(model, 2 if options.quick else 6)
    yield from lengths(model)
    yield from searched_again(model)


def throughput(model: Embedder, rounds: int) -> Iterator[Figure]:
    """Hours of music an hour; CLAP's audio side (HTSAT-tiny, random weights) by toccata and by transformers in turn."""
    clips = [0.1 * torch.randn(10 * RATE, generator=torch.Generator().manual_seed(0))] * 8
    own = _seconds(lambda: model.encoder.embed_audio(clips, RATE), rounds)
    yield Figure("music embedded per time, this model", 80 / own, "h/h", n=rounds)
    ours, theirs = clap_of_toccata(), clap_of_transformers()
    for embed in (ours, theirs):
        embed(clips[:1])
    times = [(_seconds(lambda: ours(clips), 1), _seconds(lambda: theirs(clips), 1)) for _ in range(rounds)]
    mine, peer = (float(np.median(column)) for column in zip(*times, strict=True))
    yield compared("music embedded per time, CLAP, against transformers", 80 / mine, "h/h", 80 / peer, n=rounds)


def clap_of_toccata() -> Callable[[list[torch.Tensor]], object]:
    """From samples to embeddings; the text tower, which is not asked, is the small one."""
    made = build(CLAPConfig(text=WordsConfig())).eval()
    return lambda clips: made.embed_audio(clips, RATE)


def clap_of_transformers() -> Callable[[list[torch.Tensor]], object]:
    """The same by transformers."""
    import transformers

    transformers.logging.set_verbosity_error()
    made = transformers.ClapAudioModelWithProjection(transformers.ClapAudioConfig()).eval()
    features = transformers.ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad")

    @torch.no_grad()
    def embed(clips: list[torch.Tensor]) -> object:
        told = features([clip.numpy() for clip in clips], sampling_rate=RATE, return_tensors="pt")
        return made(**told).audio_embeds

    return embed


def lengths(model: Embedder) -> Iterator[Figure]:
    """Ten minutes of sound against ten seconds: how many times the work."""
    short_N = 0.1 * torch.randn(11 * RATE, generator=torch.Generator().manual_seed(0))
    long_N = short_N.repeat(55)
    model.encoder.embed_audio([short_N], RATE)
    short, long = (_seconds(lambda wave=wave: model.encoder.embed_audio([wave], RATE), 3) for wave in (short_N, long_N))
    yield Figure("time of 10 min against that of 11 s", long / short, "times", control=55.0, n=3)


def searched_again(model: Embedder) -> Iterator[Figure]:
    """10,000 files whose embeddings are known: time to look for what is new and rank them all."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.nn.functional.normalize(torch.randn(CLIPS, model.width, generator=generator), dim=1)
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        folder = Path(name)
        write(folder / "one.wav", np.zeros((1, 10), np.float32), 8000, {})
        for index in range(1, CLIPS):
            (folder / f"{index}.wav").hardlink_to(folder / "one.wav")
        given = iter(rows)
        library(folder, lambda path: next(given), folder / "kept.npz")
        told_D = model.embed_text("slow sad cello")[0]

        def search() -> object:
            return library(folder, _never, folder / "kept.npz").nearest(told_D.cpu(), 10)

        yield compared(f"search of {CLIPS} known files", _seconds(search, 3), "s", 1.0, n=3)


def _never(path: Path) -> torch.Tensor:
    raise AssertionError(f"{path} was heard again")


def _seconds(work: Callable[[], object], rounds: int) -> float:
    """Median time of ``rounds`` runs."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return float(np.median(times))
