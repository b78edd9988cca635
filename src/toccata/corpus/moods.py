"""Mood words, derived from what is really in the music."""

from dataclasses import dataclass

from toccata.corpus.instruments import INSTRUMENTS
from toccata.corpus.score import Track
from toccata.corpus.theory import MINOR_MODES

MOODS = (
    "happy", "sad", "calm", "energetic", "dark", "bright", "melancholic", "dreamy", "tense", "warm", "playful",
        "epic",
    "romantic", "mysterious", "nostalgic", "aggressive", "peaceful", "groovy", "solemn", "hopeful",
)  # fmt: skip


@dataclass(frozen=True)
class Features:
    """What a listener hears, each about 0-1: ``minor`` 1 in minor modes, ``loud`` from mean velocity, and so on."""

    fast: float
    busy: float
    loud: float
    high: float
    short: float
    minor: float
    drums: float
    swing: float
    soft_sound: float
    hard_sound: float
    grand_sound: float
    mode: str


def measure(tracks: tuple[Track, ...], tempo: float, mode: str, seconds: float, swing: float) -> Features:
    """Features of finished tracks (``tempo`` in beats a minute)."""
    pitched = [note for track in tracks if not track.is_drums for note in track.notes]
    every = [note for track in tracks for note in track.notes]
    families = [INSTRUMENTS[track.instrument].family for track in tracks]
    names = [track.instrument for track in tracks]
    tunes = [note for track in tracks if track.role in ("melody", "arpeggio") for note in track.notes] or pitched
    drums = [note for track in tracks if track.is_drums for note in track.notes]
    heavy = sum(name in ("distorted guitar", "overdriven guitar") for name in names)
    return Features(
        fast=_scale(tempo, 60, 160),
        busy=_scale(len(every) / seconds, 2, 22),
        loud=_scale(sum(note.velocity for note in every) / len(every), 50, 104),
        high=_scale(sum(note.pitch for note in tunes) / len(tunes), 52, 80),
        short=1 - _scale(sum(note.duration for note in pitched) / len(pitched) * 60 / tempo, 0.15, 1.6),
        minor=float(mode in MINOR_MODES),
        drums=_scale(len(drums) / seconds, 0, 9),
        swing=_scale(swing, 0.5, 0.66),
        soft_sound=_share(families, ("piano", "harp", "mallets", "guitar", "choir")) * (0.0 if heavy else 1.0),
        hard_sound=_scale(heavy, 0, 2),
        grand_sound=_share(families, ("brass", "strings", "choir")),
        mode=mode,
    )


def _scale(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))


def _share(families: list[str], wanted: tuple[str, ...]) -> float:
    return sum(family in wanted for family in families) / len(families)


def moods_of(f: Features) -> tuple[str, ...]:
    """One to three words of ``MOODS`` that the features bear out, strongest first, without contradictions."""
    weight = {word: score / _ENOUGH[word] for word, score in _scores(f).items()}
    chosen: list[str] = []
    for word in sorted(weight, key=lambda word: (-weight[word], word)):
        if len(chosen) == 3 or (chosen and weight[word] < 1):
            break
        if not any(frozenset((word, other)) in _OPPOSED for other in chosen):
            chosen.append(word)
    return tuple(chosen)


# The score from which a word is fitting: about the strongest eighth of all pieces, fewer for rare moods.
_ENOUGH = {
    "happy": 0.74, "sad": 0.62, "calm": 0.82, "energetic": 0.64, "dark": 0.6, "bright": 0.67, "melancholic": 0.72,
    "dreamy": 0.72, "tense": 0.69, "warm": 0.66, "playful": 0.75, "epic": 0.34, "romantic": 0.36, "mysterious": 0.48,
    "nostalgic": 0.4, "aggressive": 0.5, "peaceful": 0.76, "groovy": 0.55, "solemn": 0.25, "hopeful": 0.69,
}  # fmt: skip
_OPPOSED = {
    frozenset(pair)
    for left, right in (
        (("happy", "playful", "hopeful", "bright"), ("sad", "melancholic", "dark", "solemn", "tense", "mysterious",
            "aggressive")),
        (("calm", "peaceful", "dreamy"), ("energetic", "aggressive", "epic", "tense")),
        (("groovy", "playful"), ("solemn", "sad")),
        (("warm", "romantic"), ("aggressive", "tense", "dark")),
        (("calm",), ("peaceful",)), (("sad",), ("melancholic", "energetic")),
    )
    for a in left
    for b in right
    for pair in ((a, b),)
}  # fmt: skip


