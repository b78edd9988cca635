"""Begin a stage of MusicLM as that of another model, or with what a MusicGen has learnt of music.

What reads text stays behind in a MusicGen: without a text its cross-attention adds nothing, so the rest is the one that
was trained to go on untold.
"""

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import torch

from toccata.data.meaning import MeaningPiece
from toccata.encoders.melody import SEMITONES
from toccata.errors import InputError
from toccata.models.musicgen.network import MusicGenNetwork
from toccata.models.musiclm.config import StageConfig
from toccata.models.musiclm.network import NEW_HEARD, StageNetwork
from toccata.models.musiclm.pipeline import load_networks

TUNE_HEARD = 1.5
MELODY_HEARD = 3.0  # of its size in the MusicGen, for semantic tokens, which know no melody, speak beside it
C0 = 440 * 2**-4.75
FIRST_HEARD = 0.5  # of what is read, beside codes of unit size: at a tenth it was still not listened to after 250 steps


def as_stage(network: StageNetwork, stage: str, start: Path, tokens: str, melodies: bool, told: bool) -> None:
    """Begin as that ``stage`` of the MusicLM in ``start``, which learnt the same ``tokens``.

    Where this one is told ``melodies``, that one may not have been; where it is ``told`` none in training, all of them
    say as much as none. Raises ``InputError`` where it learnt others, or is built otherwise.
    """
    card, _, known = load_networks(start)
    if not tokens.startswith(card.get("tokens", "?")):  # a melody encoder may be new
        raise InputError(f"the stages in {start} have learnt other encoders' tokens; give those encoders")
    if stage not in known or _but_for_melodies(known[stage].config) != _but_for_melodies(network.config):
        raise InputError(f"{start} has no {stage} stage like this one; leave start out")
    new = {"melody"} if melodies and not card.get("melody") else set()
    network.begin_as(known[stage], new, NEW_HEARD if told else 0.0)


@torch.no_grad()
def hear_as(network: StageNetwork, trained: MusicGenNetwork, low: float) -> None:
    """Let a tune's tokens, semitones above ``low`` Hz, say what the MusicGen ``trained`` was told of its melodies.

    Of a stage that writes the same codes from much the same weights: it then takes a tune up before it has learnt to.
    Raises ``InputError`` where that MusicGen takes no melody, or not beside its codes.
    """
    told = trained.chroma_in
    if told is None or told.in_features != SEMITONES + 1 or told.out_features != network.config.width:
        raise InputError("the MusicGen whose melodies the stage is to hear takes none beside its codes; give another")
    first, rest_D = network.starts["melody"], told.weight[:, SEMITONES]
    lowest = round(SEMITONES * math.log2(low / C0))
    for step in range(SEMITONES):
        heard_D = rest_D + told.weight[:, (lowest + step) % SEMITONES]
        network.embedding.weight[first + step] += MELODY_HEARD * heard_D
    network.embedding.weight[first + SEMITONES] += MELODY_HEARD * rest_D


@torch.no_grad()
def hear_tunes(network: StageNetwork, found: Iterable[MeaningPiece]) -> None:
    """Let each token of a tune begin as the mean of the semantic tokens that sound with it, of these pieces.

    The stage then hears at once which pitch is meant: music costs it more with another's tune before it has learnt
    anything, where it did not listen to random vectors after 250 steps.
    """
    config = network.config
    tune = next(stream for stream in config.reads if stream.name == "melody")
    counts_MV = torch.zeros(tune.vocabulary, config.writes.vocabulary)
    for piece in found:
        assert piece.melody_KW is not None
        place_T = (torch.arange(piece.semantic_KT.shape[1]) * tune.rate / config.writes.rate).long()
        heard_T = piece.melody_KW[0, place_T.clamp(max=piece.melody_KW.shape[1] - 1)].long()
        pairs_T = heard_T * config.writes.vocabulary + piece.semantic_KT[0].long()
        counts_MV += pairs_T.bincount(minlength=counts_MV.numel()).view_as(counts_MV)
    table, first = network.embedding.weight, network.starts[config.writes.name]
    known_VD = table[first : first + config.writes.rows]
    counts_MV = counts_MV.to(known_VD)
    means_MD = counts_MV @ known_VD / counts_MV.sum(1, keepdim=True).clamp(min=1)
    apart_MD = means_MD - counts_MV.sum(0) @ known_VD / counts_MV.sum()
    first = network.starts[tune.name]
    table[first : first + tune.rows] = table[network.untold[tune.name]] + TUNE_HEARD * apart_MD


def _but_for_melodies(config: StageConfig) -> StageConfig:
    return replace(config, reads=tuple(stream for stream in config.reads if stream.name != "melody"))


@torch.no_grad()
def take_over(network: StageNetwork, trained: MusicGenNetwork, same_codes: bool) -> None:
    """The blocks become the first ones of ``trained``; where the stage writes the ``same_codes``, all of it does.

    Such a stage begins as a MusicGen without a prompt, with what it reads added to it at ``FIRST_HEARD`` of its size.
    Raises ``InputError`` where the two are built otherwise.
    """
    mine, its = network.config, trained.config
    alike = (mine.width, mine.heads, mine.inner, mine.gated, mine.positions, mine.layout)
    if alike != (its.width, its.heads, 4 * its.width, False, its.positions, "beside") or its.pattern != "delay":
        raise InputError("the MusicGen to start from is built otherwise than this stage; take one such as "
                         "musicgen-mini for the preset mini, or leave start out")  # fmt: skip
    if mine.layers > its.layers:
        raise InputError(f"the MusicGen to start from has {its.layers} blocks, fewer than the stage's {mine.layers}")
    for block, known in zip(network.blocks, trained.blocks, strict=False):
        for name in ("norm_self", "attention", "norm_inner", "up", "down"):
            getattr(block, name).load_state_dict(getattr(known, name).state_dict())
    if not same_codes:
        return
    if (mine.writes.levels, mine.writes.vocabulary, mine.layers) != (its.codebooks, its.vocabulary, its.layers):
        raise InputError("the MusicGen to start from writes other codes than this stage, or has more blocks")
    network.norm.load_state_dict(trained.norm.state_dict())
    network.heads.weight.copy_(trained.heads.weight)
    tables_KVD = torch.stack([table.get_parameter("weight") for table in trained.embeddings])
    rows_VD, first = network.embedding.weight, network.starts[mine.writes.name]
    rows_VD *= FIRST_HEARD
    rows_VD[list(network.untold.values())] = 0.0
    rows_VD[first : first + mine.writes.rows] = tables_KVD[:, :-1].flatten(0, 1)
    rows_VD[network.begin] = tables_KVD[:, -1].mean(0)
