"""Scores of a set as a whole: Fréchet distances, labels, diversity. Each has its controls.

Shapes: N clips or pairs, V labels.
"""

from collections.abc import Iterator

import numpy as np

from toccata.evaluation.case import Case, Score, halves, mean_score, shuffled, stacked
from toccata.evaluation.diversity import vendi_score
from toccata.evaluation.ears import MusicnnJudge
from toccata.evaluation.frechet import distance, frechet_infinity, frechet_per_clip
from toccata.evaluation.intervals import bootstrap
from toccata.evaluation.labels import softmax_kl
from toccata.evaluation.sets import pairs
from toccata.evaluation.table import Table

# Which is the target: published figures have it both ways.
_WAYS = {
    "KL of labels, pairs": (
        softmax_kl,
        "mean KL(reference clip || its generated clip) of {by}'s tags, as audiocraft takes it of PaSST's",
    ),
    "KL of labels, pairs reversed": (
        lambda theirs_NV, ours_NV: softmax_kl(ours_NV, theirs_NV),
        "mean KL(generated clip || its reference clip) of {by}'s tags, as stable-audio-metrics takes it of PaSST's",
    ),
}


def frechet(case: Case) -> Iterator[Score]:
    value = distance(case.table.moments(), case.moments)
    near = 1.96 * case.spread
    controls = _against_reference(case)
    if case.statistics and case.statistics.halves is not None:
        controls = {"reference's halves": case.statistics.halves} | controls
    how = f"Fréchet distance of {case.embedding.recipe['embedding']}'s embeddings; grows as clips get fewer"
    yield Score(
        "Fréchet distance", value, len(case.generated), "lower", how, "", max(value - near, 0), value + near, controls
    )


def _against_reference(case: Case) -> dict[str, float]:
    others = {"noise": case.noise, "silence": case.silence}
    return {name: distance(case.rows(hearing).moments(), case.moments) for name, hearing in others.items()}


def frechet_limit(case: Case) -> Iterator[Score]:
    limit = case.limit
    near = 1.96 * case.spread
    controls = {}
    if case.reference_table and case.reference_table.clips >= 16:
        one, other = halves(case.reference_table.clips, case.rng())
        half = case.reference_table.moments(other)
        controls["reference's halves"] = frechet_infinity(case.reference_table, half, case.rng(), one).value
    controls |= _against_reference(case)
    how = f"FAD-infinity: the distance extrapolated to endlessly many clips (r2 {limit.r2:.2f}); the reference as it is"
    yield Score(
        "FAD-infinity",
        limit.value,
        len(case.generated),
        "lower",
        how,
        "",
        limit.value - near,
        limit.value + near,
        controls,
    )


def frechet_clips(case: Case) -> Iterator[Score]:
    heard = case.per_clip[np.isfinite(case.per_clip)]
    if not len(heard):
        return
    low, high = bootstrap(heard, case.rng(), np.median)
    controls = {}
    if case.reference_table:
        controls["reference"] = float(np.nanmedian(frechet_per_clip(case.reference_table, case.moments)))
    controls["noise"] = float(np.nanmedian(frechet_per_clip(case.rows(case.noise), case.moments)))
    how = "the median clip's Fréchet distance from the whole reference, of clips with two windows or more"
    yield Score("Fréchet distance a clip", float(np.median(heard)), len(heard), "lower", how, "", low, high, controls)


def label_divergence(case: Case) -> Iterator[Score]:
    """Paired where names pair; and of both sets' mean labels."""
    assert case.reference is not None
    judge = case.labeller or MusicnnJudge()
    by = judge.recipe["embedding"]
    target_NV, ours_NV = (stacked(hearing, judge, "logits_V") for hearing in (case.reference, case.generated))
    noise_V, silence_V = (stacked(hearing, judge, "logits_V").mean(0) for hearing in (case.noise, case.silence))
    if found := pairs(case.generated.items, case.reference.items):
        mine, its = np.array(found).T
        for metric, (kl, how) in _WAYS.items():
            controls = {
                "shuffled": shuffled(its, lambda other, kl=kl: kl(target_NV[other], ours_NV[mine]).mean()),
                "noise": float(kl(target_NV[its], noise_V).mean()),
                "silence": float(kl(target_NV[its], silence_V).mean()),
            }
            values = kl(target_NV[its], ours_NV[mine])
            yield mean_score(metric, values, "lower", how.format(by=by), case, "nats", controls)
    one, other = halves(len(target_NV), case.rng())
    whole_V = target_NV.mean(0)
    controls = {
        "reference's halves": float(softmax_kl(target_NV[one].mean(0), target_NV[other].mean(0))) if len(one) else 0.0,
        "noise": float(softmax_kl(whole_V, noise_V)),
        "silence": float(softmax_kl(whole_V, silence_V)),
    }
    draws = case.rng().integers(len(ours_NV), size=(500, len(ours_NV)))
    low, high = np.percentile([softmax_kl(whole_V, ours_NV[drawn].mean(0)) for drawn in draws], (2.5, 97.5))
    how = f"KL(reference || generated) of {by}'s tags, the softmax of each set's mean logits"
    value = float(softmax_kl(whole_V, ours_NV.mean(0)))
    yield Score("KL of labels, sets", value, len(ours_NV), "lower", how, "nats", float(low), float(high), controls)


def diversity(case: Case) -> Iterator[Score]:
    n = min(case.table.clips, case.reference_table.clips if case.reference_table else case.table.clips)

    def different(table: Table) -> float:
        return vendi_score(table.mean(int(clip)) for clip in case.rng().permutation(table.clips)[:n])

    controls = {"reference": different(case.reference_table)} if case.reference_table else {}
    controls |= {"one clip again and again": 1.0}
    how = (
        f"Vendi score: how many different clips {n} of them amount to, by {case.embedding.recipe['embedding']}'s cosine"
    )
    yield Score("diversity", different(case.table), n, "higher", how, "clips", None, None, controls)
