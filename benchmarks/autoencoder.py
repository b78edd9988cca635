"""``autoencoder``: what Stable Audio's autoencoder keeps of stereo sound, beside codecs of tokens, each at its rate.

``--model`` may name a model that has one. Moûsai's draws as it decodes: its chance is seed 0's. A codec of one channel
codes each ear by itself. All copies are judged at 44.1 kHz, the autoencoder's own rate.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks import recordings, stereo
from benchmarks.report import Figure, Options, note
from benchmarks.stereo import RATE, image_error, middle, side
from toccata import hub
from toccata.audio.resample import resample
from toccata.codecs.autoencoder import Autoencoder, load_autoencoder
from toccata.codecs.diffusion import DiffusionCodec
from toccata.codecs.encodec import EnCodec, load_encodec
from toccata.codecs.magnitude import FAMILIES, load_magnitude
from toccata.codecs.soundstream import SoundStream, load_soundstream
from toccata.evaluation.distances import log_mel_distance, si_sdr
from toccata.weights import catalogue, checkpoint, store
from toccata.weights.parts import find_part

ENCODECS = ("facebook/encodec_48khz", "facebook/encodec_32khz")


@dataclass(frozen=True)
class Sizes:
    """How many excerpts of each kind."""

    band: int
    songs: int


FULL, QUICK = Sizes(40, 40), Sizes(6, 6)


@dataclass(frozen=True)
class Copier:
    """A codec there and back: wave_CN at 44.1 kHz -> its copy, as long. ``name`` says its rate too."""

    name: str
    copy: Callable[[np.ndarray], np.ndarray]


def run(options: Options) -> Iterator[Figure]:
    """Distances of the middle, the side and the image, and speed, for each codec and each kind of sound."""
    sizes = QUICK if options.quick else FULL
    copiers = [named(options), *others(options.device)]
    band = [excerpt.wave_CN for excerpt in stereo.excerpts(range(sizes.band))]
    for kind, waves in (("band", band), ("songs", recordings.stereo_songs(sizes.songs, RATE))):
        if len(waves) > 1:
            for copier in copiers:
                yield from distances(copier, kind, waves)


def named(options: Options) -> Copier:
    """The one to measure: the one named, that of the model named, or autoencoder-mini."""
    folder = hub.find(options.model or "autoencoder-mini")
    config = checkpoint.read_config(folder)
    if isinstance(config.get("codec"), str):
        folder = find_part(folder, config, "codec")
    magnitudes = checkpoint.read_config(folder).get("family") in FAMILIES
    codec = load_magnitude(folder) if magnitudes else load_autoencoder(folder)
    return copier_of(codec.to(options.device))


def copier_of(codec: Autoencoder | DiffusionCodec) -> Copier:
    """Of a stereo codec without codes."""
    return of_magnitude(codec) if isinstance(codec, DiffusionCodec) else of_autoencoder(codec)


def others(device: str) -> list[Copier]:
    """What ships, and what of EnCodec was pulled."""
    found = [of_soundstream(load_soundstream().to(device))]
    for name in ENCODECS:
        if pulled := store.fetched(catalogue.get(name)):
            found.append(of_encodec(load_encodec(pulled.folder).to(device), name.rpartition("/")[2]))
        else:
            note(f"{name} is left out; to compare with it: toccata models pull {name}")
    return found


def of_autoencoder(codec: Autoencoder) -> Copier:
    config = codec.config
    numbers = round(config.frame_rate * config.latent)
    return Copier(
        f"autoencoder, {numbers} numbers/s",
        _copier(config.sample_rate, 2, lambda w: codec.decode(codec.encode(w)), codec),
    )


def of_magnitude(codec: DiffusionCodec) -> Copier:
    config = codec.config
    numbers = round(config.frame_rate * config.latent)

    def again(wave_BCN: Tensor) -> Tensor:
        return codec.decode(codec.encode(wave_BCN), [torch.Generator().manual_seed(0)])

    name = f"magnitude autoencoder, {numbers} numbers/s, {config.steps} steps"
    return Copier(name, _copier(config.sample_rate, 2, again, codec))


def of_soundstream(codec: SoundStream) -> Copier:
    config = codec.config
    rate = 2 * config.frame_rate * config.levels * math.log2(config.vocabulary) / 1000
    copy = _copier(config.sample_rate, 1, lambda w: codec.decode(codec.encode(w)), codec)
    return Copier(f"soundstream-mini, {rate:.3g} kbit/s", copy)


def of_encodec(codec: EnCodec, name: str) -> Copier:
    config = codec.config
    rate = config.levels * config.level_bandwidth * (2 if config.audio_channels == 1 else 1)
    copy = _copier(config.sample_rate, config.audio_channels, codec.reconstruct, codec)
    return Copier(f"{name}, {rate:.3g} kbit/s", copy)


def _copier(
    rate: int, channels: int, again: Callable[[Tensor], Tensor], codec: torch.nn.Module
) -> Callable[[np.ndarray], np.ndarray]:
    device = next(codec.parameters()).device

    @torch.no_grad()
    def copy(wave_CN: np.ndarray) -> np.ndarray:
        sound_CN = torch.from_numpy(np.ascontiguousarray(resample(wave_CN, RATE, rate))).to(device)
        wave_BCN = sound_CN[None] if channels == 2 else sound_CN[:, None]
        made_CN = again(wave_BCN).flatten(0, 1)[:, : sound_CN.shape[1]].cpu().numpy()
        back_CN = resample(made_CN, rate, RATE)[:, : wave_CN.shape[1]]
        return np.pad(back_CN, ((0, 0), (0, wave_CN.shape[1] - back_CN.shape[1])))

    return copy


def distances(copier: Copier, kind: str, waves: list[np.ndarray]) -> Iterator[Figure]:
    """Controls: every original against the next one; for the image, against its own sum, which has none."""
    began = time.perf_counter()
    copies = [copier.copy(wave) for wave in waves]
    speed = sum(wave.shape[1] for wave in waves) / RATE / (time.perf_counter() - began)
    told, n, shifted = f"{kind}, {copier.name}", len(waves), waves[1:] + waves[:1]
    for name, part in (("middle", middle), ("side", side)):
        mel, control = (statistics.mean(_over(log_mel_of(part), waves, o)) for o in (copies, shifted))
        yield Figure(f"log-mel L1 of the {name}, {told}", mel, "nepers", control=control, n=n)
        sdr = _over(lambda a, b, part=part: si_sdr(part(a), part(b)), waves, copies)
        yield Figure(f"SI-SDR (median) of the {name}, {told}", statistics.median(sdr), "dB", n=n)
    mixed = [np.broadcast_to(middle(wave), wave.shape) for wave in waves]
    image, none = (statistics.mean(_over(lambda a, b: image_error(a, b, RATE), waves, o)) for o in (copies, mixed))
    yield Figure(f"error of the stereo image, {told}", image, "dB", control=none, n=n)
    yield Figure(f"there and back, {told}", speed, "s/s", n=n)


def log_mel_of(part: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray, np.ndarray], float]:
    return lambda a, b: log_mel_distance(part(a), part(b), RATE)


def _over(
    distance: Callable[[np.ndarray, np.ndarray], float], waves: list[np.ndarray], others: list[np.ndarray]
) -> list[float]:
    """Of every pair, both as long as the shorter."""
    lengths = [min(a.shape[1], b.shape[1]) for a, b in zip(waves, others, strict=True)]
    return [distance(a[:, :n], b[:, :n]) for a, b, n in zip(waves, others, lengths, strict=True)]
