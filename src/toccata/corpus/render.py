"""Plays a score with a SoundFont and mixes it: stereo, in a room, at an even loudness."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from toccata.corpus.instruments import INSTRUMENTS
from toccata.corpus.mixing import Channel, Room, master_gain, place, reverberate
from toccata.corpus.sampler import Sampler, Sound
from toccata.corpus.score import Score, Track
from toccata.corpus.sf2 import SoundFont
from toccata.corpus.soundfonts import soundfont as find
from toccata.errors import InputError

TAIL = 1.5
_FADE = 0.3


@dataclass(frozen=True)
class _Role:
    """A role's usual strip: loudness against the melody's in dB, how far it may be panned, width, room send in dB."""

    loudness: float
    pan: float
    width: float
    send_db: float


_ROLES = {
    "melody": _Role(0.0, 0.15, 0.8, 0.0),
    "counter": _Role(-4.0, 0.5, 0.9, 1.0),
    "chords": _Role(-5.0, 0.4, 1.0, 0.0),
    "arpeggio": _Role(-6.0, 0.55, 1.0, 1.0),
    "pad": _Role(-8.0, 0.2, 1.2, 2.0),
    "bass": _Role(-2.0, 0.0, 0.2, -12.0),
    "drums": _Role(0.0, 0.05, 1.0, -5.0),
}


@dataclass(frozen=True)
class Rendering:
    """What was played: ``mix_CN``, one stem a track, and the room's answer, all float32 (2, samples).

    Stems and room add up to the mix. Stems are named "0 melody flute": index, role, instrument.
    """

    mix_CN: np.ndarray
    stems: dict[str, np.ndarray]
    room_CN: np.ndarray
    sample_rate: int


def render(
    score: Score, rng: np.random.Generator, sample_rate: int = 24000, soundfont: str = "musescore-general"
) -> Rendering:
    """Play and mix ``score``; beat 0 is sample 0, and the last note rings out in up to 1.5 s more.

    ``rng`` draws levels, places, tone, room and loudness (-20 to -16 LUFS). Peaks stay under 0.98. Raises InputError
    for an instrument that isn't one of the band's, a soundfont that can't be had, or a rate outside 8-48 kHz.
    """
    if not 8000 <= sample_rate <= 48000:
        raise InputError(f"A sample rate of {sample_rate} Hz cannot be rendered; choose one from 8000 to 48000.")
    players = _players(soundfont, sample_rate)
    room = Room(rng.uniform(0.25, 1.4), rng.uniform(0, 0.025), rng.uniform(0.2, 0.9))
    wet_db = rng.uniform(-24, -8)
    frames = round((score.seconds + min(TAIL, 0.5 + room.seconds)) * sample_rate)
    strips = [_strip(track, rng) for track in score.tracks]
    stems = [
        place(_play(players, score, track, frames), strip, sample_rate)
        for track, strip in zip(score.tracks, strips, strict=True)
    ]
    send_N = np.zeros(frames, np.float32)
    for stem_CN, strip in zip(stems, strips, strict=True):
        send_N += stem_CN.mean(0) * np.float32(10 ** ((strip.send_db + wet_db) / 20))
    room_CN = reverberate(send_N, room, rng, sample_rate)
    mix_CN = room_CN.copy()
    for stem_CN in stems:
        mix_CN += stem_CN
    gain_N = master_gain(mix_CN, rng.uniform(-20, -16), rng.uniform(1.1, 2.5), int(_FADE * sample_rate), sample_rate)
    names = [f"{i} {track.role} {track.instrument}" for i, track in enumerate(score.tracks)]
    return Rendering(
        mix_CN * gain_N, {name: s * gain_N for name, s in zip(names, stems, strict=True)}, room_CN * gain_N, sample_rate
    )


@lru_cache(maxsize=2)
def _players(name: str, sample_rate: int) -> Sampler:
    """One sampler a font and rate: it keeps the samples that it has decoded."""
    return Sampler(SoundFont(find(name)), sample_rate)


def _strip(track: Track, rng: np.random.Generator) -> Channel:
    usual = _ROLES.get(track.role, _ROLES["counter"])
    return Channel(
        loudness=-20 + usual.loudness + rng.uniform(-2.5, 2.5),
        pan=usual.pan * rng.uniform(-1, 1),
        width=usual.width * rng.uniform(0.7, 1.2),
        treble_db=rng.uniform(-1, 7),
        send_db=usual.send_db + rng.uniform(-3, 3),
    )


def _play(players: Sampler, score: Score, track: Track, frames: int) -> np.ndarray:
    instrument = INSTRUMENTS.get(track.instrument)
    if instrument is None:
        raise InputError(f"{track.instrument!r} is not an instrument of the band; see corpus/instruments.py for those.")
    sounds = [Sound(score.seconds_at(n.start), score.seconds_at(n.duration), n.pitch, n.velocity) for n in track.notes]
    program = track.kit if track.is_drums else instrument.program
    return players.play(sounds, program, frames, drums=track.is_drums)
