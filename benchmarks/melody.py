"""``melody``: does the music take up a given melody, and does the text still choose the instrument?

The melodies are those of held-out band pieces, played alone by an instrument that the text does not name, and real
recordings. The control is every clip against all the other melodies.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import toccata
from benchmarks import recordings
from benchmarks.halves import own_and_others
from benchmarks.held_out import RATE, SECONDS
from benchmarks.prompts import FULL as JUDGED
from benchmarks.prompts import calibrate, features
from benchmarks.report import Figure, Options, compared, note
from toccata.audio.melody import FRAME_RATE, melody_of
from toccata.clip import Clip
from toccata.corpus.band import sheet
from toccata.corpus.render import render
from toccata.evaluation.melody import chroma_cosine

SEED = 30_000
AIM = 0.6
SINGERS = ("flute", "violin", "trumpet", "clarinet", "piano", "nylon guitar", "choir", "cello")
ASKED = {
    "piano": "a calm piano piece", "guitar": "a folk tune on a nylon-string guitar", "strings": "a string quartet",
    "brass": "a brass band", "organ": "a church organ", "woodwind": "a clarinet and a flute",
}  # fmt: skip


@dataclass(frozen=True)
class Tune:
    """A melody as sound, and the family of instruments and the words to ask for."""

    wave_N: np.ndarray
    family: str
    text: str


def run(options: Options) -> Iterator[Figure]:
    """Chroma cosine of reference and output with its control; instrument families as asked for; the same untold."""
    model: Any = toccata.load(*([options.model] if options.model else []), device=options.device)
    count = 16 if options.quick else 50
    sung = tunes(count)
    yield from _followed(model, "other instruments", sung)
    real = [Tune(wave, *list(ASKED.items())[i % len(ASKED)]) for i, wave in enumerate(recordings.songs(count // 2))]
    if real:
        yield from _followed(model, "real recordings", real)
    yield from _chosen(model, sung, 80 if options.quick else JUDGED.calibration)


def tunes(count: int) -> list[Tune]:
    """The first ``count`` held-out pieces with enough melody, played alone."""
    found: list[Tune] = []
    index = 0
    while len(found) < count:
        made = sheet(SEED, index)
        lines = [track for track in made.score.tracks if track.role == "melody" and len(track.notes) > 12]
        index += 1
        if not lines:
            continue
        family, text = list(ASKED.items())[len(found) % len(ASKED)]
        singer = SINGERS[len(found) % len(SINGERS)]
        alone = replace(made.score, tracks=(replace(lines[0], instrument=singer),))
        played = render(alone, np.random.default_rng(index), RATE, made.soundfont).mix_CN.mean(0)
        first = round(max(made.score.seconds_at(lines[0].notes[0].start) - 0.2, 0) * RATE)
        found.append(Tune(played[first : first + int(SECONDS * RATE)].astype(np.float32), family, text))
    return found


def _followed(model: Any, name: str, sung: Sequence[Tune]) -> Iterator[Figure]:
    clips = _clips(model, sung, told=True)
    heard = [melody_of(tune.wave_N[None], RATE).hot_TC.numpy() for tune in sung]
    grid = np.array([[chroma_cosine(hot, FRAME_RATE, clip, RATE) for clip in clips] for hot in heard])
    (own, others), n = own_and_others(grid), len(sung)
    yield compared(f"chroma cosine, {name}", own, "", AIM, others, n)
    ceiling = np.mean([chroma_cosine(hot, FRAME_RATE, t.wave_N, RATE) for hot, t in zip(heard, sung, strict=True)])
    yield Figure(f"chroma cosine, {name}, the references themselves", float(ceiling), "", n=n)


def _chosen(model: Any, sung: Sequence[Tune], calibration: int) -> Iterator[Figure]:
    """How often the family that the text names is heard: with the melody, and without it."""
    probes = calibrate(calibration).families
    judged = [tune for tune in sung if tune.family in probes]
    if not judged:
        note("no family of the prompts can be judged")
        return
    shares = {}
    for told in (True, False):
        clips = _clips(model, judged, told)
        seen = [features(clip)[0] for clip in clips]
        fits = np.array([[probes[tune.family](clip_D) for clip_D in seen] for tune in judged], float)
        shares[told] = own_and_others(fits)
    yield compared("instrument family of the text, with a melody", *_with(shares, judged))


def _with(shares: dict[bool, tuple[float, float]], judged: Sequence[Tune]) -> tuple[float, str, float, float, int]:
    (told, control), (untold, _) = shares[True], shares[False]
    return told, "share", untold, control, len(judged)


def _clips(model: Any, sung: Sequence[Tune], told: bool) -> list[np.ndarray]:
    made = []
    for seed, tune in enumerate(sung):
        melody = {"melody": Clip(tune.wave_N[None], RATE)} if told else {}
        clip = model.generate(tune.text, seconds=len(tune.wave_N) / RATE, seed=seed, **melody)
        made.append(clip.samples.mean(0))
    return made
