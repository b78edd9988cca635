"""``prompts``: does generated music fit its prompt, and does it sound like the band?

The judges are others' work: librosa (beat tracker, Krumhansl key) and linear probes on musicnn, calibrated on band
pieces of another seed. Each is asked four times: about band renders with their true labels (the ceiling), about
the same through the codec, about generated clips, and about these against all the other prompts (the control).
How far chance carries the ratio to the ceiling is told beside it.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

import toccata
from benchmarks import stereo
from benchmarks.autoencoder import copier_of
from benchmarks.captions import Case, cases
from benchmarks.clips import generated
from benchmarks.held_out import CALIBRATION, HELD_OUT, RATE, SECONDS, Excerpt, excerpts
from benchmarks.report import Figure, Options, compared, note
from toccata.audio.resample import resample
from toccata.corpus.instruments import FAMILIES
from toccata.evaluation.frechet import frechet_distance
from toccata.evaluation.guards import is_noise, is_silent, is_stuck
from toccata.evaluation.judges import Key, judge_key, judge_tempo, pace_fits, percussion, tempo_fits
from toccata.evaluation.musicnn import load_musicnn
from toccata.evaluation.probe import Probe

SEED = 1000
REFERENCE = 5000  # pieces from here on are compared with, and never asked for
LEAST_SURE = 0.65
FEWEST_NAMED = 8


@dataclass(frozen=True)
class Sizes:
    """How many prompts (and as many reference pieces), and pieces to calibrate the probes on."""

    prompts: int
    calibration: int


FULL, QUICK = Sizes(240, 240), Sizes(40, 80)


@dataclass(frozen=True)
class Heard:
    """What the judges say of one wave: tempo (bpm), key, drums, families; and musicnn's embedding every 3 seconds."""

    tempo: float
    key: Key
    drums: bool
    families: frozenset[str]
    embedding_BD: np.ndarray


@dataclass(frozen=True)
class Probes:
    """Calibrated judges of drums and of families of instruments."""

    drums: Probe
    families: dict[str, Probe]


@dataclass(frozen=True)
class Question:
    """One thing that a case asks for: its metric, the group it is averaged in first, whether what was heard fits."""

    metric: str
    group: str
    fits: Callable[[Heard], bool]


TEMPO = "tempo, within 8 %, octaves allowed"
PACE = "tempo in words, octaves count"
KEY = "key, relative or fifth allowed"
EXACT_KEY = "key, exact"
MODE = "major or minor"
DRUMS = "drums there or not, mean of both"
FAMILY = "instrument family there, of those named"


def run(options: Options) -> Iterator[Figure]:
    """Ceiling, ours and control for each judge; guards; Fréchet distances on musicnn's embedding."""
    sizes = QUICK if options.quick else FULL
    model = toccata.load(*([options.model] if options.model else []), device=options.device)
    probes = calibrate(sizes.calibration)
    asked = cases(sizes.prompts)
    band = [e.wave_N for e in excerpts(HELD_OUT, [case.index for case in asked])]
    ours = list(generated(model, [case.text for case in asked], SECONDS, SEED, options.best_of))
    through = [through_codec(model, wave) for wave in band]
    heard = on_all_cores(partial(listen, probes=probes), [*band, *ours, *through])
    band_heard, ours_heard, through_heard = (heard[k * len(asked) : (k + 1) * len(asked)] for k in range(3))
    yield from verdicts(asked, band_heard, ours_heard, frozenset(probes.families), through_heard)
    yield from by_family(asked, band_heard, ours_heard, frozenset(probes.families))
    yield from guards(ours, band)
    yield from _frechet(band_heard, through_heard, ours_heard)


