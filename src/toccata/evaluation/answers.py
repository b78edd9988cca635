"""The database of a listening test: who was asked what, and what they said. SQLite, every answer on disk at once."""

import json
import secrets
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np

from toccata.errors import OutputError
from toccata.evaluation import answers_file, trials
from toccata.evaluation.answers_file import Design
from toccata.evaluation.trials import DAMAGED, IDENTICAL, MOS, PAIRS, QUESTION, Question

_FORGOTTEN_SECONDS = 3600.0


@dataclass(frozen=True)
class Trial:
    """One screen, of a rater's ``total``: clips of ``sets`` for a prompt, the first on the right where ``swapped``."""

    id: str
    rater: str
    place: int
    total: int
    kind: str
    prompt: int
    sets: tuple[int, ...]
    swapped: bool

    @property
    def clips(self) -> tuple[tuple[int, bool], ...]:
        """(set, whether noise spoils it), from left to right."""
        told = [(chosen, False) for chosen in self.sets]
        if self.kind == DAMAGED:
            told[-1] = (self.sets[-1], True)
        return tuple(reversed(told)) if self.swapped else tuple(told)


@dataclass(frozen=True)
class Said:
    """An answer: ``preference`` from -2 (left) to 2 (right), or ``quality`` and ``relevance`` from 1 to 100.

    ``heard`` is the smallest share of a clip that was played, ``seconds`` the time taken.
    """

    preference: int | None
    quality: int | None
    relevance: int | None
    heard: float
    seconds: float


@dataclass(frozen=True)
class Answer:
    """A trial with what was said: ``preference`` here is above 0 where the first set was preferred."""

    trial: Trial
    said: Said
    answered: float

    @property
    def preference(self) -> int | None:
        told = self.said.preference
        return told if told is None or self.trial.swapped else -told


