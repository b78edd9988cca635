"""Finds the tune collections that the house band arranges, or fetches them once with pip and apt.

Two come as published archives: the wheel of PyPI's music21, whose corpus folder holds the tune books and chorales, and
Freedoom's game files. Files are known by their SHA-256, so that a corpus made anywhere holds the same music.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
from functools import lru_cache
from pathlib import Path
from shutil import copyfileobj
from typing import IO

from toccata.corpus.soundfonts import _cache_folder, _last_line, _sha256
from toccata.errors import InputError

MUSIC21 = "music21-10.5.1-py3-none-any.whl"
FREEDOOM = ("freedoom1.wad", "freedoom2.wad")
COLLECTIONS = (MUSIC21, *FREEDOOM)
_SHA256 = {
    MUSIC21: "dc3309498c4c95cebdf8d4f20c868deb6b63bce1d929cad4f51a7ccc982987b1",
    FREEDOOM[0]: "84c3a912f2973892a8025d09d65f5053b1ee2304968a5a172526d683a185b885",
    FREEDOOM[1]: "c72de2af7e2d0c17f6213e751a167e2f1913278aaf37ae6957854fe3cd6588ca",
}
_REQUIREMENT = "music21==10.5.1"
_PACKAGE = "freedoom=0.12.1-2"
_DISTRIBUTION_FOLDER = Path("/usr/share/games/doom")


@lru_cache
def collection_file(name: str, fetch: bool = True) -> Path:
    """Path of ``MUSIC21`` or one of ``FREEDOOM``, checked against its SHA-256.

    Looked for in the folder ``$TOCCATA_TUNES``, the user's cache and the system's games folder; else, with ``fetch``,
    taken from PyPI (20 MB) or the distribution's archive (16 MB), once. Raises InputError when it can't be had.
    """
    chosen = os.environ.get("TOCCATA_TUNES")
    for folder in ([Path(chosen)] if chosen else []) + [_folder(), _DISTRIBUTION_FOLDER]:
        path = folder / name
        if path.is_file() and _sha256(path) == _SHA256[name]:
            return path
    if not fetch:
        raise InputError(f"{name} is not on this machine.{_how_to_get(name)}")
    if name == MUSIC21:
        _fetch_wheel()
    else:
        _fetch_game()
    return _folder() / name


def _folder() -> Path:
    return _cache_folder().parent / "tunes"


def _how_to_get(name: str) -> str:
    way = (
        f"`pip download --no-deps {_REQUIREMENT}`"
        if name == MUSIC21
        else f"`apt-get download {_PACKAGE}` and unpack it"
    )
    return f" On a machine with a network, run {way}, and put {name} into a folder that $TOCCATA_TUNES names."


def _fetch_wheel() -> None:
    with tempfile.TemporaryDirectory() as folder:
        options = ("--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--quiet", "--dest", folder)
        _run([sys.executable, "-m", "pip", "download", *options, _REQUIREMENT], folder, MUSIC21)
        try:
            with (Path(folder) / MUSIC21).open("rb") as wheel:
                _keep(wheel, MUSIC21)
        except FileNotFoundError:
            raise InputError(f"pip did not bring {MUSIC21}.{_how_to_get(MUSIC21)}") from None


def _fetch_game() -> None:
    """Take both game files out of Debian's package."""
    with tempfile.TemporaryDirectory() as folder:
        _run(["apt-get", "download", _PACKAGE], folder, FREEDOOM[0])
        package = next(Path(folder).glob("freedoom_*.deb"), None)
        if package is None:
            raise InputError(f"apt-get did not bring {_PACKAGE}.{_how_to_get(FREEDOOM[0])}")
        contents = Path(folder) / "contents.tar"
        with contents.open("wb") as out:
            _run(["dpkg-deb", "--fsys-tarfile", str(package)], folder, FREEDOOM[0], out)
        with tarfile.open(contents) as archive:
            for name in FREEDOOM:
                member = archive.extractfile(f".{_DISTRIBUTION_FOLDER}/{name}")
                if member is None:
                    raise InputError(f"{_PACKAGE} holds no {name}.{_how_to_get(name)}")
                _keep(member, name)


def _run(command: list[str], folder: str, name: str, out: IO[bytes] | None = None) -> None:
    try:
        done = subprocess.run(command, cwd=folder, stdout=out or subprocess.DEVNULL, stderr=subprocess.PIPE)
    except FileNotFoundError:
        raise InputError(f"{name} is not on this machine, and {command[0]} is missing.{_how_to_get(name)}") from None
    if done.returncode:
        reason = _last_line(done.stderr.decode(errors="replace"))
        raise InputError(f"{name} could not be fetched ({reason}).{_how_to_get(name)}")


def _keep(source: IO[bytes], name: str) -> None:
    """Copy a file into the cache, whole or not at all, and only if it is the one meant."""
    target = _folder() / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as part:
        copyfileobj(source, part)
    try:
        if _sha256(Path(part.name)) != _SHA256[name]:
            raise InputError(f"The {name} that was fetched is not the one expected.{_how_to_get(name)}")
        os.chmod(part.name, 0o644)
        os.replace(part.name, target)
    finally:
        Path(part.name).unlink(missing_ok=True)
