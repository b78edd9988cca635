"""Music and its captions, for the recipes that contrast the two: shards of log-mels, pairs drawn from them, retrieval.

Shapes: B pairs, T frames, M mel bands, D width.
"""

import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from toccata.corpus.band import labels, piece
from toccata.corpus.stream import corpus_name
from toccata.data.mels import ManifestRow, MelPiece, manifest_waves, mel_shard, pieces, read_manifest
from toccata.data.shards import Shard, ShardStore
from toccata.encoders.joint import similarity
from toccata.encoders.text import TextEncoder
from toccata.errors import InputError
from toccata.training.optim import EMA

HELD_OUT_SEED = 10_000
PIECES = 32


@dataclass(frozen=True)
class PairRecipe:
    """What to train and for how long. ``minutes`` ends this run early; the next goes on exactly where it stopped.

    ``manifest`` names sound files and captions (see ``data.mels.read_manifest``), whose last ``held_out_shards`` of 32
    files are kept for judging; without one, band pieces are rendered afresh. ``text`` is a folder with the
    tokenizer.json of the presets that read with BERT or RoBERTa.

    Each step contrasts ``batch`` pairs, encoded in chunks of ``chunk``. ``hard_share`` of them come in groups of four
    whose captions are alike. ``wrong_share`` of the captions are another piece's, ``tag_share`` of the band's are bare
    tags: found captions are as loose.
    """

    out: Path = Path("runs/pairs")
    mels: Path = Path("runs/mels")
    manifest: Path | None = None
    text: Path | None = None
    preset: str = "mini"
    steps: int = 3000
    batch: int = 256
    chunk: int = 32
    hard_share: float = 0.5
    wrong_share: float = 0.02
    tag_share: float = 0.15
    muon_rate: float = 3e-3
    adam_rate: float = 2e-3
    ema: float = 0.99
    decay: float = 0.2
    first_shards: int = 20
    steps_per_shard: int = 8
    shards_in_memory: int = 100
    held_out_shards: int = 8
    seed: int = 1
    workers: int = 1
    threads: int = 1
    minutes: float = float("inf")
    device: str = "cpu"


@dataclass(frozen=True)
class Front:
    """How sound at ``sample_rate`` becomes log-mels: ``mels`` maps (1, N) to (1, T, M), ``name`` tells them apart."""

    name: str
    sample_rate: int
    mels: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Source:
    """Where pieces come from: shards to train on, how many there are, and held-out ones."""

    train: ShardStore
    count: int
    held_out: ShardStore
    held_out_shards: tuple[int, ...]

    def held_out_pieces(self) -> list[MelPiece]:
        return [p for index in self.held_out_shards for p in pieces(self.held_out.read(index))]


class Pairs(NamedTuple):
    """Pieces and a caption each, and what draws whatever else the step needs."""

    pieces: list[MelPiece]
    captions: list[str]
    choose: torch.Generator


