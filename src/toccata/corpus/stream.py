"""Shards of freshly rendered band pieces for the recipes: sound, mono or stereo, score rolls and captions."""

import numpy as np
import torch
from torch import Tensor

from toccata.corpus.band import EDITION, labels, piece, score_roll

ROLL_RATE = 25
PIECES, STEREO_PIECES = 32, 8


def corpus_name(seed: int) -> str:
    """The folder of corpus ``seed``, of this edition of the band: shards of another edition are never mixed in."""
    return f"edition-{EDITION}-seed-{seed}"


def audio_shard(
    index: int, seed: int, pieces: int = PIECES, sample_rate: int = 24000
) -> tuple[dict[str, Tensor], list[dict]]:
    """Shard ``index`` of the endless corpus ``seed``: a pure function of both.

    ``wave`` holds the pieces' mono int16 samples end to end, ``roll`` their score rolls at 25 Hz (see
    ``band.score_roll``); each record gives ``samples``, ``frames``, ``captions`` and ``labels`` of one piece.
    """
    waves, rolls, records = [], [], []
    for number in range(index * pieces, (index + 1) * pieces):
        made = piece(seed, number, sample_rate=sample_rate)
        mono = made.mix_CN.mean(0)
        mono = mono[: len(mono) // (sample_rate // ROLL_RATE) * (sample_rate // ROLL_RATE)]
        frames = len(mono) * ROLL_RATE // sample_rate
        waves.append(np.round(mono * 32767).astype(np.int16))
        rolls.append((score_roll(made.score, ROLL_RATE, frames) > 0.5).astype(np.uint8))
        records.append({"samples": len(mono), "frames": frames, **labels(made)})
    tensors = {"wave": torch.from_numpy(np.concatenate(waves)), "roll": torch.from_numpy(np.concatenate(rolls))}
    return tensors, records


def stereo_shard(
    index: int, seed: int, pieces: int = STEREO_PIECES, sample_rate: int = 44100
) -> tuple[dict[str, Tensor], list[dict]]:
    """As ``audio_shard``, in stereo and without rolls: ``wave`` is int16, (samples, 2)."""
    waves, records = [], []
    for number in range(index * pieces, (index + 1) * pieces):
        made = piece(seed, number, sample_rate=sample_rate)
        waves.append(np.round(made.mix_CN.T * 32767).astype(np.int16, order="C"))
        records.append({"samples": len(waves[-1]), **labels(made)})
    return {"wave": torch.from_numpy(np.concatenate(waves))}, records
