"""MusicCaps and Song Describer: their official tables, and sound that the user has; toccata ships none of it."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from toccata.data.sounds import sounds_below
from toccata.errors import InputError
from toccata.evaluation.sets import Item

Row = dict[str, str]


@dataclass(frozen=True)
class Collection:
    """A published table: the ``columns`` that tell it, a row's ``name``, the ``stems`` that its file may have, and what
    rows its official ``splits`` have."""

    columns: frozenset[str]
    name: Callable[[Row], str]
    stems: Callable[[Row], tuple[str, ...]]
    splits: dict[str, Callable[[Row], bool]]


def _true(text: str) -> bool:
    return text.strip().lower() == "true"


# arXiv 2301.11325: 5,521 clips of 10 s from YouTube; 2,858 of them in AudioSet's evaluation split, and 1,000
# balanced by genre.
MUSICCAPS = Collection(
    frozenset({"ytid", "start_s", "end_s", "caption", "is_balanced_subset", "is_audioset_eval"}),
    lambda row: row["ytid"],
    lambda row: (row["ytid"], f"[{row['ytid']}]-[{row['start_s']}-{row['end_s']}]", f"{row['ytid']}_{row['start_s']}"),
    {
        "all": lambda row: True,
        "balanced": lambda row: _true(row["is_balanced_subset"]),
        "eval": lambda row: _true(row["is_audioset_eval"]),
    },
)
# arXiv 2311.10057: 1,106 captions of 706 tracks of two minutes from MTG-Jamendo; 746 of the captions are validated.
SONG_DESCRIBER = Collection(
    frozenset({"caption_id", "track_id", "caption", "path", "is_valid_subset"}),
    lambda row: row["caption_id"],
    lambda row: (Path(row["path"]).stem, f"{Path(row['path']).stem}.2min", row["track_id"]),
    {"all": lambda row: True, "valid": lambda row: _true(row["is_valid_subset"])},
)


def read_collection(table: Path, audio: Path, split: str = "all") -> tuple[list[Item], int]:
    """The clips of an official table whose files are in the folder ``audio``, and how many of its rows have none.

    Files may lie in any folder below, in any format. MusicCaps' are called by their ``ytid``, alone or with the seconds
    (``[ytid]-[start-end]``, ``ytid_start``), Song Describer's as in MTG-Jamendo (with or without ``.2min``). Raises
    ``InputError`` for another table, an unknown split, or a folder with none of the files.
    """
    rows, columns = _rows(table)
    kind = next((each for each in (MUSICCAPS, SONG_DESCRIBER) if each.columns <= columns), None)
    if kind is None:
        raise InputError(f"{table} is neither MusicCaps' table nor Song Describer's; give the official .csv")
    if split not in kind.splits:
        raise InputError(f"there is no split {split!r} of {table}; choose from {', '.join(kind.splits)}")
    chosen = [row for row in rows if kind.splits[split](row)]
    files = {path.stem: path for path in sounds_below(audio)}
    found = [(row, next((files[stem] for stem in kind.stems(row) if stem in files), None)) for row in chosen]
    items = [Item(kind.name(row), path, " ".join(row["caption"].split())) for row, path in found if path]
    if not items:
        raise InputError(
            f"none of the {len(chosen)} clips is in {audio}; the first would be {kind.stems(chosen[0])[0]}.wav"
        )
    return items, len(chosen) - len(items)


def _rows(table: Path) -> tuple[list[Row], set[str]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = [{name: value or "" for name, value in row.items() if name} for row in reader]
            return rows, set(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table} cannot be read as a table: {error}") from None