def shards_of(recipe: PairRecipe, front: Front, words: TextEncoder | None = None) -> Source:
    """Stores of log-mels, apart for each front end: the band's, or the manifest's.

    Raises ``InputError`` for captions of which ``words``, where they are all that the text tower reads, cover nothing.
    """
    if recipe.manifest is None:

        def store(seed: int) -> ShardStore:
            make = functools.partial(band_shard, seed=seed, front=front)
            return ShardStore(recipe.mels / f"{corpus_name(seed)}-{front.name}", make)

        return Source(store(recipe.seed), 10**6, store(HELD_OUT_SEED), tuple(range(recipe.held_out_shards)))
    rows = read_manifest(recipe.manifest)
    for text in (text for row in rows for text in row.captions):
        if words is not None and not words.covers(text):
            raise InputError(f"{recipe.manifest} has a caption without any word that {recipe.preset} knows: {text!r}; "
                             "leave it out, or take a preset that reads with BERT or RoBERTa")  # fmt: skip
    shards = -(-len(rows) // PIECES)
    kept = min(recipe.held_out_shards, shards // 5)
    if not kept:
        raise InputError(f"{recipe.manifest} names {len(rows)} files; give at least {5 * PIECES} to train on")
    name = hashlib.sha256("\n".join(map(_version, rows)).encode()).hexdigest()[:12]
    make = functools.partial(manifest_shard, rows=rows, front=front)
    store_ = ShardStore(recipe.mels / f"manifest-{name}-{front.name}", make)
    return Source(store_, shards - kept, store_, tuple(range(shards - kept, shards)))


def _version(row: ManifestRow) -> str:
    """A row and the state of its file: where either changes, log-mels are made again."""
    with contextlib.suppress(OSError):
        status = row.path.stat()
        return repr((str(row.path.resolve()), status.st_size, status.st_mtime_ns, row.captions))
    return repr((str(row.path), row.captions))


def band_shard(index: int, seed: int, front: Front) -> Shard:
    """Shard ``index`` of the endless corpus ``seed`` as log-mels."""
    return mel_shard(_band(index, seed, front.sample_rate), front.mels)


def _band(index: int, seed: int, sample_rate: int) -> Iterator[tuple[Tensor, dict[str, Any]]]:
    for number in range(index * PIECES, (index + 1) * PIECES):
        made = piece(seed, number, sample_rate=sample_rate)
        yield torch.from_numpy(made.mix_CN.mean(0)).float(), labels(made)


def manifest_shard(index: int, rows: list[ManifestRow], front: Front) -> Shard:
    """The ``index``-th 32 files as log-mels."""
    return mel_shard(manifest_waves(rows[index * PIECES : (index + 1) * PIECES], front.sample_rate), front.mels)


def newest_shard(recipe: PairRecipe, source: Source, step: int) -> int:
    return min(recipe.first_shards + step // recipe.steps_per_shard, source.count - 1)


def sampler(
    recipe: PairRecipe, words: TextEncoder, source: Source, read: Callable[[int], Shard]
) -> Callable[[int], Pairs]:
    """``draw(step)``: depends on the step alone."""
    load = functools.lru_cache(maxsize=recipe.shards_in_memory + 1)(lambda index: pieces(read(index)))

    def draw(step: int) -> Pairs:
        newest = newest_shard(recipe, source, step)
        choose = torch.Generator().manual_seed(recipe.seed * 10**7 + step)
        drawn = apart(one(newest, choose) for _ in range(2 * recipe.batch))
        kept = alike(words, [caption for _, caption in drawn], recipe.batch, recipe.hard_share)
        captions = [drawn[i][1] for i in kept]
        for i in range(len(captions)):
            if float(torch.rand((), generator=choose)) < recipe.wrong_share:
                captions[i] = captions[int(torch.randint(len(captions), (), generator=choose))]
        return Pairs([drawn[i][0] for i in kept], captions, choose)

    def one(newest: int, choose: torch.Generator) -> tuple[MelPiece, str]:
        back = int(torch.randint(min(newest + 1, recipe.shards_in_memory), (), generator=choose))
        shard = load(newest - back)
        found = shard[int(torch.randint(len(shard), (), generator=choose))]
        texts = found.record["captions"]
        text = texts[int(torch.randint(len(texts), (), generator=choose))]["text"]
        bare = float(torch.rand((), generator=choose)) < recipe.tag_share
        return found, (tags(found.record, choose) if bare else "") or text

    return draw


def apart(drawn: Iterable[tuple[MelPiece, str]]) -> list[tuple[MelPiece, str]]:
    """Those whose piece and whose words came up for the first time: the same again would be its own wrong partner."""
    kept: list[tuple[MelPiece, str]] = []
    seen: set[int | str] = set()
    for found, text in drawn:
        if not {id(found), text} & seen:
            kept.append((found, text))
            seen |= {id(found), text}
    return kept


def tags(record: dict[str, Any], choose: torch.Generator) -> str:
    """Up to four of a band piece's labels as bare tags; "" where the record has none."""
    known = [record.get("genre"), *record.get("instruments", ()), *record.get("moods", ())]
    known = [str(tag).replace("_", " ") for tag in known if tag]
    order = torch.randperm(len(known), generator=choose)[:4].tolist()
    return ", ".join(known[i] for i in order)


def alike(words: TextEncoder, captions: list[str], count: int, share: float) -> list[int]:
    """``count`` of the captions: the first ones, but a ``share`` in groups of four that say nearly the same."""
    pooled_BD = meanings(words, captions)
    near = similarity(pooled_BD, pooled_BD).argsort(1, descending=True).tolist()
    chosen: list[int] = []
    taken: set[int] = set()
    for anchor in range(len(captions)):
        if len(chosen) + 4 > share * count:
            break
        group = [i for i in near[anchor] if i not in taken][:4] if anchor not in taken else []
        chosen += group
        taken.update(group)
    return (chosen + [i for i in range(len(captions)) if i not in taken])[:count]


def meanings(words: TextEncoder, captions: list[str]) -> Tensor:
    """(B, D) of unit length, or of zeros for what none of ``words`` covers."""
    said = [i for i, caption in enumerate(captions) if words.covers(caption)]
    pooled_BD = torch.zeros(len(captions), words.config.width)
    if said:
        pooled_BD[said] = words.encode([captions[i] for i in said]).pooled_BD
    return pooled_BD


def matrices(model: nn.Module) -> nn.Module:
    """The parts whose matrices Muon trains: the linear layers within the towers' blocks."""
    inside = (".stages.", ".blocks.", ".layers.")
    return nn.ModuleList(
        module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and any(part in name for part in inside)
    )


def hits(rows: Tensor) -> Tensor:
    """Of embeddings of B pieces and then their B captions: the share of captions whose music is found first."""
    music_BD, text_BD = rows.chunk(2)
    return (similarity(text_BD, music_BD).argmax(1) == torch.arange(len(text_BD), device=rows.device)).float().mean()


def retrieval_line(heard_BD: Tensor, told_BD: Tensor) -> str:
    """How well captions find their music, and music its captions."""
    figures = []
    both = (("music by text", similarity(told_BD, heard_BD)), ("text by music", similarity(heard_BD, told_BD)))
    for name, table in both:
        own = table.diag()[:, None]
        if not own.isfinite().all():
            raise InputError("training went astray: embeddings are no numbers; begin again with lower rates")
        rank = (table > own).sum(1) + ((table == own).sum(1) - 1) // 2  # what is alike comes in any order
        shares = ", ".join(f"R@{k} {(rank < k).float().mean():.2f}" for k in (1, 10))
        figures.append(f"{name} {shares}, median rank {int(rank.median()) + 1}")
    return f"held out, of {len(heard_BD)}: " + "; ".join(figures)


def longest_caption(piece: MelPiece) -> str:
    return max((caption["text"] for caption in piece.record["captions"]), key=len)


@contextlib.contextmanager
def averaged(model: nn.Module, ema: EMA) -> Iterator[None]:
    """Within the scope the model has its averaged weights and is in evaluation mode."""
    own = {name: value.clone() for name, value in model.state_dict().items() if name in ema.shadow}
    model.load_state_dict(ema.shadow, strict=False)
    model.eval()
    try:
        yield
    finally:
        model.load_state_dict(own, strict=False)
        model.train()
