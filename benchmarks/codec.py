"""``codec``: what soundstream-mini keeps of held-out band pieces and of real recordings, at 4, 6 and 12 levels."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks import recordings
from benchmarks.held_out import HELD_OUT, RATE, excerpts
from benchmarks.report import Figure, Options, compared
from toccata.codecs.soundstream import SoundStream, load_soundstream
from toccata.evaluation.distances import chroma_correlation, log_mel_distance, si_sdr
from toccata.evaluation.frechet import frechet_distance
from toccata.evaluation.musicnn import load_musicnn
from toccata.nn.rvq import perplexity

LEVELS = (4, 6, 12)


@dataclass(frozen=True)
class Sizes:
    """How many excerpts of each kind; the same number of other band pieces makes the Fréchet floor."""

    band: int
    songs: int
    piano: int


FULL, QUICK = Sizes(60, 40, 20), Sizes(16, 8, 8)


def run(options: Options) -> Iterator[Figure]:
    """Distances at each number of levels, codebook use of each level, and with ``picture`` a comparison to look at."""
    sizes = QUICK if options.quick else FULL
    codec = load_soundstream(Path(options.model) if options.model else None).to(options.device)
    band = [e.wave_N for e in excerpts(HELD_OUT, range(2 * sizes.band))]
    kept, others = band[: sizes.band], band[sizes.band :]
    floor = frechet_distance(embeddings(kept), embeddings(others))
    yield from _distances(codec, "band", kept, floor)
    for name, waves in (("songs", recordings.songs(sizes.songs)), ("piano", recordings.piano(sizes.piano))):
        if len(waves) > 1:
            yield from _distances(codec, name, waves, None)
    yield from _codebook_use(codec, band)
    if options.picture:
        _draw(codec, kept[0], options.picture)


def embeddings(waves: list[np.ndarray]) -> np.ndarray:
    """musicnn's embedding of every three seconds: (N, 200)."""
    judge = load_musicnn()
    return np.concatenate([judge.listen(wave, RATE).embedding_BD for wave in waves])


def _distances(codec: SoundStream, name: str, waves: list[np.ndarray], floor: float | None) -> Iterator[Figure]:
    """Control: every original against the next one instead of its own copy."""
    heard, n = embeddings(waves), len(waves)
    shifted = waves[1:] + waves[:1]
    mel_control = float(np.mean([log_mel_distance(a, b, RATE) for a, b in zip(waves, shifted, strict=True)]))
    sdr_control = float(np.median([si_sdr(a, b) for a, b in zip(waves, shifted, strict=True)]))
    chroma_control = float(np.mean([chroma_correlation(a, b, RATE) for a, b in zip(waves, shifted, strict=True)]))
    for levels in (k for k in LEVELS if k <= codec.config.levels):
        copies = [reconstruct(codec, wave, levels) for wave in waves]
        pairs = list(zip(waves, copies, strict=True))
        mel = float(np.mean([log_mel_distance(a, b, RATE) for a, b in pairs]))
        yield Figure(f"log-mel L1, {name}, {levels} levels", mel, "nepers", control=mel_control, n=n)
        sdr = float(np.median([si_sdr(a, b) for a, b in pairs]))
        yield Figure(f"SI-SDR (median), {name}, {levels} levels", sdr, "dB", control=sdr_control, n=n)
        chroma = float(np.mean([chroma_correlation(a, b, RATE) for a, b in pairs]))
        yield Figure(f"chroma correlation, {name}, {levels} levels", chroma, "", control=chroma_control, n=n)
        distance = frechet_distance(embeddings(copies), heard)
        metric = f"Fréchet distance, {name}, {levels} levels"
        yield Figure(metric, distance, "", n=n) if floor is None else compared(metric, distance, "", floor, n=n)


def reconstruct(codec: SoundStream, wave_N: np.ndarray, levels: int) -> np.ndarray:
    """Encoded with ``levels`` levels and decoded again, as long as it was."""
    wave_BCN = torch.from_numpy(wave_N)[None, None].to(_device(codec))
    return codec.decode(codec.encode(wave_BCN, levels))[0, 0, : len(wave_N)].cpu().numpy()


def _device(codec: SoundStream) -> torch.device:
    return next(codec.parameters()).device


def _codebook_use(codec: SoundStream, waves: list[np.ndarray]) -> Iterator[Figure]:
    """The share of each codebook that occurs, and how evenly: exp(entropy) over its size."""
    rows = [codec.encode(torch.from_numpy(wave)[None, None].to(_device(codec)))[0].cpu() for wave in waves]
    codes_KT, size = torch.cat(rows, dim=1), codec.config.vocabulary
    occurring = [len(codes_T.unique()) / size for codes_T in codes_KT]
    even = [perplexity(codes_T, size) for codes_T in codes_KT]
    n = codes_KT.shape[1]
    for level, (share, evenness) in enumerate(zip(occurring, even, strict=True), start=1):
        yield compared(f"codebook use, level {level}", share, "share", 0.8, n=n)
        yield Figure(f"codebook perplexity over size, level {level}", evenness, "share", n=n)
    yield compared("codebook use, worst level", min(occurring), "share", 0.8, n=n)
    yield Figure("codebook perplexity over size, worst level", min(even), "share", n=n)


def _draw(codec: SoundStream, wave_N: np.ndarray, path: Path) -> None:
    """Mel spectrograms of an original and its copies, below one another."""
    import librosa
    from matplotlib.figure import Figure as Canvas

    versions = {"original": wave_N}
    versions |= {f"{k} levels": reconstruct(codec, wave_N, k) for k in LEVELS if k <= codec.config.levels}
    canvas = Canvas(figsize=(9, 2.1 * len(versions)), layout="constrained")
    axes = np.atleast_1d(canvas.subplots(len(versions), 1, sharex=True))
    for axis, (title, wave) in zip(axes, versions.items(), strict=True):
        mel = librosa.feature.melspectrogram(y=wave, sr=RATE, n_fft=1024, hop_length=256, n_mels=100)
        extent = (0, len(wave) / RATE, 0, 100)
        level = librosa.power_to_db(mel, ref=1.0)
        axis.imshow(level, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=-60, vmax=30)
        axis.set_ylabel(f"{title}\nmel band")
    axes[-1].set_xlabel("seconds")
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, dpi=110)
