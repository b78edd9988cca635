"""The file of a listening test's database: made new, taken up again, or opened to be read."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from toccata.errors import InputError, OutputError

_APPLICATION = 0x746F6C69
_TABLES = """
CREATE TABLE test (design TEXT NOT NULL, began REAL NOT NULL);
CREATE TABLE raters (id TEXT PRIMARY KEY, schedule TEXT NOT NULL, began REAL NOT NULL);
CREATE TABLE trials (
    id TEXT PRIMARY KEY, rater TEXT NOT NULL REFERENCES raters, place INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('question', 'damaged', 'identical')),
    prompt INTEGER NOT NULL, first INTEGER NOT NULL, second INTEGER, swapped INTEGER NOT NULL, issued REAL NOT NULL,
    UNIQUE (rater, place));
CREATE TABLE answers (
    trial TEXT PRIMARY KEY REFERENCES trials,
    preference INTEGER CHECK (preference BETWEEN -2 AND 2),
    quality INTEGER CHECK (quality BETWEEN 1 AND 100), relevance INTEGER CHECK (relevance BETWEEN 1 AND 100),
    heard REAL NOT NULL, seconds REAL NOT NULL, answered REAL NOT NULL);
"""


@dataclass(frozen=True)
class Design:
    """What makes a test this one: ``trials`` is a rater's number of questions without checks; ``plain`` the (prompt,
    set) of clips that noise would spoil; ``fingerprint`` a hash of sets, prompts and sound."""

    mode: str
    names: tuple[str, ...]
    prompts: tuple[str, ...]
    trials: int
    seconds: float
    seed: int
    fingerprint: str
    plain: tuple[tuple[int, int], ...]


def start(path: Path, design: Design) -> sqlite3.Connection:
    """Make the database of a test, or open it again.

    Raises ``OutputError`` where the file can't be written, ``InputError`` where it is that of another test.
    """
    if not path.parent.is_dir():
        raise OutputError(f"the folder {path.parent} does not exist; make it first or choose another with --db")
    try:
        connection = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
        with _closed_on_error(connection):
            _make(connection, path, design)
            _check_same(_stored(connection, path), design, path)
            return connection
    except sqlite3.OperationalError as error:
        raise OutputError(f"the database {path} cannot be written: {error}; choose another with --db") from None
    except sqlite3.DatabaseError:
        raise _no_database(path) from None


def read(path: Path) -> tuple[Design, sqlite3.Connection]:
    """A test's design and its database, which can't be written through this; raises ``InputError`` for what is none."""
    if not path.is_file():
        raise InputError(f"{path} does not exist; give the database of a listening test")
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)
        with _closed_on_error(connection):
            if connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
                raise _no_database(path)
            return _stored(connection, path), connection
    except sqlite3.Error as error:
        raise InputError(f"{path} cannot be read as the database of a listening test: {error}") from None


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _make(connection: sqlite3.Connection, path: Path, design: Design) -> None:
    """Make the tables of a new database; leave an old one as it is, and one of another program untouched."""
    kind = connection.execute("PRAGMA application_id").fetchone()[0]
    if kind != _APPLICATION and (kind or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]):
        raise _no_database(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
        for statement in _TABLES.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute("INSERT INTO test VALUES (?, ?)", (json.dumps(asdict(design)), time.time()))
    connection.execute("COMMIT")


def _stored(connection: sqlite3.Connection, path: Path) -> Design:
    connection.row_factory = sqlite3.Row
    try:
        told: dict[str, Any] = json.loads(connection.execute("SELECT design FROM test").fetchone()["design"])
        told |= {name: tuple(told[name]) for name in ("names", "prompts")}
        told["plain"] = tuple((prompt, chosen) for prompt, chosen in told["plain"])
        return Design(**told)
    except (sqlite3.DatabaseError, TypeError, KeyError, ValueError):
        raise _no_database(path) from None


def _check_same(old: Design, new: Design, path: Path) -> None:
    words = {"mode": "another kind", "names": "other sets", "prompts": "other prompts", "fingerprint": "other sound"}
    words |= {name: f"--{name} {getattr(old, name):g}" for name in ("trials", "seconds", "seed")}
    for field in fields(Design):
        if getattr(old, field.name) != getattr(new, field.name):
            what = words.get(field.name, "other sound")
            raise InputError(
                f"{path} holds the answers of another test, with {what}; give what it was begun with, or another --db"
            )


def _no_database(path: Path) -> InputError:
    return InputError(f"{path} is no database of a listening test; choose another file")
