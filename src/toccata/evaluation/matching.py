"""Clips of several sets brought together by prompt, for listeners to compare.

Shapes in names: P prompts, S sets.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toccata.errors import InputError
from toccata.evaluation.sets import Asked, Item, read_set, with_prompts

MOST_SETS = 20


@dataclass(frozen=True)
class Material:
    """What a listening test plays: ``clips[prompt][set]``; ``names`` are the sets', all different."""

    names: tuple[str, ...]
    prompts: tuple[str, ...]
    clips: tuple[tuple[Item, ...], ...]
    left_out: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """A hash of the sets' names, the prompts and the sound: of what makes one test the same as another."""
        told = [self.names, self.prompts, [[item.digest() for item in row] for row in self.clips]]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def read_sets(places: Sequence[str], asked: Sequence[Asked] = ()) -> Material:
    """The sets at ``places``, folders or manifests, matched by prompt.

    A place may be named, as in NAME=PLACE; else its file names it, or its folder where that is called manifest.
    ``asked`` are prompts for the clips of each set, by name or in order. Raises ``InputError`` for what ``read_set``
    refuses, and where nothing matches.
    """
    if len(places) > MOST_SETS:
        raise InputError(f"{len(places)} sets are too many for one test; give {MOST_SETS} or fewer")
    named = [_named(place) for place in places]
    names = [name for name, _ in named]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"two sets are called {twice!r}; name them apart, such as old={twice} new={twice}")
    sets = {name: read_set(path) for name, path in named}
    return match({name: with_prompts(items, list(asked)) if asked else items for name, items in sets.items()})


def _named(place: str) -> tuple[str, Path]:
    name, equals, rest = place.partition("=")
    if equals and not Path(place).exists():
        if not name.strip() or not rest:
            raise InputError(f"{place!r} names no set; write NAME=FOLDER")
        return name.strip(), Path(rest)
    path = Path(place)
    return (path if path.is_dir() else path.parent if path.stem == "manifest" else path).resolve().stem or place, path


def match(sets: dict[str, list[Item]]) -> Material:
    """Clips of one prompt, the first of each set with the first, the second with the second, and so on.

    What is not in every set is left out, and told. Raises ``InputError`` where a set has no prompts, or none is in all.
    """
    known = {name: _by_prompt(name, items) for name, items in sets.items()}
    everything = {key: item.prompt for clips in known.values() for key, item in clips.items()}
    shared = [key for key in everything if all(key in clips for clips in known.values())]
    if not shared:
        names = list(known)
        raise InputError(
            f"{', '.join(names[:-1])} and {names[-1]} share no prompt ({names[0]} has {_some(known[names[0]])},"
            f" {names[-1]} {_some(known[names[-1]])}); give sets that were made from the same prompts"
        )
    missing = sorted(everything.keys() - set(shared))
    told = []
    if missing:
        lacking = next(name for name, clips in known.items() if missing[0] not in clips)
        told = [
            f"{len(missing)} of {len(everything)} clips' prompts are not in every set and left out,"
            f" such as {everything[missing[0]]!r}, which {lacking} lacks"
        ]
    clips = tuple(tuple(clips[key] for clips in known.values()) for key in shared)
    return Material(tuple(known), tuple(everything[key] for key in shared), clips, tuple(told))


def _by_prompt(name: str, items: list[Item]) -> dict[tuple[str, int], Item]:
    """Clips by their prompt and which of it they are."""
    seen: Counter[str] = Counter()
    found = {}
    for item in items:
        if key := item.prompt.casefold():
            found[key, seen[key]] = item
            seen[key] += 1
    if not found:
        raise InputError(
            f"the clips of {name} have no prompts; give a manifest with them, or a file of prompts with --prompts"
        )
    return found


def _some(clips: dict[tuple[str, int], Item]) -> str:
    return repr(next(iter(clips.values())).prompt)
