"""Public models from the terminal: the licence comes first, a pulled model is found by its name, pickles convert."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save

import toccata as package
from tests.evaluation.public_judges import pull
from tests.weights.local_hub import LocalHub, serving
from toccata import hub
from toccata.weights import catalogue
from toccata.weights.fetch import fetch

huggingface_hub = pytest.importorskip("huggingface_hub")
constants = pytest.importorskip("huggingface_hub.constants")
T5, DEMUCS = "google-t5/t5-base", "adefossez/HTDemucs"
FILES = {
    "config.json": b'{"model_type": "t5"}',
    "tokenizer.json": b"{}",
    "model.safetensors": save({"weight": torch.ones(400)}),
}


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    """A hub on this machine that the commands ask instead of the real one."""
    monkeypatch.setenv("TOCCATA_HOME", str(tmp_path))
    with serving() as local:
        local.files[T5] = FILES
        monkeypatch.setattr(constants, "ENDPOINT", local.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", local.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        yield local
    huggingface_hub.close_session()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_the_licence_has_to_be_accepted_by_an_option(toccata, local: LocalHub):
    code, out, err = toccata("models", "pull", T5)
    assert (code, out) == (2, b"")
    assert err.startswith(f"Licence of {T5}: Apache-2.0 (https://")
    assert "error: add --yes to accept the licence" in err.splitlines()[-1]
    assert not local.requests


def test_a_model_without_a_config_json_is_shown_by_the_settings_it_has(toccata, local: LocalHub):
    name = "stabilityai/stable-audio-open-small"
    local.files[name] = {"model_config.json": b'{"sample_size": 7}', "model.safetensors": FILES["model.safetensors"]}
    code, _, err = toccata("models", "pull", name, "--yes")
    assert code == 0
    assert "consent" in err
    code, out, _ = toccata("models", "show", name, "--json")
    assert code == 0
    assert json.loads(out)["config"] == {"sample_size": 7}


def test_a_licence_that_is_declined_fetches_nothing(toccata, local: LocalHub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    code, _, err = toccata("models", "pull", T5)
    assert code == 2
    assert "Accept it and fetch 893.0 MB? [y/N]" in err
    assert "was not accepted, so nothing was fetched" in err
    assert not local.requests


def test_a_licence_that_is_accepted_is_asked_once(toccata, local: LocalHub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    local.status = 500
    assert toccata("models", "pull", T5)[0] == 2  # accepted, but the hub is ill
    local.status = 200
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    code, out, err = toccata("models", "pull", T5)
    assert code == 0
    assert "Licence" not in err
    assert len(out.splitlines()) == len(FILES)
    assert all(len(line.split()[0]) == 64 and Path(line.split()[1].decode()).is_file() for line in out.splitlines())


def test_a_pulled_model_is_listed_shown_and_found(toccata, local: LocalHub):
    rows = {row["name"]: row for row in map(json.loads, toccata("models", "list", "--json")[1].splitlines())}
    assert (rows[T5]["here"], rows[T5]["bytes"]) == (False, 893_000_000)
    told = json.loads(toccata("models", "pull", "t5-base", "--yes", "--json")[1])
    assert told["name"] == T5
    assert told["files"].keys() == FILES.keys()
    assert told["bytes"] == sum(map(len, FILES.values()))
    assert hub.find(T5) == hub.find("t5-base") == Path(told["folder"])
    rows = {row["name"]: row for row in map(json.loads, toccata("models", "list", "--json")[1].splitlines())}
    assert (rows[T5]["here"], rows[T5]["bytes"]) == (True, told["bytes"])
    shown = json.loads(toccata("models", "show", T5, "--json")[1])
    assert shown["weights_sha256"] == told["weights_sha256"]
    assert shown["config"] == {"model_type": "t5"}


def test_demucs_is_listed_pulled_and_shown_but_makes_no_music(toccata, local: LocalHub):
    said = {"klass": "demucs.htdemucs.HTDemucs", "args": "[]", "kwargs": '{"channels": 48}'}
    weights = save({"weight": torch.ones(400)}, said)
    local.files[DEMUCS] = {"htdemucs.yaml": b"models: ['955717e8']", "955717e8.safetensors": weights}
    rows = {row["name"]: row for row in map(json.loads, toccata("models", "list", "--json")[1].splitlines())}
    assert (rows[DEMUCS]["family"], rows[DEMUCS]["licence"], rows[DEMUCS]["here"]) == ("demucs", "MIT", False)
    told = json.loads(toccata("models", "pull", DEMUCS, "--yes", "--json")[1])
    assert told["files"].keys() == local.files[DEMUCS].keys()
    shown = json.loads(toccata("models", "show", DEMUCS, "--json")[1])
    assert shown["weights_sha256"] == told["weights_sha256"]
    assert shown["config"] == {"955717e8": {"klass": said["klass"], "args": [], "kwargs": {"channels": 48}}}
    code, _, err = toccata("generate", "piano", "--model", DEMUCS)
    assert code == 2
    assert f"error: {DEMUCS} makes no music (its family is demucs)" in err


def test_a_model_that_was_fetched_without_its_licence_warns_with_it(toccata, local: LocalHub):
    fetch(T5)
    with pytest.warns(UserWarning, match=rf"Licence of {T5}: Apache-2\.0(.|\n)*toccata models pull {T5}"):
        hub.find(T5)
    toccata("models", "pull", T5, "--yes")
    hub.find(T5)  # a warning would be an error here


def test_a_public_model_that_is_not_here_names_the_command(toccata, local: LocalHub):
    for name in ("facebook/musicgen-small", "t5-base"):
        code, _, err = toccata("generate", "piano", "--model", name)
        public = catalogue.find(name)
        assert public is not None
        assert code == 2
        assert f"run: toccata models pull {public.name} (" in err
    with pytest.raises(package.InputError, match="did you mean facebook/encodec_24khz"):
        hub.find("facebook/encodec_24kh")
    with pytest.raises(package.InputError, match="cannot read facebook/musicgen-style yet"):
        hub.find("facebook/musicgen-style")
    assert not local.requests


def run(source: str, home: Path) -> "subprocess.CompletedProcess[str]":
    """``source`` in a process of its own, where nothing is imported yet."""
    return subprocess.run(
        [sys.executable, "-c", source], env={**os.environ, "TOCCATA_HOME": str(home)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_hub_s_library_is_loaded_for_fetching_alone(tmp_path: Path):
    source = (
        "import sys, toccata; from toccata.cli import main\n"
        "codes = main(['models', 'list']), main(['generate', 'x', '--model', 'facebook/musicgen-small'])\n"
        "assert codes == (0, 2), codes; assert not {'torch', 'huggingface_hub'} & set(sys.modules)\n"
        "toccata.load(); assert not {'huggingface_hub', 'transformers'} & set(sys.modules)"
    )
    done = run(source, tmp_path)
    assert done.returncode == 0, done.stderr


def test_without_the_hub_s_library_pulling_says_how_to_get_it(tmp_path: Path):
    source = (
        "import sys; sys.modules['huggingface_hub'] = None; from toccata.cli import main; "
        f"sys.exit(main(['models', 'pull', '{T5}', '--yes']))"
    )
    done = run(source, tmp_path)
    assert done.returncode == 2
    assert "error: fetching public models needs the package huggingface_hub; run: " in done.stderr
    assert done.stderr.endswith("-m pip install huggingface_hub\n")


def test_a_pickle_is_converted(toccata, tmp_path: Path):
    torch.save({"best_state": {"a": torch.ones(3)}}, tmp_path / "state_dict.bin")
    code, out, err = toccata("models", "convert", tmp_path / "state_dict.bin", "--out", tmp_path / "out")
    assert (code, err) == (0, "")
    assert load_file(out.decode().strip()).keys() == {"best_state.a"}
    code, out, err = toccata("models", "convert", tmp_path / "gone", "--out", tmp_path / "out")
    assert (code, out, err.count("\n")) == (2, b"", 1)


def test_a_judge_that_lies_elsewhere_is_shown_with_where_it_is_from(toccata, local: LocalHub, monkeypatch):
    found = pull("vggish", monkeypatch)
    shown = json.loads(toccata("models", "show", "vggish", "--json")[1])
    assert shown["weights_sha256"] == found.sha256
    assert shown["config"]["from"].startswith("https://github.com/harritaylor/torchvggish/")
    code, _, err = toccata("generate", "a song", "--model", "vggish", "-o", "x.wav")
    assert (code, "vggish makes no music" in err) == (2, True)
