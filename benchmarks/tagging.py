"""``tagging``: zero-shot tags of real recordings, beside musicnn's tags and what the recordings are known to be."""

from collections.abc import Iterator

import numpy as np
import torch

from benchmarks.held_out import RATE
from benchmarks.recordings import piano, songs
from benchmarks.report import Figure, Options, note
from toccata.evaluation.musicnn import TAGS, load_musicnn
from toccata.hub import load_embedder

KINDS = {
    "instruments": ("guitar", "piano", "strings", "drums", "violin", "flute", "cello", "harp", "harpsichord", "synth"),
    "genres": ("classical", "techno", "electronic", "rock", "ambient", "pop", "new age", "dance", "country", "metal"),
    "moods": ("slow", "fast", "loud", "quiet", "soft", "weird"),
}


def run(options: Options) -> Iterator[Figure]:
    """Agreement with musicnn for each kind of tag, and how often a guitar song is told from a piano."""
    model = load_embedder(*([options.model] if options.model else []), device=options.device)
    count = 16 if options.quick else 48
    band, keys = songs(count), piano(count)
    waves = [*band, *keys]
    if not waves:
        return
    heard_BD = model.encoder.embed_audio([torch.from_numpy(wave).float() for wave in waves], RATE).cpu()
    theirs_BV = np.stack([load_musicnn().listen(wave, RATE).tags_BV.mean(0) for wave in waves])
    for kind, labels in KINDS.items():
        ours_BL = (heard_BD @ model.embed_text([f"{label} music" for label in labels]).cpu().T).numpy()
        told_BL = theirs_BV[:, [TAGS.index(label) for label in labels]]
        value, control = agreement(ours_BL, told_BL)
        metric = f"tags of {kind}, rank correlation with musicnn's over recordings"
        yield Figure(metric, value, "", control=control, n=len(waves))
    if not band or not keys:
        note("only one kind of recording could be fetched; guitars are not told from pianos")
        return
    near_B2 = heard_BD @ model.embed_text(["rock song with electric guitars", "solo piano"]).cpu().T
    right = (near_B2.argmax(1) == torch.tensor([0] * len(band) + [1] * len(keys))).float()
    value = float((right[: len(band)].mean() + right[len(band) :].mean()) / 2)
    yield Figure("guitar songs and piano notes told apart", value, "share", control=0.5, n=len(waves))


def agreement(ours_BL: np.ndarray, theirs_BL: np.ndarray) -> tuple[float, float]:
    """Spearman's correlation of two judges' scores of each label over B recordings, averaged over labels.

    The second figure is the same between different labels: what both make of loud and soft alone.
    """
    ours_BL, theirs_BL = _standard_ranks(ours_BL), _standard_ranks(theirs_BL)
    table_LL = ours_BL.T @ theirs_BL / len(ours_BL)
    L = len(table_LL)
    return float(np.trace(table_LL) / L), float((table_LL.sum() - np.trace(table_LL)) / (L * (L - 1)))


def _standard_ranks(scores_BL: np.ndarray) -> np.ndarray:
    ranks_BL = scores_BL.argsort(0).argsort(0).astype(float)
    return (ranks_BL - ranks_BL.mean(0)) / ranks_BL.std(0)
