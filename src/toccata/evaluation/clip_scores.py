"""Scores of clips one by one, and their mean: text, melody, tempo, key, length, structure, guards; with controls.

Shapes: N clips or pairs, T frames, C pitch classes.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from toccata.evaluation import alignment, asked
from toccata.evaluation.case import Case, Score, mean_score, shuffled, stacked
from toccata.evaluation.diversity import nearest_others
from toccata.evaluation.ears import ChromaJudge, PulseJudge, SoundJudge
from toccata.evaluation.hearing import Found, Hearing
from toccata.evaluation.judges import Key, tempo_fits
from toccata.evaluation.sets import pairs

NEAR_COPY = 0.95


def text(case: Case) -> Iterator[Score]:
    assert case.joint is not None
    audio_ND, text_ND = case.told(case.generated)
    prompts = [item.prompt for item in case.generated.items]
    controls = {"shuffled": alignment.other_text_fit(audio_ND, text_ND, prompts)}
    for name, hearing in (("noise", case.noise), ("silence", case.silence)):
        sound_D = np.concatenate(list(hearing.found(case.joint, "rows_ND"))).mean(0, keepdims=True)
        controls[name] = float(alignment.text_fit(np.repeat(sound_D, len(text_ND), 0), text_ND).mean())
    if case.reference and (found := pairs(case.generated.items, case.reference.items)):
        rows_ND = [case.reference.of(case.joint, its)["rows_ND"][0] for _, its in found]
        controls["reference"] = float(
            alignment.text_fit(np.stack(rows_ND), text_ND[[mine for mine, _ in found]]).mean()
        )
    how = f"mean cosine of a clip's and its prompt's embedding by {case.joint.recipe['embedding']}"
    yield mean_score(case.joint.kind, case.text_fits, "higher", how, case, "", controls)


def chroma(case: Case) -> Iterator[Score]:
    assert case.reference is not None
    judge, reference = ChromaJudge(), case.reference
    found = pairs(case.generated.items, reference.items)
    mine, its = np.array(found).T

    def of_pairs(others: np.ndarray) -> np.ndarray:
        both = zip(others, mine, strict=True)
        return np.array([_chroma(reference, int(one), case.generated, int(two), judge) for one, two in both])

    controls = {"shuffled": shuffled(its, lambda other: of_pairs(other).mean(), 3)}
    controls["noise"] = float(np.mean([_chroma(reference, int(one), case.noise, 0, judge) for one in its]))
    how = "share of frames whose strongest pitch class is the reference clip's (MusicGen's chroma cosine)"
    yield mean_score("chroma cosine", of_pairs(its), "higher", how, case, "", controls)


def _chroma(reference: Hearing, one: int, other: Hearing, two: int, judge: ChromaJudge) -> float:
    return alignment.chroma_cosine(reference.of(judge, one)["hot_TC"], other.of(judge, two)["hot_TC"])


def tempo(case: Case) -> Iterator[Score]:
    how = "share of clips within 8 % of the tempo asked for, or of half or twice it (librosa's beat tracker)"
    wanted = [asked.tempo_in(item.prompt, item.labels) for item in case.generated.items]
    yield from _fit("tempo as asked", how, case, wanted, lambda heard, bpm: tempo_fits(float(heard["tempo"]), bpm))


def key(case: Case) -> Iterator[Score]:
    how = "share of clips in the key asked for, its relative or a fifth away (Krumhansl's profiles)"
    wanted = [asked.key_in(item.prompt, item.labels) for item in case.generated.items]

    def fits(heard: Found, key: Key) -> bool:
        return Key(int(heard["tonic"]), bool(heard["minor"])).related(key)

    yield from _fit("key as asked", how, case, wanted, fits)


def _fit(metric: str, how: str, case: Case, wanted: list[Any], fits: Callable[[Found, Any], bool]) -> Iterator[Score]:
    """The share of the clips that fit what was asked of them; shuffled, all other clips' wishes at once."""
    judge = PulseJudge()
    told = [(clip, wish) for clip, wish in enumerate(wanted) if wish is not None]
    heard = {clip: case.generated.of(judge, clip) for clip, _ in told}
    values = np.array([float(fits(heard[clip], wish)) for clip, wish in told])
    noise = case.noise.of(judge, 0)
    others = [fits(heard[clip], wish) for clip, _ in told for other, wish in told if other != clip]
    controls = {"shuffled": float(np.mean(others))} if others else {}
    controls["noise"] = float(np.mean([fits(noise, wish) for _, wish in told]))
    if case.reference:
        wishes = dict(told)
        both = [
            (its, wishes[mine]) for mine, its in pairs(case.generated.items, case.reference.items) if mine in wishes
        ]
        if both:
            controls["reference"] = float(np.mean([fits(case.reference.of(judge, its), wish) for its, wish in both]))
    yield mean_score(metric, values, "higher", how, case, "share", controls)


def duration(case: Case) -> Iterator[Score]:
    items = [(clip, item.seconds) for clip, item in enumerate(case.generated.items) if item.seconds]
    sounding = stacked(case.generated, SoundJudge(), "sounding")
    values = np.array([abs(sounding[clip] - seconds) for clip, seconds in items])
    wanted, heard = np.array([seconds for _, seconds in items]), np.array([sounding[clip] for clip, _ in items])
    controls = {
        "shuffled": shuffled(heard, lambda other: np.abs(other - wanted).mean()),
        "silence": float(wanted.mean()),
    }
    how = "mean difference of the seconds asked for from when the clip falls silent (-60 dBFS)"
    yield mean_score("length as asked, error", values, "lower", how, case, "s", controls)


def structure(case: Case) -> Iterator[Score]:
    told = (
        ("comes back", "returns", "", "how well a clip repeats itself 2 s or more later: 1 a loop, 0 noise"),
        ("moves on", "change", "dB", "how far the spectrum of the last quarter is from the first's"),
    )
    for metric, name, unit, how in told:
        yield mean_score(
            metric, stacked(case.generated, SoundJudge(), name), "", how, case, unit, _same_of_others(case, name)
        )


def copies(case: Case) -> Iterator[Score]:
    near, _ = nearest_others(stacked(case.generated, SoundJudge(), "fingerprint"))
    controls = {}
    if case.reference:
        near_reference, _ = nearest_others(stacked(case.reference, SoundJudge(), "fingerprint"))
        controls["reference"] = float((near_reference > NEAR_COPY).mean())
    controls["noise"] = float((nearest_others(stacked(case.noise, SoundJudge(), "fingerprint"))[0] > NEAR_COPY).mean())
    how = f"share of clips that another one is as good as equal to (cosine of 8 s of mel frames above {NEAR_COPY})"
    yield mean_score("near-copies in the set", (near > NEAR_COPY).astype(float), "lower", how, case, "share", controls)


def guards(case: Case) -> Iterator[Score]:
    told = {
        "silent": "more than half of it below -60 dBFS",
        "noise": "flat within third-octave bands",
        "stuck": "for half of it or longer nothing but the loudness changes",
        "clipped": "more than a thousandth of its samples in cut-off peaks",
    }
    for name, how in told.items():
        values = stacked(case.generated, SoundJudge(), name)
        yield mean_score(f"clips that are {name}", values, "lower", how, case, "share", _same_of_others(case, name))


def _same_of_others(case: Case, name: str) -> dict[str, float]:
    others = {"reference": case.reference, "noise": case.noise, "silence": case.silence}
    return {other: float(stacked(hearing, SoundJudge(), name).mean()) for other, hearing in others.items() if hearing}
