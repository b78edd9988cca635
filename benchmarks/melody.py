"""``melody``: does the music take up a given melody, and does the text still choose the instrument?

The melodies are those of held-out band pieces, played alone by an instrument that the text does not name, and real
recordings. The control is every clip against all the other melodies. A model that takes a tune up in a key of its own
(MusicLM) is heard in the best of twelve keys; so is the control.
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
from toccata.evaluation.melody import chroma_cosine, chroma_of, follows

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
    clips = [_clip(model, tune, seed) for seed, tune in enumerate(sung)]
    yield from _followed("other instruments", sung, clips)
    real = [Tune(wave, *list(ASKED.items())[i % len(ASKED)]) for i, wave in enumerate(recordings.songs(count // 2))]
    if real:
        made = [_clip(model, tune, seed) for seed, tune in enumerate(real)]
        yield from _followed("real recordings", real, made)
    yield from _chosen(model, sung, clips, 80 if options.quick else JUDGED.calibration)


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


def _followed(name: str, sung: Sequence[Tune], clips: Sequence[np.ndarray]) -> Iterator[Figure]:
    heard = [melody_of(tune.wave_N[None], RATE).hot_TC.numpy() for tune in sung]
    played, n = [chroma_of(clip, RATE) for clip in clips], len(sung)
    for any_key, where in ((False, ""), (True, ", in the best of 12 keys")):
        grid = np.array([[follows(hot, FRAME_RATE, one, RATE, any_key) for one in played] for hot in heard])
        own, others = own_and_others(grid)
        metric = f"chroma cosine, {name}{where}"
        yield Figure(metric, own, "", control=others, n=n) if any_key else compared(metric, own, "", AIM, others, n)
    ceiling = np.mean([chroma_cosine(hot, FRAME_RATE, t.wave_N, RATE) for hot, t in zip(heard, sung, strict=True)])
    yield Figure(f"chroma cosine, {name}, the references themselves", float(ceiling), "", n=n)


def _chosen(model: Any, sung: Sequence[Tune], clips: Sequence[np.ndarray], calibration: int) -> Iterator[Figure]:
    """How often the family that the text names is heard: with the melody, and without it."""
    probes = calibrate(calibration).families
    judged = [i for i, tune in enumerate(sung) if tune.family in probes]
    if not judged:
        note("no family of the prompts can be judged")
        return
    shares = {}
    untold = {i: _clip(model, sung[i], i, told=False) for i in judged}
    for told, made in ((True, dict(enumerate(clips))), (False, untold)):
        seen = [features(made[i])[0] for i in judged]
        fits = np.array([[probes[sung[i].family](clip_D) for clip_D in seen] for i in judged], float)
        shares[told] = own_and_others(fits)
    yield compared("instrument family of the text, with a melody", *_with(shares, len(judged)))


def _with(shares: dict[bool, tuple[float, float]], count: int) -> tuple[float, str, float, float, int]:
    (told, control), (untold, _) = shares[True], shares[False]
    return told, "share", untold, control, count


def _clip(model: Any, tune: Tune, seed: int, told: bool = True) -> np.ndarray:
    """What the model makes of the text, and of the tune if it is told it; in mono."""
    melody = {"melody": Clip(tune.wave_N[None], RATE)} if told else {}
    return model.generate(tune.text, seconds=len(tune.wave_N) / RATE, seed=seed, **melody).samples.mean(0)
