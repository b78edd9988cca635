"""Music and its captions, for the recipes that contrast the two: pairs drawn from shards of log-mels, and retrieval.

Shapes: B pairs, T frames, M mel bands, D width.
"""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from toccata.data.mels import MelPiece, pieces
from toccata.data.shards import Shard
from toccata.encoders.joint import similarity
from toccata.encoders.text import TextEncoder
from toccata.errors import InputError
from toccata.recipes.music import MusicRecipe, Source, newest_shard
from toccata.recipes.score_heads import LabelHead, label_targets
from toccata.training.contrastive import cached_backward


@dataclass(frozen=True)
class PairRecipe(MusicRecipe):
    __doc__ = f"""{MusicRecipe.__doc__}
    The manifest's rows have captions. ``text`` is a folder with the tokenizer.json of the presets that read with BERT
    or RoBERTa.

    Each step contrasts ``batch`` pairs, encoded in chunks of ``chunk``. ``hard_share`` of them come in groups of four
    whose captions are alike. ``wrong_share`` of the captions are another piece's, ``tag_share`` of the band's are bare
    tags: found captions are as loose. ``label_weight`` weighs how well the music's embeddings tell the band's labels.
    """

    out: Path = Path("runs/pairs")
    batch: int = 256
    text: Path | None = None
    chunk: int = 32
    hard_share: float = 0.5
    wrong_share: float = 0.02
    tag_share: float = 0.15
    label_weight: float = 0.1


class Pairs(NamedTuple):
    """Pieces and a caption each, and what draws whatever else the step needs."""

    pieces: list[MelPiece]
    captions: list[str]
    choose: torch.Generator


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


def contrasted(
    embed: Callable[[int], Tensor], losses: Callable[[Tensor], tuple[Tensor, Tensor]], count: int, recipe: PairRecipe
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of ``count`` pairs that ``embed(first)`` gives by the chunk (B, music and text, D).

    Returns both ``losses``, of pairs and of labels, and the share of captions whose music is found first.
    """
    chunks = [functools.partial(embed, first) for first in range(0, count, recipe.chunk)]

    def loss(rows_B2D: Tensor) -> Tensor:
        pairs, labels = losses(rows_B2D)
        return pairs + recipe.label_weight * labels

    rows_B2D = cached_backward(chunks, loss)
    with torch.no_grad():
        return *losses(rows_B2D), hits(rows_B2D)


def label_loss(head: LabelHead, heard_BD: Tensor, heard: list[MelPiece]) -> Tensor:
    """How badly embeddings of music tell the labels of its pieces; 0 where a manifest has none."""
    records = [p.record for p in heard]
    if any("genre" not in record for record in records):
        return heard_BD.new_zeros(())
    return head(heard_BD * heard_BD.shape[1] ** 0.5, label_targets(records).to(heard_BD.device))


def hits(rows_B2D: Tensor) -> Tensor:
    """Of embeddings of B pieces and their captions: the share of captions whose music is found first."""
    music_BD, text_BD = rows_B2D.unbind(1)
    first_B = similarity(text_BD, music_BD).argmax(1)
    return (first_B == torch.arange(len(first_B), device=first_B.device)).float().mean()


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
