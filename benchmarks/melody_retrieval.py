"""``melody-retrieval``: is a melody found by its embedding when a voice gives it in another key and at another tempo?

Among 100 held-out melodies of the band, played by an instrument alone and by the whole band; and real recordings among
themselves, moved in key and tempo. The control is to look for the next melody instead of the own one.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import librosa
import numpy as np
import torch
from torch import Tensor

from benchmarks import recordings
from benchmarks.held_out import RATE
from benchmarks.report import Figure, Options, compared, note
from toccata.audio.resample import resample
from toccata.corpus.covers import Cover, covers
from toccata.corpus.humming import VOICES
from toccata.encoders.melody import MelodyEncoder, load_melody
from toccata.hub import BUNDLED

SEED = 30_000
AIM = 0.8
COUNT = 100


def run(options: Options) -> Iterator[Figure]:
    """R@1 of a voice's melodies among instruments' and the band's; the opposite contour; recordings."""
    encoder = load_melody(Path(options.model) if options.model else BUNDLED / "melody-mini", options.device)
    true, false = melodies(COUNT, encoder.config.sample_rate)
    voiced_BD = embedded(encoder, [_by(one, voice=True) for one in true])
    alone_BD = embedded(encoder, [_by(one, voice=False) for one in true])
    opposite_BD = embedded(encoder, [_by(one, voice=False) for one in false])
    yield _found("played by an instrument", voiced_BD, alone_BD)
    yield _found("played by the band", voiced_BD, embedded(encoder, [one[0] for one in true]))
    nearer = (voiced_BD * alone_BD).sum(1) > (voiced_BD * opposite_BD).sum(1)
    yield compared("nearer than the opposite contour", float(nearer.float().mean()), "share", 1.0, 0.5, len(true))
    songs = recordings.songs(20 if options.quick else COUNT)
    if len(songs) > 1:
        yield _found("real recordings, moved in key and tempo", *_recorded(encoder, songs))
    else:
        note("there are no real recordings to look among")


def melodies(count: int, sample_rate: int) -> tuple[list[Sequence[Cover]], list[Sequence[Cover]]]:
    """The first ``count`` held-out melodies in their covers, and the impostor of each."""
    true: list[Sequence[Cover]] = []
    false: list[Sequence[Cover]] = []
    index = 0
    while len(true) < count:
        made = covers(SEED, index, sample_rate)
        index += 1
        if made:
            true.append(made[0])
            false.append(made[1])
    return true, false


def embedded(encoder: MelodyEncoder, found: Sequence[Cover]) -> Tensor:
    """Of each cover the window around the middle note of its melody."""
    rate = encoder.config.sample_rate
    middles = [float(one.onsets_J[len(one.onsets_J) // 2]) for one in found]
    cuts = [_around(torch.from_numpy(one.wave_N), at, encoder, rate) for one, at in zip(found, middles, strict=True)]
    return torch.cat([encoder.embed(cut_N)[:1] for cut_N in cuts])


def _around(wave_N: Tensor, seconds: float, encoder: MelodyEncoder, rate: int) -> Tensor:
    window = round(encoder.config.window_seconds * rate)
    start = max(min(round(seconds * rate) - window // 2, len(wave_N) - window), 0)
    return wave_N[start : start + window]


def _by(melody: Sequence[Cover], voice: bool) -> Cover:
    """The cover that a voice gives, or that an instrument plays alone."""
    return next(one for one in melody if one.sound != "band" and (one.sound in VOICES) == voice)


def _found(where: str, asked_BD: Tensor, there_BD: Tensor) -> Figure:
    """How often the own melody comes first."""
    first_B, own_B = (asked_BD @ there_BD.T).argmax(1), torch.arange(len(asked_BD))
    share, other = ((first_B == right_B).float().mean() for right_B in (own_B, own_B.roll(1)))
    return compared(f"R@1, {where}", float(share), "share", AIM, float(other), len(own_B))


def _recorded(encoder: MelodyEncoder, songs: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Embeddings of the middle of recordings moved in key and tempo, and of the recordings as they are."""
    rate, rng = encoder.config.sample_rate, np.random.default_rng(SEED)
    asked, there = [], []
    for song in songs:
        wave_N = resample(song[None], RATE, rate)[0]
        tempo, steps = float(rng.uniform(0.85, 1.15)), int(rng.choice([-5, -4, -3, -2, 2, 3, 4, 5]))
        moved_N = librosa.effects.pitch_shift(librosa.effects.time_stretch(wave_N, rate=tempo), sr=rate, n_steps=steps)
        for rows, sound_N in ((there, wave_N), (asked, moved_N)):
            sound_N = torch.from_numpy(np.asarray(sound_N, np.float32))
            rows.append(encoder.embed(_around(sound_N, len(sound_N) / rate / 2, encoder, rate))[:1])
    return torch.cat(asked), torch.cat(there)
