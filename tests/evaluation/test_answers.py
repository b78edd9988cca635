"""The database: balanced, taken up again, never half-written, nobody else's."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.evaluation.listeners import attentive, design, listen
from toccata.errors import InputError, OutputError
from toccata.evaluation.answers import Answers, Said
from toccata.evaluation.trials import DAMAGED, IDENTICAL, QUESTION


@pytest.fixture
def start(tmp_path):
    opened = []

    def start(**changes):
        opened.append(Answers.start(tmp_path / "test.db", design(**changes)))
        return opened[-1]

    yield start
    for answers in opened:
        answers.close()


@pytest.mark.parametrize(("mode", "sets"), [("pairs", 4), ("mos", 3)])
def test_across_raters_everything_is_asked_equally_often(start, mode, sets):
    answers = start(mode=mode, sets=sets, prompts=6, trials=12)
    for rater in range(6):
        listen(answers, f"r{rater}")
    asked = [one.trial for one in answers.all() if one.trial.kind == QUESTION]
    assert len(set(Counter((trial.prompt, trial.sets) for trial in asked).values())) == 1
    if mode == "pairs":
        right = Counter(trial.sets for trial in asked if trial.swapped)
        assert all(count == 6 for count in right.values())


def test_raters_at_the_same_time_are_balanced_as_well(start):
    answers = start(sets=3, prompts=4, trials=6)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda rater: listen(answers, f"r{rater}"), range(6)))
    asked = Counter((one.trial.prompt, one.trial.sets) for one in answers.all() if one.trial.kind == QUESTION)
    assert sum(asked.values()) == 36
    assert max(asked.values()) - min(asked.values()) <= 2
    assert len(asked) == 12


def test_a_rater_goes_on_where_they_stopped(start):
    first = start(prompts=8)
    asked = listen(first, "ann", most=3)
    opened = first.next("ann")
    again = start(prompts=8)
    assert again.next("ann") == opened
    assert again.done("ann") == (3, 10)
    rest = listen(again, "ann")
    assert [trial.place for trial in asked + rest] == list(range(10))
    assert again.next("ann") is None
    assert again.done("ann") == (10, 10)
    assert again.done("nobody") == (0, 0)


def test_checks_show_a_clip_with_its_damaged_copy_and_with_itself(start):
    asked = listen(start(sets=3), "ann")
    damaged = next(trial for trial in asked if trial.kind == DAMAGED)
    identical = next(trial for trial in asked if trial.kind == IDENTICAL)
    assert damaged.sets[0] == damaged.sets[1]
    assert sorted(spoilt for _, spoilt in damaged.clips) == [False, True]
    assert damaged.clips[0 if damaged.swapped else 1][1]
    assert identical.clips == ((identical.sets[0], False),) * 2


def test_single_clips_are_checked_by_those_rated_before(start):
    for rater in range(8):
        asked = listen(start(mode="mos", sets=2), f"r{rater}")
        for place, trial in enumerate(asked):
            if trial.kind != QUESTION:
                rated = [one for one in asked[:place] if one.kind == QUESTION]
                assert (trial.prompt, trial.sets) in [(one.prompt, one.sets) for one in rated]
                assert trial.clips == ((trial.sets[0], trial.kind == DAMAGED),)


def test_without_music_that_noise_would_spoil_only_equal_clips_check(tmp_path):
    answers = Answers.start(tmp_path / "noise.db", replace(design(), plain=()))
    assert {trial.kind for trial in listen(answers, "ann")} == {QUESTION, IDENTICAL}
    answers.close()


def test_an_answer_counts_once_and_is_not_changed_by_a_second_one(start):
    answers = start()
    trial = answers.next("ann")
    assert answers.answer(trial, Said(1, None, None, 1.0, 2.0))
    assert answers.answer(trial, Said(1, None, None, 1.0, 9.0))
    assert not answers.answer(trial, Said(-1, None, None, 1.0, 2.0))
    assert [one.said.preference for one in answers.all()] == [1]
    assert answers.trial(trial.id, "bob") is None


def test_a_preference_points_to_the_first_set_whichever_side_it_was_on(start):
    answers = start(prompts=8, trials=8)
    listen(answers, "ann")
    questions = [one for one in answers.all() if one.trial.kind == QUESTION]
    assert {one.said.preference for one in questions} == {-1, 1}
    assert {one.preference for one in questions} == {1}


def test_answers_out_of_range_are_refused_by_the_database_itself(start):
    answers = start()
    trial = answers.next("ann")
    with pytest.raises(sqlite3.IntegrityError):
        answers.answer(trial, Said(3, None, None, 1.0, 2.0))
    assert answers.answer(trial, attentive(trial))


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.evaluation.listeners import attentive, design
from toccata.evaluation.answers import Answers
answers = Answers.start(Path(sys.argv[1]), design(prompts=40, trials=40))
while trial := answers.next("ann"):
    answers.answer(trial, attentive(trial))
    print(trial.id, flush=True)
    if trial.place == 24:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nothing_is_lost_when_the_server_is_killed(tmp_path):
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path / "test.db"],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    answers = Answers.read(tmp_path / "test.db")
    assert [one.trial.id for one in answers.all()] == done.stdout.split()
    assert len(answers.all()) == 25
    answers.close()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"mode": "mos"}, "another kind"),
        ({"names": ("a", "x")}, "other sets"),
        ({"fingerprint": "y"}, "other sound"),
        ({"trials": 9}, "--trials 8"),
        ({"seconds": 5.0}, "--seconds 10"),
    ],
)
def test_the_database_of_another_test_is_refused(start, tmp_path, change, says):
    start()
    with pytest.raises(InputError, match=f"another test, with {says}"):
        Answers.start(tmp_path / "test.db", replace(design(), **change))


def test_what_is_no_database_of_a_listening_test_is_refused_and_left_as_it_is(tmp_path):
    (tmp_path / "text.db").write_text("words" * 100)
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE mine (x)")
    other.close()
    before = (tmp_path / "other.db").read_bytes()
    for name in ("text.db", "other.db"):
        with pytest.raises(InputError, match="database of a listening test"):
            Answers.start(tmp_path / name, design())
        with pytest.raises(InputError, match="database of a listening test"):
            Answers.read(tmp_path / name)
    assert (tmp_path / "other.db").read_bytes() == before
    with pytest.raises(InputError, match="does not exist"):
        Answers.read(tmp_path / "none.db")


def test_a_database_that_cannot_be_written_is_told_at_once(tmp_path):
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        Answers.start(tmp_path / "folder.db", design())
    with pytest.raises(OutputError, match="does not exist"):
        Answers.start(tmp_path / "none" / "x.db", design())
