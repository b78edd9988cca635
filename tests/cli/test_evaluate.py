"""``toccata evaluate``: a table or JSON on stdout, a page, statistics; wrong input is one line."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.evaluation.public_judges import pull
from toccata import hub
from toccata.audio import io
from toccata.clip import Clip
from toccata.evaluation import run
from toccata.evaluation.ears import mono
from toccata.evaluation.sets import Item
from toccata.evaluation.structure import frames_of

RATE = 8000
LOAD_JUDGE = hub.load_judge


class Ear:
    recipe = {"embedding": "mel", "sample_rate": RATE}  # noqa: RUF012

    def hear(self, clip: Clip) -> dict[str, np.ndarray]:
        return {"rows_ND": frames_of(mono(clip, RATE), RATE)[:, ::8]}


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two folders of nine clips, one broken file in the second; a fast ear, short controls."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOCCATA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(hub, "load_judge", lambda name, device: Ear())
    silence = [Item(f"silence {k}", sound=Clip(np.zeros((1, 2 * RATE), np.float32), RATE)) for k in range(2)]
    noise = [Item(f"noise {k}", sound=Clip(_noise(k), RATE)) for k in range(2)]
    monkeypatch.setattr(run, "controls", lambda: (noise, silence))
    for name, level in (("ref", 0.0), ("gen", 0.1)):
        (tmp_path / name).mkdir()
        for k in range(9):
            t = np.arange(2 * RATE) / RATE
            wave = 0.3 * np.sin(2 * np.pi * 220 * 2 ** ((k + t.round()) / 12) * t) + level * _noise(k)[0]
            io.write(tmp_path / name / f"{k}.wav", wave.astype(np.float32)[None], RATE, {})
    (tmp_path / "gen/broken.wav").write_bytes(b"no sound")
    return tmp_path


def _noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.2, 0.2, (1, 2 * RATE)).astype(np.float32)


METRICS = ("--metrics", "frechet,frechet-infinity,frechet-clips,structure,copies,guards")


def test_json_has_scores_controls_and_what_was_left_out(toccata, sets):
    code, out, err = toccata("evaluate", "ref", "gen", *METRICS, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert (told["reference_clips"], told["generated_clips"], len(told["left_out"])) == (9, 9, 1)
    assert "gen/broken.wav" in told["left_out"][0]
    assert "1 files were left out" in err
    scores = {score["metric"]: score for score in told["scores"]}
    assert scores["Fréchet distance"]["controls"].keys() == {"reference's halves", "noise", "silence"}
    assert (
        scores["Fréchet distance"]["low"] <= scores["Fréchet distance"]["value"] <= scores["Fréchet distance"]["high"]
    )
    assert told["recipe"] == Ear.recipe


def test_a_table_for_people_names_every_score(toccata, sets):
    code, out, _ = toccata("evaluate", "ref", "gen", *METRICS)
    assert code == 0
    for word in ("Fréchet distance", "FAD-infinity", "comes back", "near-copies", "clips that are stuck", "noise"):
        assert word in out.decode()


def test_a_page_is_whole_and_its_players_lead_to_the_clips(toccata, sets):
    (sets / "pages").mkdir()
    code, _, err = toccata("evaluate", "ref", "gen", *METRICS, "--report", "pages/r.html", "--json")
    assert code == 0, err
    page = (sets / "pages/r.html").read_text()
    assert page.count("<svg") == 2 + page.count('class="small"')
    assert 'src="../gen/3.wav"' in page
    assert 'src="../ref/3.wav"' in page
    assert "broken.wav is not a sound file" in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_what_people_write_is_no_html(toccata, sets):
    Path("p.txt").write_text("\n".join(["<script>alert(1)</script>"] * 9))
    (sets / "gen/broken.wav").unlink()
    code, _, err = toccata("evaluate", "ref", "gen", *METRICS, "--prompts", "p.txt", "--report", "r.html", "--json")
    assert code == 0, err
    assert "<script>" not in Path("r.html").read_text()


def test_statistics_replace_the_reference(toccata, sets):
    frechet = ("--metrics", "frechet", "--json")
    code, out, err = toccata("evaluate", "ref", "gen", *frechet, "--save-statistics", "ref.npz")
    assert code == 0, err
    again = toccata("evaluate", "ref.npz", "gen", *frechet)
    assert again[0] == 0, again[2]
    assert json.loads(again[1])["scores"] == json.loads(out)["scores"]


def test_a_model_makes_its_clips_first_and_only_once(toccata, sets, model):
    rows = [{"path": f"ref/{k}.wav", "caption": f"tune {k}"} for k in range(9)]
    Path("ref.jsonl").write_text("\n".join(map(json.dumps, rows)))
    arguments = ("evaluate", "ref.jsonl", "humming", "--metrics", "frechet,duration", "--seconds", 2, "--json")
    code, out, err = toccata(*arguments)
    assert code == 0, err
    assert [asked["prompt"] for asked in model.asked] == [f"tune {k}" for k in range(9)]
    assert [asked["seed"] for asked in model.asked] == list(range(9))
    lengths = [score for score in json.loads(out)["scores"] if score["unit"] == "s"]
    assert lengths[0]["value"] == pytest.approx(0, abs=0.06)
    assert toccata(*arguments)[1] == out
    assert len(model.asked) == 9


def test_wrong_input_is_one_line_and_leaves_nothing(toccata, sets):
    (sets / "two").mkdir()
    for k in range(2):
        soundfile.write(sets / "two" / f"{k}.wav", _noise(k)[0], RATE)
    (sets / "empty").mkdir()
    Path("p.txt").write_text("only one\n")
    Path("caps.csv").write_text("a,b\n")
    for arguments, says in (
        (["ref", "two"], "2 clips that can be heard, too few"),
        (["ref", "empty"], "holds no sound files"),
        (["nowhere", "gen"], "no folder and no manifest"),
        (["none.npz", "gen"], "does not exist"),
        (["ref", "no-such-model"], "there is no model"),
        (["ref", "gen", "--metrics", "fid"], "no metric 'fid'"),
        (["ref", "gen", "--metrics", " , "], "no metric is named"),
        (["ref", "gen", "--metrics", "text"], "not every clip has a prompt"),
        (["ref", "gen", "--prompts", "p.txt"], "1 prompts for 10 clips"),
        (["ref", "gen", "--report", "r.pdf"], "must end in .html"),
        (["ref", "gen", "--report", "none/r.html"], "does not exist"),
        (["ref", "musicgen-mini"], "there are no prompts"),
        (["ref", "gen", "--audio", "ref"], "leave them out"),
        (["caps.csv", "gen"], "--audio"),
        (["caps.csv", "gen", "--audio", "ref"], "neither MusicCaps"),
    ):
        code, out, err = toccata("evaluate", *arguments)
        assert (code, out) == (2, b""), (arguments, err)
        assert says in err.splitlines()[-1], arguments
        assert err.splitlines()[-1].startswith("error: ")
    assert not list(sets.glob("*.html"))


def test_public_judges_embed_and_label_and_statistics_tell_how(toccata, sets, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub, "load_judge", LOAD_JUDGE)
    found = pull("vggish", monkeypatch)
    pull("pann-cnn14-16k", monkeypatch)
    (sets / "gen/broken.wav").unlink()
    how = ("--metrics", "frechet,kl", "--embedding", "vggish", "--labels", "pann-cnn14-16k")
    code, out, err = toccata("evaluate", "ref", "gen", *how, "--save-statistics", "ref.npz", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert (told["recipe"]["embedding"], told["recipe"]["weights_sha256"]) == ("vggish", found.sha256)
    assert [score["metric"] for score in told["scores"]] == [
        "Fréchet distance", "KL of labels, pairs", "KL of labels, pairs reversed", "KL of labels, sets",
    ]  # fmt: skip
    assert "pann-cnn14-16k's tags" in told["scores"][1]["how"]
    code, _, err = toccata("evaluate", "ref.npz", "gen", "--metrics", "frechet", "--embedding", "pann-cnn14-16k")
    assert (code, "made with embedding vggish" in err) == (2, True)


def test_judges_that_are_not_here_say_how_to_get_them(toccata, sets, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub, "load_judge", LOAD_JUDGE)
    for option, name in (
        ("--embedding", "vggish"),
        ("--embedding", "pann-cnn14"),
        ("--labels", "pann-cnn14"),
        ("--labels", "passt"),
    ):
        code, out, err = toccata("evaluate", "ref", "gen", option, name)
        assert (code, out) == (2, b"")
        assert f"run: toccata models pull {name} (0.3 GB" in err.splitlines()[-1]
