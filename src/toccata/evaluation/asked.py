"""What a prompt asks for that a judge can hear: a tempo in beats a minute, a key."""

import re
from typing import Any

from toccata.evaluation.judges import Key

_TEMPO = re.compile(r"\b(\d{2,3}(?:\.\d+)?)\s*(?:bpm\b|beats (?:per|a) minute)", re.IGNORECASE)
_KEY = re.compile(
    r"\b([A-Ga-g])(?:\s*(#|♯|b\b|♭)|[\s-](sharp|flat))?[\s-]+(major|minor|dorian|phrygian|mixolydian|lydian)\b",
    re.IGNORECASE,
)
_LETTERS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}


def tempo_in(prompt: str, labels: dict[str, Any]) -> float | None:
    """Beats a minute that the labels (``tempo``) or else the prompt ("at 132 bpm") name; None where neither does."""
    if isinstance(tempo := labels.get("tempo"), int | float) and 20 <= tempo <= 400:
        return float(tempo)
    found = _TEMPO.search(prompt)
    return float(found[1]) if found and 20 <= float(found[1]) <= 400 else None


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
