"""``toccata evaluate neighbours``: a copy is on top, the page plays both; wrong input is one line."""

import json
from pathlib import Path

import numpy as np
import pytest

from toccata.audio import io
from toccata.evaluation import neighbours, run
from toccata.evaluation.sets import Item

RATE = 16_000


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three training pieces, two clips of which one copies the second piece, two held-out pieces, a broken file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOCCATA_HOME", str(tmp_path / "home"))
    one = [Item(control[0].name, sound=control[0].sound) for control in run.controls()]
    monkeypatch.setattr(neighbours, "controls", lambda: (one[:1], one[1:]))
    for name, seeds in (("trained", (0, 1, 2)), ("made", (3, 1)), ("other", (4, 5))):
        (tmp_path / name).mkdir()
        for k, seed in enumerate(seeds):
            io.write(
                tmp_path / name / f"{k}.wav", _tune(seed)[:, : 6 * RATE if name == "trained" else 3 * RATE], RATE, {}
            )
    (tmp_path / "trained/broken.wav").write_bytes(b"no sound")
    return tmp_path


def _tune(seed: int) -> np.ndarray:
    rng, t = np.random.default_rng(seed), np.arange(RATE // 2) / RATE
    notes = [
        sum(np.sin(2 * np.pi * 110 * 2 ** (step / 12) * k * t) / k for k in (1, 2, 3))
        for step in rng.integers(40, size=12)
    ]
    return (0.2 * np.concatenate(notes)).astype(np.float32)[None]


ASK = ("evaluate", "neighbours", "trained", "made", "--window", 3)


def test_a_copy_is_on_top_and_the_page_plays_both(toccata, sets):
    (sets / "pages").mkdir()
    code, out, err = toccata(*ASK, "--held-out", "other", "--report", "pages/n.html", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert (told["training_pieces"], told["generated"]["clips"], told["held_out"]["clips"]) == (3, 2, 2)
    top = told["nearest"][0]
    assert (top["clip"], top["piece"], top["at"], top["there"]) == ("made/1.wav", "trained/1.wav", 0, 0)
    assert top["cosine"] > 0.999 > told["held_out"]["highest"]
    assert told["recipe"]["embedding"] == "mulan-mini"
    assert "broken.wav" in told["left_out"][0]
    page = (sets / "pages/n.html").read_text()
    assert 'src="../made/1.wav#t=0,3"' in page
    assert 'src="../trained/1.wav#t=0,3"' in page
    assert "nearer than any held-out piece" in page
    assert toccata(*ASK, "--held-out", "other", "--json")[1] == out


def test_people_get_a_few_lines(toccata, sets):
    code, out, _ = toccata(*ASK, "--count", 1)
    assert code == 0
    assert "made/1.wav from 0.0 s, trained/1.wav from 0.0 s" in out.decode()
    assert "held out" not in out.decode()


def test_wrong_input_is_one_line_and_leaves_nothing(toccata, sets):
    for arguments, says in (
        (["nowhere", "made"], "no folder and no manifest"),
        (["trained", "made", "--window", 0.5], "--window must be a number"),
        (["trained", "made", "--joint", "nothing"], "there is no model"),
        (["trained", "made", "--joint", "soundstream-mini"], "compares no music with words"),
        (["trained", "made", "--report", "x.txt"], "must end in .html"),
        (["trained", "made", "--held-out", "trained"], "are all in the training data"),
    ):
        code, out, err = toccata("evaluate", "neighbours", *arguments)
        assert (code, out) == (2, b""), (arguments, err)
        assert says in err.splitlines()[-1], err
    assert not list(sets.glob("x*"))
