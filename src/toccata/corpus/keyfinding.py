"""Finds the key and mode of music from its notes."""

from collections.abc import Iterable

from toccata.corpus.score import MODES
from toccata.corpus.theory import MINOR_MODES, SCALES

# How much a degree of the scale (tonic first) speaks for a key when it sounds, and a note outside the scale against it.
_DEGREES = (2.2, 0.7, 1.3, 0.8, 1.6, 0.7, 0.6)
_OUTSIDE = -2.0
_LEADING = 0.3
_LAST = 0.6
_WRITTEN = 0.5
_COMMON = {"major": 0.06, "minor": 0.04, "lydian": -0.12, "phrygian": -0.12}


def find_key(
    weights: Iterable[float], last: int | None = None, modes: tuple[str, ...] = MODES,
    written: tuple[int, str] | None = None,
) -> tuple[int, str]:  # fmt: skip
    """The likeliest (tonic 0-11, mode) of music whose twelve pitch classes sound for ``weights`` (any unit, not all 0).

    ``last`` is the pitch class on which it comes to rest, ``written`` a key in which someone wrote it down.
    """
    classes = tuple(weights)
    keys = [(tonic, mode) for tonic in range(12) for mode in modes]
    return max(keys, key=lambda key: _fit(classes, *key, last) + (_WRITTEN if key == written else 0.0))


def share_in_scale(weights: Iterable[float], tonic: int, mode: str) -> float:
    """The share (0-1) of what sounds that belongs to a key; a raised leading tone belongs to a minor one."""
    classes = tuple(weights)
    scale = {(tonic + step) % 12 for step in SCALES[mode]} | ({(tonic + 11) % 12} if mode == "minor" else set())
    return sum(w for pitch_class, w in enumerate(classes) if pitch_class in scale) / sum(classes)


def _fit(classes: tuple[float, ...], tonic: int, mode: str, last: int | None) -> float:
    values = {(tonic + step) % 12: value for step, value in zip(SCALES[mode], _DEGREES, strict=True)}
    if mode in MINOR_MODES:
        values.setdefault((tonic + 11) % 12, _LEADING)
    heard = sum(weight * values.get(pitch_class, _OUTSIDE) for pitch_class, weight in enumerate(classes))
    rest = _LAST if last == tonic else _LAST / 5 if last == (tonic + 7) % 12 else 0.0
    return heard / sum(classes) + rest + _COMMON.get(mode, 0.0)
