"""``toccata listen``: a server that starts, is killed and goes on; a verdict for people, programs and tables."""

import csv
import io
import json
import os
import select
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evaluation.listeners import attentive, careless, design, listen, write_sets
from toccata.evaluation.answers import Answers
from toccata.server.run import bind

ROOT = Path(__file__).parents[2]


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_sets(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def start(sets: Path) -> Iterator:
    """Run the command in a process of its own; gives it and what it printed."""
    running = []

    def start(*options: str) -> tuple[subprocess.Popen[str], dict]:
        arguments = ["listen", "ours/manifest.jsonl", "theirs/manifest.jsonl", "--port", "0", "--json", *options]
        process = subprocess.Popen(
            [sys.executable, "-m", "toccata", *arguments], cwd=sets, text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), *sys.path])},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        running.append(process)
        assert process.stdout is not None
        assert process.stderr is not None
        select.select([process.stdout], [], [], 60)
        line = process.stdout.readline()
        assert line, process.stderr.read()
        return process, json.loads(line)

    yield start
    for process in running:
        process.kill()
        process.communicate()


def post(url: str, body: dict | None = None) -> dict:
    request = urllib.request.Request(url, json.dumps(body or {}).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.load(response)


def test_a_killed_server_has_lost_nothing_and_goes_on(start, sets):
    process, told = start("--trials", "3")
    assert (told["sets"], told["prompts"], told["mode"]) == (["ours", "theirs"], 4, "pairs")
    first = post(f"{told['url']}v1/trials?rater=ann")["trial"]
    sent = {"preference": 1, "heard": [1, 1], "seconds": 2}
    assert post(f"{told['url']}v1/trials/{first['id']}/answer?rater=ann", sent) == {"done": 1, "total": 5}
    process.send_signal(signal.SIGKILL)
    process.wait()
    process, told = start("--trials", "3")
    assert post(f"{told['url']}v1/trials?rater=ann")["done"] == 1
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert process.stderr is not None
    assert "stopped; 1 answers are in listening.db" in process.stderr.read()


def test_another_host_takes_a_token(start):
    _, told = start("--host", "0.0.0.0", "--token", "a-long-token")
    assert told["url"].endswith("?token=a-long-token")
    url = told["url"].partition("?")[0].replace("0.0.0.0", "127.0.0.1")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(url, timeout=20)
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with browser.open(f"{url}?token=a-long-token&rater=ann", timeout=20) as page:
        assert b"Listening test" in page.read()


def test_wrong_input_is_one_line_and_leaves_no_database(toccata, sets):
    (sets / "empty").mkdir()
    (sets / "text.db").write_text("no database, " * 100)
    (sets / "other.jsonl").write_text(json.dumps({"path": "ours/ours-0.wav", "prompt": "something else"}))
    both = ("ours/manifest.jsonl", "theirs/manifest.jsonl", "--port", "0")
    with bind("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        for arguments, says in (
            (["ours"], "two sets or more"),
            (["empty", "ours", "--port", "0"], "no sound files"),
            (["none", "ours", "--port", "0"], "no folder and no manifest"),
            (["ours", "theirs", "--port", "0"], "have no prompts"),
            (["ours/manifest.jsonl", "other.jsonl", "--port", "0"], "share no prompt"),
            ([*both, "--mode", "ranks"], "no mode 'ranks'"),
            ([*both, "--seconds", "0"], "--seconds"),
            ([*both, "--host", "0.0.0.0"], "give a --token"),
            ([*both, "--token", "short"], "a token has"),
            ([*both[:2], "--port", port], f"port {port} is in use"),
            ([*both, "--db", "none/x.db"], "does not exist"),
            ([*both, "--db", "empty"], "cannot be written"),
            ([*both, "--db", "text.db"], "no database of a listening test"),
            (["export", "none.db"], "does not exist"),
            (["export", "text.db"], "database of a listening test"),
            (["export", "text.db", "--json", "--csv"], "one of them"),
        ):
            code, out, err = toccata("listen", *arguments)
            assert (code, out) == (2, b""), (arguments, err)
            assert says in err.splitlines()[-1], (arguments, err)
            assert err.splitlines()[-1].startswith("error: ")
    assert not (sets / "listening.db").exists()


def test_without_fastapi_one_sentence_says_what_to_install(toccata, sets, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, _, err = toccata("listen", "ours", "theirs")
    assert (code, err.splitlines()) == (2, ["error: " + "serving needs FastAPI and uvicorn; run: pip install 'toccata[listen]'"])  # noqa: E501  # fmt: skip
    code, _, err = toccata("listen", "export", "x.db")
    assert (code, "pip install 'toccata[listen]'" in err) == (2, True)


@pytest.fixture
def answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A database with two attentive raters and a careless one."""
    monkeypatch.chdir(tmp_path)

    def answered(mode: str) -> str:
        answers = Answers.start(tmp_path / "test.db", design(mode, prompts=8))
        for rater, say in (("ann", attentive), ("bob", attentive), ("sleepy", careless)):
            listen(answers, rater, say)
        answers.close()
        return "test.db"

    return answered


@pytest.mark.parametrize("mode", ["pairs", "mos"])
def test_a_verdict_is_one_object(toccata, answered, mode):
    code, out, _ = toccata("listen", "export", answered(mode), "--json")
    told = json.loads(out)
    assert (code, told["mode"], told["raters_left_out"], told["left_out"]) == (0, mode, 1, ["sleepy"])
    assert told["sets"][0]["set"] == "a"
    assert told["pairs"][0]["p_holm"] <= 1
    assert {"missing", "significant"} <= told["pairs"][0].keys()


def test_people_get_tables_and_learn_who_was_left_out(toccata, answered):
    code, out, err = toccata("listen", "export", answered("pairs"))
    assert code == 0
    text = out.decode()
    for word in ("3 raters, 1 of them left out", "score", "a : b", "16 : 0", "answers missing"):
        assert word in text
    assert "sleepy was left out" in err


def test_marks_get_tables_too(toccata, answered):
    code, out, _ = toccata("listen", "export", answered("mos"))
    assert code == 0
    assert "quality" in out.decode()
    assert "relevance" in out.decode()


def test_every_answer_is_a_line_of_a_table(toccata, answered):
    _, out, _ = toccata("listen", "export", answered("pairs"), "--csv")
    rows = list(csv.DictReader(io.StringIO(out.decode())))
    assert len(rows) == 30
    assert {row["left_out"] for row in rows if row["rater"] == "sleepy"} == {"1"}
    for row in rows:
        if row["rater"] == "ann" and row["kind"] == "question":
            assert row["preference"] == ("-1" if row["left"] == "a" else "1")
        if row["kind"] == "damaged":
            assert ("+ noise" in row["left"]) != ("+ noise" in row["right"])