def _scores(f: Features) -> dict[str, float]:
    slow, major, quiet, low = 1 - f.fast, 1 - f.minor, 1 - f.loud, 1 - f.high
    still = 1 - f.busy
    odd = float(f.mode in ("phrygian", "lydian"))
    beatless = 1 - min(1.0, f.drums * 2)
    return {
        "happy": major * (0.25 + 0.35 * f.fast + 0.2 * f.short + 0.2 * f.high),
        "sad": f.minor * (0.15 + 0.5 * slow + 0.35 * still) * (0.6 + 0.4 * quiet),
        "calm": (0.1 + 0.4 * slow + 0.3 * still + 0.3 * quiet) * (1 - 0.4 * f.drums),
        "energetic": 0.4 * f.fast + 0.3 * f.busy + 0.3 * f.loud + 0.15 * f.drums - 0.15,
        "dark": f.minor * (0.2 + 0.5 * low + 0.3 * (f.loud if f.drums else 0.4)) + 0.25 * (f.mode == "phrygian"),
        "bright": major * (0.1 + 0.55 * f.high + 0.3 * f.fast) + 0.15 * (f.mode == "lydian"),
        "melancholic": f.minor * (0.2 + 0.4 * slow + 0.3 * f.soft_sound + 0.2 * quiet),
        "dreamy": beatless * (1 - f.swing) * (0.35 * slow + 0.3 * (1 - f.short) + 0.25 * f.high + 0.2 * still)
        + 0.15 * (f.mode == "lydian"),
        "tense": f.minor * (0.2 * f.loud + 0.3 * f.busy + 0.25 * f.short + 0.2 * f.fast) + 0.2 * odd * f.minor,
        "warm": major * (0.2 + 0.3 * low + 0.25 * slow + 0.3 * f.soft_sound) * (1 - f.hard_sound),
        "playful": major * (0.1 + 0.4 * f.short + 0.3 * f.fast + 0.2 * f.high) * (1 - 0.6 * f.hard_sound),
        "epic": f.loud * (0.15 + 0.65 * f.grand_sound + 0.3 * f.drums) * (0.3 if f.grand_sound < 0.4 else 1),
        "romantic": slow * (0.3 + 0.6 * f.grand_sound + 0.2 * f.soft_sound) * beatless * (1 - 0.7 * f.loud),
        "mysterious": f.minor * beatless * (0.3 * slow + 0.25 * still + 0.2 * low) + 0.35 * odd * beatless,
        "nostalgic": (0.25 * slow + 0.3 * f.soft_sound + 0.15 * f.swing)
        * (0.7 + 0.3 * (f.mode in ("major", "dorian"))),
        "aggressive": f.hard_sound * (0.3 + 0.3 * f.loud + 0.3 * f.fast + 0.2 * f.minor),
        "peaceful": major * (0.15 + 0.35 * slow + 0.3 * quiet + 0.25 * still) * beatless,
        "groovy": f.drums
        * (0.45 + 0.3 * f.swing + 0.3 * (1 - abs(f.fast - 0.42) * 2) + 0.1 * f.busy)
        * (1 - f.hard_sound),
        "solemn": slow * (0.2 + 0.45 * f.grand_sound + 0.25 * low) * (1 - f.short) * (0.7 + 0.3 * f.minor),
        "hopeful": major * (0.3 + 0.25 * f.high + 0.25 * (1 - abs(f.fast - 0.4) * 2) + 0.1 * f.loud),
    }
