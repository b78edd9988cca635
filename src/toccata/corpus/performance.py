"""The performance: swing, human timing and touch, and clean note ends."""

import numpy as np

from toccata.corpus.patterns import RawNote
from toccata.corpus.score import Note

_MAX_DRIFT = 0.011


def swing_beat(beat: float, ratio: float, cell: float) -> float:
    """Move a straight time so that the middle of each ``cell`` (1 beat: swung eighths) falls at ``ratio`` of it."""
    if ratio == 0.5:
        return beat
    whole, part = divmod(beat / cell + 1e-9, 1.0)
    bent = part * 2 * ratio if part < 0.5 else ratio + (part - 0.5) * 2 * (1 - ratio)
    return (whole + bent) * cell


def perform(
    rng: np.random.Generator, raw: list[RawNote], loudness: float, looseness: float, seconds_per_beat: float,
    beats: float, swing: tuple[float, float],
) -> tuple[Note, ...]:  # fmt: skip
    """Play raw notes: ``loudness`` is the velocity at level 1, ``looseness`` the spread of timing in seconds.

    ``swing`` is (ratio, cell in beats). Notes are sorted, kept within [0, beats], and two of one pitch never overlap.
    """
    if not raw:
        return ()
    drift = np.clip(rng.normal(0, 1, len(raw)) * looseness, -_MAX_DRIFT, _MAX_DRIFT) / seconds_per_beat
    touch = np.clip(rng.normal(0, 0.035, len(raw)), -0.1, 0.1) + 1
    played = []
    for note, late, force in zip(raw, drift.tolist(), touch.tolist(), strict=True):
        start = max(0.0, swing_beat(note.start, *swing) + late)
        end = min(beats, swing_beat(note.start + note.beats, *swing) + late)
        velocity = int(min(127, max(8, loudness * note.level * force)))
        if end - start > 0.02:
            played.append((start, end, note.pitch, velocity))
    return _separate(sorted(played))


def _separate(played: list[tuple[float, float, int, int]]) -> tuple[Note, ...]:
    """End a note before the next of the same pitch; drop one that is struck twice at once."""
    following: dict[int, float] = {}
    notes = []
    for start, end, pitch, velocity in reversed(played):
        limit = following.get(pitch, end)
        end = min(end, limit)
        if end - start < 0.04:
            continue
        following[pitch] = start
        notes.append(Note(start, end - start, pitch, velocity))
    notes.reverse()
    return tuple(notes)