def features(wave_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A wave as the probes see it, and musicnn's embedding of every three seconds (B, 200)."""
    heard = load_musicnn().listen(wave_N, RATE)
    logits = np.log(heard.tags_BV + 1e-4).mean(0)
    parts = [percussion(wave_N, RATE), logits, heard.embedding_BD.mean(0), heard.embedding_BD.max(0)]
    return np.concatenate(parts), heard.embedding_BD


def on_all_cores(judge: Callable[[np.ndarray], Any], waves: Sequence[np.ndarray]) -> list[Any]:
    """What ``judge`` says of each wave, in their order."""
    cores = len(os.sched_getaffinity(0))
    # Spawned, because a fork of a process that runs threads may hang.
    with multiprocessing.get_context("spawn").Pool(cores, torch.set_num_threads, (1,)) as pool:
        return pool.map(judge, waves, chunksize=4)


def calibrate(count: int) -> Probes:
    """Probes of what plays in the first 12 seconds, from pieces of a seed that nothing else uses."""
    pieces = excerpts(CALIBRATION, range(count))
    seen_ND = np.stack([seen_D for seen_D, _ in on_all_cores(features, [piece.wave_N for piece in pieces])])
    probes = {family: probe for family in FAMILIES if (probe := _probe(family, seen_ND, pieces))}
    if "drums" not in probes:
        raise toccata.ToccataError("the pieces to calibrate on hold too few with or without drums; take more of them")
    return Probes(probes.pop("drums"), probes)


def _probe(family: str, seen_ND: np.ndarray, pieces: Sequence[Excerpt]) -> Probe | None:
    """None, with a note, where the family is too rare or the probe hears it hardly better than by chance."""
    truth = np.array([family in piece.heard for piece in pieces])
    if min(truth.sum(), (~truth).sum()) < 5:
        note(f"too few pieces with or without {family} to calibrate on; it is not judged")
        return None
    probe = Probe(seen_ND, truth)
    judged = probe.accuracy >= LEAST_SURE
    note(f"{family}: balanced accuracy {probe.accuracy:.2f} in cross-validation" + ("" if judged else "; not judged"))
    return probe if judged else None


def listen(wave_N: np.ndarray, probes: Probes) -> Heard:
    """Every judge's verdict on one wave."""
    seen_D, embedding_BD = features(wave_N)
    families = frozenset(family for family, probe in probes.families.items() if probe(seen_D))
    return Heard(judge_tempo(wave_N, RATE), judge_key(wave_N, RATE), probes.drums(seen_D), families, embedding_BD)


def questions(asks: dict[str, Any], judged: frozenset[str]) -> list[Question]:
    """What a case asks that can be judged; ``judged`` are the families that have a probe."""
    found = []
    if "tempo" in asks:
        found.append(Question(TEMPO, "", lambda heard: tempo_fits(heard.tempo, asks["tempo"])))
    if "pace" in asks:
        found.append(Question(PACE, "", lambda heard: pace_fits(heard.tempo, *asks["pace"])))
    if "key" in asks:
        key = Key.of(*asks["key"])
        found.append(Question(KEY, "", lambda heard: heard.key.related(key)))
        found.append(Question(EXACT_KEY, "", lambda heard: heard.key == key))
    if "mode" in asks:
        found.append(Question(MODE, "", lambda heard: heard.key.minor == Key.of(0, asks["mode"]).minor))
    if "drums" in asks:
        found.append(Question(DRUMS, str(asks["drums"]), lambda heard: heard.drums == asks["drums"]))
    for family in sorted(asks.get("families", set()) & judged):
        found.append(Question(FAMILY, "", lambda heard, family=family: family in heard.families))
    return found


def verdicts(
    asked: list[Case], band: list[Heard], ours: list[Heard], judged: frozenset[str], through: list[Heard] | None = None
) -> Iterator[Figure]:
    """One figure a judge: ours, against the ceiling, with the control; then the same of the band ``through`` the codec,
    which is what a perfect model would reach with it."""
    listed = [(i, question) for i, case in enumerate(asked) for question in questions(case.asks, judged)]
    for metric in (TEMPO, PACE, KEY, EXACT_KEY, MODE, DRUMS, FAMILY):
        mine = [(i, question) for i, question in listed if question.metric == metric]
        if not mine:
            note(f"no prompt asks about: {metric}")
            continue
        fits = [[question.fits(heard) for heard in ours] for _, question in mine]
        groups = [question.group for _, question in mine]
        value = _mean(groups, [row[i] for row, (i, _) in zip(fits, mine, strict=True)])
        ceiling = _mean(groups, [question.fits(band[i]) for i, question in mine])
        control = _mean(groups, [_others(row, i) for row, (i, _) in zip(fits, mine, strict=True)])
        yield compared(metric, value, "share", ceiling, control, len(mine))
        right = [(question.fits(ours[i]), question.fits(band[i])) for i, question in mine]
        spread = ratio_spread([i for i, _ in mine], groups, right)
        yield Figure(f"{metric}: the ratio, more or less", spread, "95 % interval", n=len(mine))
        if through:
            kept = _mean(groups, [question.fits(through[i]) for i, question in mine])
            yield compared(f"{metric}: band through the codec", kept, "share", ceiling, n=len(mine))


def by_family(asked: list[Case], band: list[Heard], ours: list[Heard], judged: frozenset[str]) -> Iterator[Figure]:
    """Which families of instruments come through, of those that some prompts name: ours, against the ceiling."""
    for family in sorted(judged):
        named = [i for i, case in enumerate(asked) if family in case.asks.get("families", ())]
        if len(named) >= FEWEST_NAMED:
            value, ceiling = (float(np.mean([family in heard[i].families for i in named])) for heard in (ours, band))
            yield compared(f"{family} there, where named", value, "share", ceiling, n=len(named))


def ratio_spread(prompts: Sequence[int], groups: Sequence[str], right: Sequence[tuple[bool, bool]]) -> float:
    """Half the 95 % interval of (ours / the ceiling), from 2,000 bootstrap draws of the prompts of each group.

    ``right`` says of each question whether ours and the band's own render answer it.
    """
    chance = np.random.default_rng(0)
    shares = np.zeros((2000, 2))
    for group in sorted(set(groups)):
        summed: dict[int, np.ndarray] = {}
        for prompt, its, answers in zip(prompts, groups, right, strict=True):
            if its == group:
                summed[prompt] = summed.get(prompt, np.zeros(3)) + np.array([*answers, 1])
        drawn = np.array(list(summed.values()))[chance.integers(len(summed), size=(2000, len(summed)))].sum(1)
        shares += drawn[:, :2] / drawn[:, 2:]
    low, high = np.percentile(shares[:, 0] / shares[:, 1].clip(1e-9), (2.5, 97.5))
    return float(high - low) / 2


def _others(row: list[bool], own: int) -> float:
    """How often the clips of all other prompts fit: every shuffle of the prompts at once."""
    return (sum(row) - row[own]) / max(len(row) - 1, 1)


def _mean(groups: list[str], values: Sequence[float]) -> float:
    """The mean of the groups' means."""
    parted: dict[str, list[float]] = {}
    for group, value in zip(groups, values, strict=True):
        parted.setdefault(group, []).append(value)
    return float(np.mean([np.mean(part) for part in parted.values()]))


def guards(ours: list[np.ndarray], band: list[np.ndarray]) -> Iterator[Figure]:
    """Shares of clips that are silence, noise or a stuck note; the control is the band's own share."""
    for name, guard in (("silent", is_silent), ("noise", is_noise), ("stuck", is_stuck)):
        share, usual = (float(np.mean([guard(wave, RATE) for wave in waves])) for waves in (ours, band))
        yield compared(f"clips that are {name}", share, "share", 0.01, usual, len(ours))


def _frechet(band: list[Heard], through: list[Heard], ours: list[Heard]) -> Iterator[Figure]:
    """Three sets of equal size against the same other held-out pieces: generated, band, band through the codec."""
    n = len(band)
    others = excerpts(HELD_OUT, range(REFERENCE, REFERENCE + n))
    reference = embedded([other.wave_N for other in others])
    floor = frechet_distance(_joined(band), reference)
    yield Figure("Fréchet distance, band (the floor)", floor, "", n=n)
    kept = frechet_distance(_joined(through), reference)
    yield compared("Fréchet distance, band through the codec", kept, "", floor, n=n)
    yield compared("Fréchet distance, generated", frechet_distance(_joined(ours), reference), "", floor, n=n)


def embedded(waves: Sequence[np.ndarray]) -> np.ndarray:
    """musicnn's embedding of every three seconds of each wave: (B, 200)."""
    return np.concatenate([load_musicnn().listen(wave, RATE).embedding_BD for wave in waves])


def _joined(heard: list[Heard]) -> np.ndarray:
    return np.concatenate([one.embedding_BD for one in heard])


@torch.no_grad()
def through_codec(model: Any, wave_N: np.ndarray) -> np.ndarray:
    """What the model's codec leaves of a wave, of codes with the levels that the model writes."""
    if not hasattr(model.network.config, "codebooks"):
        ears_CN = np.repeat(resample(wave_N[None], RATE, stereo.RATE), 2, axis=0)
        copy_CN = copier_of(model.codec).copy(ears_CN)
        return resample(copy_CN.mean(0, keepdims=True), stereo.RATE, RATE)[0, : len(wave_N)]
    device = next(model.codec.parameters()).device
    codes_BKT = model.codec.encode(torch.from_numpy(wave_N)[None, None].to(device), model.network.config.codebooks)
    return model.codec.decode(codes_BKT)[0, 0, : len(wave_N)].cpu().numpy()
