"""WordNet's synonyms, definitions, kinds and opposites, as pairs of texts that a text encoder learns from.

Reads the database files of WordNet 3.0 (Fellbaum, 1998; "WordNet 3.0 Copyright 2006 by Princeton University"), whose
licence lets anyone use, change and share them.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from toccata.errors import InputError

PARTS = {"adj": "as", "adv": "r", "noun": "n", "verb": "v"}
PART_OF = {letter: part for part, letters in PARTS.items() for letter in letters}
NEAR = ("&", "@", "@i", "+", "^")  # similar to, kind of, instance of, derived from, see also
OPPOSITE = "!"
T = TypeVar("T")
MUSICAL = re.compile(
    r"\b(music|musical|musician|instrument|songs?|sing|singer|sung|melody|rhythm|rhythmic|danc(e|es|ing)|tempo"
    r"|orchestra|guitar|piano|jazz|drum|chord|tune|composer|notes?|sound|beat)\b"
)
EMOTION = 12  # the lexicographer's file of nouns for feelings


@dataclass
class Synset:
    """One meaning: its ``words``, ``definition``, part of speech and the indices of related meanings."""

    words: list[str]
    definition: str
    part: str
    file: int
    near: list[int] = field(default_factory=list)
    opposite: list[int] = field(default_factory=list)

    @property
    def musical(self) -> bool:
        return MUSICAL.search(self.definition) is not None


def read(folder: Path) -> list[Synset]:
    """Every meaning in ``folder``; raises ``InputError`` where the database is not there."""
    synsets: list[Synset] = []
    places: dict[tuple[str, str], int] = {}
    pointers: list[list[tuple[str, tuple[str, str]]]] = []
    for part in PARTS:
        path = folder / f"data.{part}"
        if not path.is_file():
            raise InputError(f"{path} is missing; install WordNet 3.0's database (Debian: wordnet-base)")
        for line in path.read_text().splitlines():
            if not line.startswith("  "):  # the licence, at the head of each file
                places[part, line[:8]] = len(synsets)
                synset, links = _parse(line)
                synsets.append(synset)
                pointers.append(links)
    for synset, links in zip(synsets, pointers, strict=True):
        synset.near = [places[place] for symbol, place in links if symbol in NEAR]
        synset.opposite = [places[place] for symbol, place in links if symbol == OPPOSITE]
    _share_opposites(synsets)
    return synsets


def _parse(line: str) -> tuple[Synset, list[tuple[str, tuple[str, str]]]]:
    head, gloss = line.split(" | ", 1)
    fields = head.split()
    end = 4 + 2 * int(fields[3], 16)
    words = [re.sub(r"\(\w+\)$", "", word).replace("_", " ").lower() for word in fields[4:end:2]]
    count = int(fields[end])
    links = [(fields[i], (PART_OF[fields[i + 2]], fields[i + 1])) for i in range(end + 1, end + 1 + 4 * count, 4)]
    return Synset(words, re.split(r'; "', gloss.strip())[0], fields[2], int(fields[1])), links


def _share_opposites(synsets: list[Synset]) -> None:
    """What has no opposite of its own takes those of near meanings: "gloomy" is like "dejected", so not "elated"."""
    own = [synset.opposite for synset in synsets]
    for synset, opposite in zip(synsets, own, strict=True):
        same = [i for i in synset.near if PART_OF[synsets[i].part] == PART_OF[synset.part]]
        synset.opposite = opposite or [other for i in same for other in own[i]]


def importance(synsets: list[Synset]) -> np.ndarray:
    """How often to draw each meaning: musical ones most, then qualities, feelings and actions, then things."""

    def one(synset: Synset) -> float:
        if synset.musical:
            return 10.0
        if synset.part in "asr" or synset.file == EMOTION:
            return 3.0
        return 1.0 if synset.part == "v" else 0.4

    weights = np.array([one(synset) for synset in synsets])
    return weights / weights.sum()


@dataclass(frozen=True)
class Lesson:
    """``word`` should lie near ``partner`` and away from ``opposite`` (None where the meaning has none)."""

    synset: int
    word: str
    partner: str
    opposite: str | None


def draw(synsets: list[Synset], odds: np.ndarray, count: int, rng: np.random.Generator) -> list[Lesson]:
    """``count`` lessons: half of the partners are definitions, half synonyms or words of near meanings."""
    return [_lesson(int(i), synsets, rng) for i in rng.choice(len(synsets), count, p=odds)]


def _lesson(index: int, synsets: list[Synset], rng: np.random.Generator) -> Lesson:
    synset = synsets[index]
    word = _pick(synset.words, rng)
    near = [other for i in (index, *synset.near) for other in synsets[i].words[:3] if other != word]
    partner = _pick(near, rng) if near and rng.random() < 0.5 else synset.definition
    opposite = _pick(synsets[_pick(synset.opposite, rng)].words, rng) if synset.opposite else None
    return Lesson(index, word, partner, opposite)


def _pick(options: list[T], rng: np.random.Generator) -> T:
    return options[int(rng.integers(len(options)))]
