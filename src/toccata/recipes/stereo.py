"""The band's pieces in stereo, as recipes read them: crops of sound, or latents of whole pieces.

Shapes: B batch, C channels (2), N samples, T frames, D latent width.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from toccata.corpus.stream import corpus_name, stereo_shard
from toccata.data.shards import Shard, ShardStore
from toccata.weights import checkpoint

MOMENTS, SILENT = 50, -60.0  # a second; dB below the loudest moment


class Drawing(Protocol):
    """What a recipe says of its crops: ``batch`` at once, from the latest shards; see any that has them."""

    @property
    def batch(self) -> int: ...
    @property
    def steps_per_shard(self) -> int: ...
    @property
    def shards_in_memory(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def device(self) -> str: ...


def band(folder: Path, seed: int, sample_rate: int) -> ShardStore:
    """The endless corpus ``seed`` in stereo at ``sample_rate``, rendered into ``folder`` as it is needed."""
    name = f"{corpus_name(seed)}-{sample_rate}-stereo"
    return ShardStore(folder / name, functools.partial(stereo_shard, seed=seed, sample_rate=sample_rate))


def stereo_crops(recipe: Drawing, samples: int, read: Callable[[int], Shard]) -> Callable[[int], Tensor]:
    """``draw(step) -> wave_BCN`` of so many samples: crops that depend on the step alone, from the latest shards."""
    load = functools.lru_cache(maxsize=recipe.shards_in_memory + 1)(read)

    def draw(step: int) -> Tensor:
        newest = step // recipe.steps_per_shard
        choose = torch.Generator().manual_seed(recipe.seed * 10**6 + step)
        waves = []
        for _ in range(recipe.batch):
            back = int(torch.randint(min(newest + 1, recipe.shards_in_memory), (), generator=choose))
            wave_NC = load(newest - back)[0]["wave"]
            start = int(torch.randint(len(wave_NC) - samples + 1, (), generator=choose))
            waves.append(wave_NC[start : start + samples].T.float() / 32767)
        gain = 10 ** (torch.rand(len(waves), 1, 1, generator=choose) * 0.5 - 0.4)
        return (torch.stack(waves) * gain).clamp(-1, 1).to(recipe.device)

    return draw


def latent_store(folder: Path, codec: Path, load: Callable[[Path], Any], seed: int) -> ShardStore:
    """Shards of latents of the endless corpus ``seed``, by the codec that ``load`` opens; their sound is not kept."""
    make = functools.partial(latent_shard, seed=seed, codec=codec, load=load)
    return ShardStore(folder / f"{corpus_name(seed)}-heard-codec-{checkpoint.sha256(codec)[:12]}", make)


def latent_shard(index: int, seed: int, codec: Path, load: Callable[[Path], Any]) -> Shard:
    """Shard ``index`` of corpus ``seed``: ``latent`` (sum of T, D) float16, and records with ``frames``."""
    model = _opened(load, codec)
    rate = model.config.sample_rate
    return encoded(stereo_shard(index, seed, sample_rate=rate), rate, model.encode)


@functools.lru_cache(maxsize=1)
def _opened(load: Callable[[Path], Any], folder: Path) -> Any:
    return load(folder)


def encoded(shard: Shard, sample_rate: int, encode: Callable[[Tensor], Tensor]) -> Shard:
    """A stereo shard's pieces, as long as they are heard, as ``latent`` (sum of T, D) float16; records with ``frames``.

    What is told of a piece's length is then where it is over, not where its file is. ``encode`` maps wave_BCN to
    latent_BTD.
    """
    tensors, records = shard
    pieces = tensors["wave"].split([record["samples"] for record in records])
    waves = [wave_NC.T.float() / 32767 for wave_NC in pieces]
    latents = [encode(wave_CN[None, :, : heard(wave_CN, sample_rate)])[0].half() for wave_CN in waves]
    kept = [{**record, "frames": len(latent)} for record, latent in zip(records, latents, strict=True)]
    return {"latent": torch.cat(latents)}, kept


def heard(wave_CN: Tensor, sample_rate: int) -> int:
    """Samples until the last moment that is within 60 dB of the loudest; all of them where nothing is heard."""
    moment = sample_rate // MOMENTS
    power_M = F.avg_pool1d(wave_CN.square(), moment, ceil_mode=True).mean(0)
    loud_M = power_M > power_M.max() * 10 ** (SILENT / 10)
    last = int(loud_M.nonzero()[-1]) if loud_M.any() else len(loud_M)
    return min((last + 1) * moment, wave_CN.shape[1])
