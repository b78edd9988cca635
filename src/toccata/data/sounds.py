"""Sound files in folders, and where what was heard of them is kept between runs."""

import os
from pathlib import Path

from toccata.errors import InputError

SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff")


def sounds_below(folder: Path, closed: list[Path] | None = None) -> list[Path]:
    """The sound files in ``folder`` and all folders in it, by name; raises ``InputError`` where there is none.

    Folders that cannot be opened are added to ``closed``.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give one with sound files")
    shut = [] if closed is None else closed
    found = [
        Path(place) / name
        for place, _, names in os.walk(folder, onerror=lambda error: shut.append(Path(error.filename)))
        for name in names
        if name.lower().endswith(SUFFIXES) and not name.startswith(".")
    ]
    if not found:
        raise InputError(f"{folder} holds no sound files ({', '.join(SUFFIXES)}); choose another folder")
    return sorted(found)


def cache_folder() -> Path:
    """Where toccata keeps what it can make again: ``$TOCCATA_HOME``, or its folder in the user's cache."""
    if home := os.environ.get("TOCCATA_HOME"):
        return Path(home).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "toccata"