class Answers:
    """An open database. Safe for threads; another process may read it meanwhile."""

    def __init__(self, path: Path, design: Design, connection: sqlite3.Connection) -> None:
        self.path, self.design = path, design
        self._connection, self._lock = connection, threading.Lock()
        self._possible = trials.questions(design.mode, len(design.prompts), len(design.names))

    @classmethod
    def start(cls, path: Path, design: Design) -> Self:
        """Begin a test at ``path``, or go on with it; raises as ``answers_file.start`` does."""
        return cls(path, design, answers_file.start(path, design))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Open a test to look at it; raises ``InputError`` for what is none."""
        return cls(path, *answers_file.read(path))

    def close(self) -> None:
        self._connection.close()

    def next(self, rater: str) -> Trial | None:
        """The trial that a rater has open, or a new one; None at the end. A rater not seen before is entered."""
        with self._writing() as database:
            plan = self._plan(database, rater)
            rows = database.execute(_TRIALS + "WHERE trials.rater = ? ORDER BY place", (rater,)).fetchall()
            if rows and rows[-1]["answered"] is None:
                return _trial(rows[-1])
            if len(rows) == len(plan):
                return None
            return self._issue(database, rater, plan, [_trial(row) for row in rows])

    def trial(self, name: str, rater: str) -> Trial | None:
        """One of a rater's trials; None where there is none of that name."""
        with self._lock:
            row = self._connection.execute(_TRIALS + "WHERE trials.id = ? AND rater = ?", (name, rater)).fetchone()
        return _trial(row) if row else None

    def answer(self, trial: Trial, said: Said) -> bool:
        """Store an answer, on disk when this returns; False where another one is stored already."""
        with self._writing() as database:
            old = database.execute("SELECT * FROM answers WHERE trial = ?", (trial.id,)).fetchone()
            if old:
                return all(old[name] == getattr(said, name) for name in ("preference", "quality", "relevance"))
            row = {**asdict(said), "trial": trial.id, "answered": time.time()}
            database.execute(
                "INSERT INTO answers VALUES (:trial, :preference, :quality, :relevance, :heard, :seconds, :answered)",
                row,
            )
            return True

    def done(self, rater: str) -> tuple[int, int]:
        """How many of a rater's trials are answered, and how many there are."""
        with self._lock:
            plan = self._connection.execute("SELECT schedule FROM raters WHERE id = ?", (rater,)).fetchone()
            found = "SELECT count(*) FROM answers JOIN trials ON trial = id WHERE rater = ?"
            count = self._connection.execute(found, (rater,)).fetchone()[0]
        return count, len(json.loads(plan[0])) if plan else 0

    def all(self) -> list[Answer]:
        """Every answer, in the order of raters and of what they were asked."""
        with self._lock:
            rows = self._connection.execute(
                _TRIALS + "WHERE answered IS NOT NULL ORDER BY raters.began, rater, place"
            ).fetchall()
        return [_answer(row) for row in rows]

    def _plan(self, database: sqlite3.Connection, rater: str) -> list[str]:
        row = database.execute("SELECT schedule FROM raters WHERE id = ?", (rater,)).fetchone()
        if row:
            return json.loads(row["schedule"])
        count = database.execute("SELECT count(*) FROM raters").fetchone()[0]
        checks = [DAMAGED, IDENTICAL] if self.design.plain else [IDENTICAL]
        asked = min(self.design.trials, len(self._possible))
        plan = trials.schedule(asked, checks, np.random.default_rng([self.design.seed, 0, count]))
        database.execute("INSERT INTO raters VALUES (?, ?, ?)", (rater, json.dumps(plan), time.time()))
        return plan

    def _issue(self, database: sqlite3.Connection, rater: str, plan: list[str], mine: list[Trial]) -> Trial:
        count = database.execute("SELECT count(*) FROM trials").fetchone()[0]
        rng = np.random.default_rng([self.design.seed, 1, count])
        kind, place = plan[len(mine)], len(mine)
        swapped = False
        if kind == QUESTION:
            before = self._asked(database)
            asked = Counter(question for question, _ in before)
            had = [Question(one.prompt, one.sets) for one in mine if one.kind == QUESTION]
            question = trials.choose(self._possible, asked, had, rng)
            assert question is not None, "a plan holds no more questions than there are"
            if self.design.mode == PAIRS:
                shown = [right for other, right in before if other.sets == question.sets]
                swapped = trials.on_the_right(shown, rng)
        else:
            kind, question = self._check(kind, mine, rng)
            swapped = self.design.mode == PAIRS and bool(rng.integers(2))
        first, second = (*question.sets, None)[:2]
        row = (secrets.token_urlsafe(12), rater, place, kind, question.prompt, first, second, swapped, time.time())
        database.execute("INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        return Trial(row[0], rater, place, len(plan), kind, question.prompt, question.sets, swapped)

    def _check(self, kind: str, mine: list[Trial], rng: np.random.Generator) -> tuple[str, Question]:
        """A clip with its damaged copy or with itself; of one that this rater rated before, where clips come alone."""
        if self.design.mode == MOS:
            rated = [(one.prompt, one.sets[0]) for one in mine if one.kind == QUESTION]
            fit = [clip for clip in rated if clip in self.design.plain]
            kind, choices = (DAMAGED, fit) if kind == DAMAGED and fit else (IDENTICAL, rated)
        else:
            everything = [(question.prompt, question.sets[0]) for question in self._possible]
            choices = list(self.design.plain) if kind == DAMAGED else list(self.design.plain) or everything
        prompt, chosen = choices[int(rng.integers(len(choices)))]
        return kind, Question(prompt, (chosen,) if self.design.mode == MOS else (chosen, chosen))

    def _asked(self, database: sqlite3.Connection) -> list[tuple[Question, bool]]:
        """Questions that were answered, or may be answered any moment, and which way round."""
        rows = database.execute(
            _TRIALS + "WHERE kind = 'question' AND (answered IS NOT NULL OR issued > ?)",
            (time.time() - _FORGOTTEN_SECONDS,),
        )
        return [(Question(one.prompt, one.sets), one.swapped) for one in map(_trial, rows.fetchall())]

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.OperationalError as error:
                raise OutputError(f"the database {self.path} cannot be written: {error}") from None


_TRIALS = (
    "SELECT trials.*, raters.schedule, answers.* FROM trials JOIN raters ON rater = raters.id"
    " LEFT JOIN answers ON trial = trials.id "
)


def _trial(row: sqlite3.Row) -> Trial:
    sets = (row["first"],) if row["second"] is None else (row["first"], row["second"])
    total = len(json.loads(row["schedule"]))
    return Trial(
        row["id"], row["rater"], row["place"], total, row["kind"], row["prompt"], sets, bool(row["swapped"])
    )  # fmt: skip


def _answer(row: sqlite3.Row) -> Answer:
    said = Said(row["preference"], row["quality"], row["relevance"], row["heard"], row["seconds"])
    return Answer(_trial(row), said, row["answered"])
