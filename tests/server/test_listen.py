"""A listening test over HTTP: what the page asks for, what tells nothing, what is refused with a sentence."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.evaluation.listeners import attentive, write_sets
from toccata.evaluation.answers import Answers
from toccata.evaluation.answers_file import Design
from toccata.evaluation.matching import read_sets
from toccata.evaluation.playback import prepare
from toccata.server.listen import ListeningTest, listening_app

HERE = "http://127.0.0.1:8000"
TOKEN = "a-token-of-mine"


@pytest.fixture
def make(tmp_path: Path) -> Iterator:
    """A test of two sets in ``tmp_path``, and a client of its server."""
    opened = []

    def make(mode: str = "pairs", token: str | None = None) -> tuple[ListeningTest, TestClient]:
        if not (tmp_path / "ours").exists():
            write_sets(tmp_path)
        places = [str(tmp_path / name / "manifest.jsonl") for name in ("ours", "theirs")]
        material, playback, _ = prepare(read_sets(places), 30)
        design = Design(mode, material.names, material.prompts, 4, 30.0, 0, material.fingerprint(), playback.plain)
        answers = Answers.start(tmp_path / f"{mode}.db", design)
        test = ListeningTest(material, playback, answers)
        client = TestClient(listening_app(test, token), base_url=HERE, follow_redirects=False)
        opened.append(answers)
        return test, client

    yield make
    for answers in opened:
        answers.close()


def body(test: ListeningTest, trial: dict, rater: str = "ann") -> dict:
    """What the page would send for an attentive rater."""
    known = test.answers.trial(trial["id"], rater)
    assert known is not None
    said = attentive(known)
    told = {"preference": said.preference} if said.preference is not None else {
        "quality": said.quality, "relevance": said.relevance}  # fmt: skip
    return {**told, "heard": [1.0] * trial["clips"], "seconds": 2.5}


def is_problem(response, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert told["status"] == status
    assert told["title"]
    return told["detail"]


@pytest.mark.parametrize("mode", ["pairs", "mos"])
def test_a_rater_goes_through_the_whole_test(make, mode):
    test, client = make(mode)
    for done in range(10):
        screen = client.post("/v1/trials?rater=ann").json()
        assert (screen["mode"], screen["done"]) == (mode, done)
        trial = screen["trial"]
        if trial is None:
            break
        assert trial["text"] in test.material.prompts
        for place in range(trial["clips"]):
            clip = client.get(f"/v1/trials/{trial['id']}/clips/{place}?rater=ann")
            assert clip.headers["content-type"] == "audio/wav"
            assert clip.content.startswith(b"RIFF")
        answered = client.post(f"/v1/trials/{trial['id']}/answer?rater=ann", json=body(test, trial))
        assert answered.json() == {"done": done + 1, "total": screen["total"]}
    assert screen["done"] == screen["total"] == len(test.answers.all()) == 6


def test_who_comes_back_gets_the_same_screen_and_another_rater_another_test(make):
    test, client = make()
    first = client.post("/v1/trials?rater=ann").json()
    assert client.post("/v1/trials?rater=ann").json() == first
    client.post(f"/v1/trials/{first['trial']['id']}/answer?rater=ann", json=body(test, first["trial"]))
    again = make()[1].post("/v1/trials?rater=ann").json()
    assert (again["done"], again["trial"]["id"] != first["trial"]["id"]) == (1, True)
    assert client.post("/v1/trials?rater=bob").json()["done"] == 0


def test_the_address_names_the_rater_and_a_cookie_remembers_it(make):
    _, client = make()
    first = client.get("/")
    assert first.status_code == 303
    assert client.get(first.headers["location"]).status_code == 200
    assert client.get("/").headers["location"] == first.headers["location"]
    page = client.get("/?rater=ann")
    assert "<title>Listening test</title>" in page.text
    assert client.get("/").headers["location"] == "/?rater=ann"


def test_nothing_about_a_clip_tells_its_set(make, tmp_path):
    _, client = make()
    heads, texts = set(), []
    for rater in ("ann", "bob", "cleo"):
        screen = client.post(f"/v1/trials?rater={rater}")
        trial = screen.json()["trial"]
        texts.append(screen.text)
        for place in range(2):
            clip = client.get(f"/v1/trials/{trial['id']}/clips/{place}?rater={rater}")
            assert b"ours" not in clip.content + str(clip.headers).encode()
            heads.add((trial["id"], tuple(sorted(clip.headers.items())), clip.content[:44]))
    assert len(heads) == 3  # both clips of a trial have the same headers, and the same head of the file
    for secret in ("ours", "theirs", str(tmp_path), "kind", "damaged", "identical", "question"):
        assert not any(secret in text for text in texts)


def test_a_damaged_copy_sounds_the_same_whenever_it_is_loaded(make):
    test, client = make()
    while (trial := client.post("/v1/trials?rater=ann").json()["trial"]) is not None:
        known = test.answers.trial(trial["id"], "ann")
        assert known is not None
        clips = [client.get(f"/v1/trials/{trial['id']}/clips/{place}?rater=ann").content for place in range(2)]
        assert (clips[0] == clips[1]) == (known.kind == "identical")
        fresh = TestClient(listening_app(test), base_url=HERE)
        assert clips == [fresh.get(f"/v1/trials/{trial['id']}/clips/{place}?rater=ann").content for place in range(2)]
        client.post(f"/v1/trials/{trial['id']}/answer?rater=ann", json=body(test, trial))


WRONG = [
    ({"preference": 3}, "less than or equal to 2"), ({"preference": "1"}, "valid integer"),
    ({"preference": 1.5}, "integer"), ({"preference": True}, "integer"), ({"preference": None}, "integer"),
    ({"heard": [1.0]}, "at least 2"), ({"heard": [1.0, 1.2]}, "less than or equal to 1"),
    ({"heard": [1.0, 0.3]}, "to its end"), ({"seconds": -1}, "greater than or equal to 0"), ({"set": "ours"}, "Extra"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "says"), WRONG, ids=[str(change) for change, _ in WRONG])
def test_answers_out_of_range_are_refused_and_nothing_is_stored(make, change, says):
    test, client = make()
    trial = client.post("/v1/trials?rater=ann").json()["trial"]
    sent = client.post(f"/v1/trials/{trial['id']}/answer?rater=ann", json=body(test, trial) | change)
    assert says in is_problem(sent, 422)
    assert not test.answers.all()


def test_marks_have_a_range_too(make):
    test, client = make("mos")
    trial = client.post("/v1/trials?rater=ann").json()["trial"]
    for change in ({"quality": 0}, {"quality": 101}, {"relevance": 1e9}, {"preference": 1}):
        is_problem(client.post(f"/v1/trials/{trial['id']}/answer?rater=ann", json=body(test, trial) | change), 422)
    is_problem(client.get(f"/v1/trials/{trial['id']}/clips/1?rater=ann"), 404)


def test_broken_json_and_huge_bodies_are_refused(make):
    test, client = make()
    trial = client.post("/v1/trials?rater=ann").json()["trial"]
    to, kind = f"/v1/trials/{trial['id']}/answer?rater=ann", {"Content-Type": "application/json"}
    for broken in (b"{", b"\xff\xfe", b""):
        assert client.post(to, content=broken, headers=kind).status_code in (400, 422)
    assert "no JSON" in is_problem(client.post(to, content=b'{"preference": ', headers=kind), 400)
    not_finite = json.dumps(body(test, trial) | {"seconds": float("nan")}).encode()
    is_problem(client.post(to, content=not_finite, headers=kind), 422)
    is_problem(client.post(to, content=b"[" * 50_000, headers=kind), 400)
    large = b'{"x": "' + b"a" * 70_000 + b'"}'
    assert "65,536" in is_problem(client.post(to, content=large, headers=kind), 413)
    assert "65,536" in is_problem(client.post(to, content=iter([large[:40_000], large[40_000:]]), headers=kind), 413)
    assert not test.answers.all()


def test_an_answer_is_taken_once_and_only_from_whom_was_asked(make):
    test, client = make()
    trial = client.post("/v1/trials?rater=ann").json()["trial"]
    sent, to = body(test, trial), f"/v1/trials/{trial['id']}/answer"
    is_problem(client.post(f"{to}?rater=bob", json=sent), 404)
    assert client.post(f"{to}?rater=ann", json=sent).status_code == 200
    assert client.post(f"{to}?rater=ann", json=sent).status_code == 200
    other = sent | {"preference": -sent["preference"] or 2}
    assert "before" in is_problem(client.post(f"{to}?rater=ann", json=other), 409)
    assert len(test.answers.all()) == 1


@pytest.mark.parametrize(
    "path",
    ["/static/../../../pyproject.toml", "/static/%2e%2e/%2e%2e/version.py", "/static/..%2f..%2fversion.py",
     "/static//etc/passwd", "/v1/trials/../../x/clips/0?rater=ann", "/static/", "/nothing"],
)  # fmt: skip
def test_paths_lead_nowhere_else(make, path):
    assert "there is nothing at" in is_problem(make()[1].get(path), 404)


@pytest.mark.parametrize("rater", ["", "a/b", "a" * 65, "../x", "ü"])
def test_a_raters_id_is_letters_and_digits(make, rater):
    _, client = make()
    is_problem(client.post("/v1/trials", params={"rater": rater}), 422)
    is_problem(client.get("/", params={"rater": rater}), 422)
    is_problem(client.post("/v1/trials"), 422)


def test_with_a_token_nothing_is_open_without_it(make):
    _, client = make(token=TOKEN)
    for path in ("/", "/static/app.js", "/healthz", "/?token=another"):
        assert "token" in is_problem(client.get(path), 401)
    is_problem(client.post("/v1/trials?rater=ann"), 401)
    assert client.get("/healthz", headers={"Authorization": f"Bearer {TOKEN}"}).json() == {"status": "ok"}
    entered = client.get(f"/?token={TOKEN}&rater=ann")
    assert entered.headers["location"] == "/?rater=ann"
    assert client.get("/?rater=ann").status_code == 200  # by the cookie
    assert client.post("/v1/trials?rater=ann").status_code == 200


def test_without_a_token_only_names_of_this_machine_are_answered(make):
    _, client = make()
    for host in ("evil.example", "127.0.0.1.evil.example:8000", ""):
        is_problem(client.get("/healthz", headers={"Host": host}), 421)
    for host in ("localhost:8000", "127.0.0.1", "[::1]:8000", "[::1]"):
        assert client.get("/healthz", headers={"Host": host}).status_code == 200
    is_problem(client.post("/v1/trials?rater=ann", headers={"Sec-Fetch-Site": "cross-site"}), 403)


def test_every_response_keeps_browsers_from_guessing_and_telling(make):
    _, client = make()
    for path in ("/?rater=ann", "/static/app.js", "/nothing"):
        headers = client.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"


def test_a_clip_that_went_missing_is_told_without_its_path(make, tmp_path, caplog):
    _, client = make()
    for name in ("ours", "theirs"):
        for file in (tmp_path / name).glob("*.wav"):
            file.unlink()
    trial = client.post("/v1/trials?rater=ann").json()["trial"]
    with caplog.at_level(logging.ERROR):
        told = is_problem(client.get(f"/v1/trials/{trial['id']}/clips/0?rater=ann"), 500)
    assert str(tmp_path) not in told
    assert str(tmp_path) in caplog.text


def test_a_database_that_fails_is_told_as_ours_to_mend(make, caplog):
    test, client = make()
    test.answers._connection.execute("PRAGMA query_only = ON")
    assert "try again later" in is_problem(client.post("/v1/trials?rater=ann"), 503)
    assert str(test.answers.path) in caplog.text
