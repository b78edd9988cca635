"""What a prompt asks for that a judge can hear: a tempo in beats a minute, a key."""

import re
from typing import Any

from toccata import prompt as words
from toccata.evaluation.judges import Key

_KEY = re.compile(
    r"\b([A-Ga-g])(?:\s*(#|♯|b\b|♭)|[\s-](sharp|flat))?[\s-]+(major|minor|dorian|phrygian|mixolydian|lydian)\b",
    re.IGNORECASE,
)
_LETTERS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}


def tempo_in(prompt: str, labels: dict[str, Any]) -> float | None:
    """Beats a minute that the labels (``tempo``) or else the prompt ("at 132 bpm") name; None where neither does."""
    tempo = labels.get("tempo")
    if isinstance(tempo, int | float) and words.MIN_TEMPO <= tempo <= words.MAX_TEMPO:
        return float(tempo)
    return words.tempo_in(prompt)


def key_in(prompt: str, labels: dict[str, Any]) -> Key | None:
    """The key that the labels (``tonic``, ``mode``) or else the prompt ("in F sharp minor") name."""
    if isinstance(tonic := labels.get("tonic"), int) and isinstance(mode := labels.get("mode"), str):
        return Key.of(tonic, mode)
    found = _KEY.search(prompt)
    if not found:
        return None
    letter, sign, word, mode = found.groups()
    if letter == "a":  # "in a minor mood": an article
        return None
    moved = {"#": 1, "♯": 1, "sharp": 1, "b": -1, "♭": -1, "flat": -1}.get((sign or word or "").lower(), 0)
    return Key.of(_LETTERS[letter.lower()] + moved, mode.lower())
