"""The band's borrowed repertoire: old tunes and chorales that it arranges, and free game music that it plays.

All of it may be used and passed on: the tunes were printed from about 1780 to 1903, the chorales are J. S. Bach's, and
Freedoom's music is under the BSD licence. Tune books and chorales are read out of the archive of PyPI's music21.
"""

import zipfile
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from toccata.corpus.abcnotation import read_abc, split_tunes
from toccata.corpus.arrange import arrange
from toccata.corpus.chorale import Chorale, read_chorale, set_chorale
from toccata.corpus.gamemusic import cut, read_wad
from toccata.corpus.midifile import Recording, read_midi
from toccata.corpus.score import Score
from toccata.corpus.theory import pick, pick_weighted
from toccata.corpus.tunefiles import FREEDOOM, MUSIC21, collection_file
from toccata.errors import InputError

_BOOKS = {
    "ryan": ("ryansMammoth", "Ryan's Mammoth Collection, 1883"),
    "oneill": ("oneills1850", "O'Neill's Music of Ireland, 1903"),
    "aird": ("airdsAirs", "Aird's Airs, 1782-1801"),
}
SOURCES: tuple[str, ...] = (*_BOOKS, "bach", "freedoom")
_SHARE = 0.15
_WEIGHTS = {"ryan": 3.0, "oneill": 3.0, "aird": 2.0, "bach": 2.0, "freedoom": 2.0}
_LONGEST = 600.0
_TRIES = 60


def draw_source(rng: np.random.Generator, sources: tuple[str, ...]) -> str:
    """Where a piece comes from: one of ``sources``, which are "composer" and names in ``SOURCES``.

    Beside the composer, all others together make 15 pieces in 100. Raises InputError for an unknown name, or none.
    """
    unknown = [name for name in sources if name not in (*SOURCES, "composer")]
    if unknown or not sources:
        wrong = f"'{unknown[0]}' is no source of pieces" if unknown else "There is no source of pieces"
        raise InputError(f"{wrong}; choose from composer, {', '.join(SOURCES)}.")
    borrowed = [(name, _WEIGHTS[name]) for name in dict.fromkeys(sources) if name != "composer"]
    if not borrowed or ("composer" in sources and rng.random() >= _SHARE):
        return "composer"
    return pick_weighted(rng, borrowed)


def tune(source: str, rng: np.random.Generator, seconds: float | None = None) -> Score:
    """An arrangement of a random piece of ``source`` (one of ``SOURCES``): the same generator state, the same score.

    ``seconds`` (above 0, at most 600) is met to the nearest whole bar, but for tunes and chorales that take at least a
    phrase; None chooses 14 to 45. Raises InputError for other values, and where the collection can't be had.
    """
    if source not in SOURCES:
        raise InputError(f"'{source}' is no collection of tunes; choose one of {', '.join(SOURCES)}.")
    if seconds is not None and not 0 < seconds <= _LONGEST:
        raise InputError(f"A piece lasts above 0 and at most {_LONGEST:.0f} seconds, not {seconds}.")
    wanted = float(rng.uniform(14, 45)) if seconds is None else seconds
    setting = _setting(source)
    for _ in range(_TRIES):
        try:
            return setting(rng, wanted)
        except InputError:  # not every piece of a collection can be read, nor suits the wished length
            continue
    raise InputError(f"No piece of '{source}' makes {wanted:.0f} seconds of music; ask for another length.")


def _setting(source: str) -> Callable[[np.random.Generator, float], Score]:
    """What draws one piece of a source and sets it; the collection itself is fetched and opened here."""
    if source == "bach":
        chorales = _chorales()
        return lambda rng, seconds: set_chorale(rng, _chorale(pick(rng, chorales)), seconds)
    if source == "freedoom":
        pieces = _freedoom()
        return lambda rng, seconds: cut(rng, _recording(pick(rng, pieces)), seconds)
    book, title = _book(source), _BOOKS[source][1]
    return lambda rng, seconds: arrange(rng, read_abc(pick(rng, book)), seconds, title)


@lru_cache
def _book(source: str) -> tuple[str, ...]:
    """The tunes of a tune book, in the order of their files."""
    tunes: list[str] = []
    with zipfile.ZipFile(collection_file(MUSIC21)) as wheel:
        for name in _members(wheel, _BOOKS[source][0], ".abc"):
            tunes += split_tunes(wheel.read(name).decode("utf-8", "replace"))
    return tuple(tunes)


@lru_cache
def _chorales() -> tuple[str, ...]:
    with zipfile.ZipFile(collection_file(MUSIC21)) as wheel:
        return tuple(_members(wheel, "bach", ".mxl"))


@lru_cache(maxsize=512)
def _chorale(member: str) -> Chorale:
    with zipfile.ZipFile(collection_file(MUSIC21)) as wheel:
        data = wheel.read(member)
    number = member.rsplit("/", 1)[1].removesuffix(".mxl").removeprefix("bwv")
    return read_chorale(data, f"BWV {number}")


@lru_cache
def _freedoom() -> tuple[tuple[str, bytes], ...]:
    """The pieces of both games, without those that are in both."""
    pieces: dict[bytes, str] = {}
    for name in FREEDOOM:
        for title, data in read_wad(collection_file(name)).items():
            pieces.setdefault(data, title)
    return tuple((title, data) for data, title in pieces.items())


@lru_cache(maxsize=128)
def _recording(piece: tuple[str, bytes]) -> Recording:
    title, data = piece
    return read_midi(data, title)


def _members(wheel: zipfile.ZipFile, folder: str, suffix: str) -> list[str]:
    return sorted(n for n in wheel.namelist() if n.startswith(f"music21/corpus/{folder}/") and n.endswith(suffix))
