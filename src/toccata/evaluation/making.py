"""The clips of a model that is evaluated, made once and kept."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from toccata.clip import Generator
from toccata.errors import InputError
from toccata.evaluation.hearing import Tell
from toccata.evaluation.sets import Asked, Item


def wishes(prompts: Sequence[Asked] | None, reference: Sequence[Item], count: int | None) -> list[Item]:
    """What a model is to make: one clip a prompt, or for each reference clip that has one, named like it.

    Raises ``InputError`` where nobody gives prompts, or fewer than ``count``.
    """
    if prompts:
        wanted = [
            Item(p.name or f"{place:04d}", None, p.prompt, p.seconds, p.labels) for place, p in enumerate(prompts)
        ]
    else:
        wanted = [replace(item, path=None, seconds=None) for item in reference if item.prompt]
    if not wanted:
        raise InputError("there are no prompts to make clips from; give --prompts, or a reference that has captions")
    if count is not None and not 1 <= count <= len(wanted):
        raise InputError(f"{count} clips can't be made of {len(wanted)} prompts; ask for 1 to {len(wanted)}")
    return wanted[:count]


def make(model: Generator, wanted: Sequence[Item], seconds: float, seed: int, kept: Path, tell: Tell) -> list[Item]:
    """A clip for each item's prompt, as long as it asks for, else ``seconds``; item i has the seed ``seed + i``.

    They lie in a folder of ``kept`` for this model's weights; what is there already is not made again.
    """
    folder = kept / f"{Path(model.name).name}-{model.weights_sha256[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for place, item in enumerate(wanted):
        length = item.seconds or seconds
        key = hashlib.sha256(f"{item.prompt}|{length}|{seed + place}".encode()).hexdigest()[:16]
        path = folder / f"{key}.wav"
        if not path.is_file():

            def part(done: float, total: float, place: int = place) -> None:
                tell(place + done / total, len(wanted))

            model.generate(item.prompt, seconds=length, seed=seed + place, progress=part).save(path)
        made.append(replace(item, path=path, seconds=length))
        tell(place + 1, len(wanted))
    return made
