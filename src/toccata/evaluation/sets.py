"""Sets of clips to evaluate: a folder, a manifest, or sound in memory, with what was asked of each clip."""

import csv
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from toccata.audio import io
from toccata.clip import Clip
from toccata.data.sounds import sounds_below
from toccata.errors import InputError

_MANIFESTS = (".jsonl", ".json")
_PROMPTS = (".txt", ".csv", *_MANIFESTS)
_EXAMPLE = '{"path": "a.flac", "prompt": "slow piano"}'


@dataclass(frozen=True)
class Item:
    """One clip: where its sound is (``path``, or ``sound`` itself) and what was asked for.

    ``name`` pairs it with a clip of another set. ``prompt`` is "" and ``seconds`` None where nobody asked; ``labels``
    may hold ``tempo`` (beats a minute), ``tonic`` (0-11 from C) and ``mode``.
    """

    name: str
    path: Path | None = None
    prompt: str = ""
    seconds: float | None = None
    labels: dict[str, Any] = field(default_factory=dict)
    sound: Clip | None = None

    @property
    def shown(self) -> str:
        return str(self.path or self.name)

    def load(self) -> Clip:
        """The sound; raises ``InputError`` for what cannot be decoded."""
        if self.sound is not None:
            return self.sound
        samples_CN, sample_rate = io.read(Path(self.shown))
        return Clip(samples_CN, sample_rate)

    def digest(self) -> str:
        """A hash of the file, or of the samples: whatever it is called, equal sound is heard once."""
        if self.sound is not None:
            return hashlib.sha256(
                self.sound.samples.tobytes() + bytes(str(self.sound.sample_rate), "ascii")
            ).hexdigest()
        if self.path is None or not self.path.is_file():
            raise InputError(f"{self.shown} is not a file; give a sound file")
        try:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror}") from None


def read_set(path: Path) -> list[Item]:
    """The clips of a folder, whose names are their paths in it without suffix, or of a JSONL manifest.

    A manifest's row has ``path`` (beside the manifest, or absolute) and may have ``id`` (its name; else the file's),
    ``prompt``, ``caption`` or ``captions`` (the first counts), ``seconds`` asked for, and ``labels``. Files are not
    opened. Raises ``InputError`` for what is neither, or empty.
    """
    if path.is_dir():
        return [Item(found.relative_to(path).with_suffix("").as_posix(), found) for found in sounds_below(path)]
    if path.suffix.lower() not in _MANIFESTS:
        raise InputError(f"{path} is no folder and no manifest ({', '.join(_MANIFESTS)}); give one with sound files")
    return _distinct([_item(row, path, number) for number, row in _rows(path)], path)


def _item(row: dict[str, Any], manifest: Path, number: int) -> Item:
    try:
        found = manifest.parent / row["path"]
        name = str(row["id"]) if "id" in row else found.with_suffix("").name
        seconds = float(row["seconds"]) if row.get("seconds") is not None else None
        return Item(name, found, _said(row), seconds, dict(row.get("labels") or {}))
    except (KeyError, TypeError, ValueError, IndexError):
        raise _no_row(manifest, number) from None


def _said(row: dict[str, Any]) -> str:
    """The prompt of a row; "" where there is none."""
    told = row.get("prompt", row.get("caption", row.get("captions", "")))
    first = told[0] if isinstance(told, list) and told else told
    text = first["text"] if isinstance(first, dict) else first
    if not isinstance(text, str):
        raise TypeError
    return " ".join(text.split())


def _rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Each line's number and object."""
    rows = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict):
                raise _no_row(path, number)
            rows.append((number, row))
    if not rows:
        raise InputError(f"{path} is empty; give a row for each clip, such as {_EXAMPLE}")
    return rows


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text: {error}") from None


def _no_row(path: Path, number: int) -> InputError:
    return InputError(f"line {number} of {path} is no row that can be read; write it like {_EXAMPLE}")


def _distinct(items: list[Item], path: Path) -> list[Item]:
    names = [item.name for item in items]
    if twice := next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None:
        raise InputError(f'two rows of {path} are called {twice}; give each an "id" of its own')
    return items


@dataclass(frozen=True)
class Asked:
    """A prompt of a file of prompts: ``name`` is the clip's that it belongs to, "" where only its place tells."""

    prompt: str
    name: str = ""
    seconds: float | None = None
    labels: dict[str, Any] = field(default_factory=dict)


def read_prompts(path: Path) -> list[Asked]:
    """One prompt a line of a .txt; of a .jsonl, rows as in a manifest, where ``path`` or ``id`` tells whose it is; of a
    .csv, columns ``name`` and ``prompt``. Raises ``InputError``."""
    match path.suffix.lower():
        case ".txt":
            asked = [Asked(" ".join(line.split())) for line in _text(path).splitlines() if line.strip()]
        case ".csv":
            rows = csv.DictReader(_text(path).splitlines())
            asked = [Asked((row.get("prompt") or "").strip(), row.get("name") or "") for row in rows]
        case suffix if suffix in _MANIFESTS:
            asked = [_asked(row, path, number) for number, row in _rows(path)]
        case _:
            raise InputError(f"{path} is no file of prompts; end it in {', '.join(_PROMPTS)}")
    if not asked or not all(one.prompt for one in asked):
        raise InputError(f"{path} lacks a prompt; write one for each clip")
    return asked


def _asked(row: dict[str, Any], path: Path, number: int) -> Asked:
    item = _item({"path": ""} | row, path, number)
    name = item.name if "id" in row or "path" in row else ""
    return Asked(item.prompt, name, item.seconds, item.labels)


def with_prompts(items: list[Item], asked: list[Asked]) -> list[Item]:
    """The clips that a prompt was given for, each with it: by name, or in order where the prompts have no names.

    Raises ``InputError`` where names fit none of the clips, or there are not as many prompts without names as clips.
    """
    if all(one.name for one in asked):
        known = {one.name: one for one in asked}
        chosen = [(item, known[item.name]) for item in items if item.name in known]
        if not chosen:
            raise InputError(
                f"no prompt is for a clip of the set: {asked[0].name} is none, {items[0].name} would be one"
            )
    elif len(asked) == len(items):
        chosen = list(zip(items, asked, strict=True))
    else:
        raise InputError(
            f"there are {len(asked)} prompts for {len(items)} clips; give one for each, in the order of the files'"
            " names, or name their clips"
        )
    return [
        replace(item, prompt=one.prompt, seconds=one.seconds or item.seconds, labels=item.labels | one.labels)
        for item, one in chosen
    ]


def pairs(generated: Iterable[Item], reference: Iterable[Item]) -> list[tuple[int, int]]:
    """(place among the generated, place in the reference) of clips with one name."""
    places = {item.name: place for place, item in enumerate(reference)}
    return [(place, places[item.name]) for place, item in enumerate(generated) if item.name in places]
