"""The command as a whole: help, version, speed, signals, pipes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from toccata import __version__, hub
from toccata.weights import catalogue

MODELS = ["models list", "models show", "models pull", "models convert"]
COMMANDS = ["generate", *MODELS, "corpus make", "train", "encode", "decode"]
PROGRAM = [sys.executable, "-m", "toccata"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(toccata, command: str):
    code, out, err = toccata(*command.split(), "--help")
    assert (code, err) == (0, "")
    assert f"Example: toccata {command}" in out.decode()


def test_alone_it_shows_its_help_and_tells_its_version(toccata):
    assert b"generate" in toccata()[1]
    assert toccata("--version")[1].decode() == f"toccata {__version__}\n"


def test_an_unknown_command_is_one_line(toccata):
    code, out, err = toccata("generat")
    assert (code, out) == (2, b"")
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_help_and_wrong_input_do_not_load_torch():
    source = (
        "import sys, toccata; from toccata.cli import main; "
        "codes = main(['--help']), main(['generate', ' ']), main(['generate', 'x', '--model', 'no']); "
        "assert codes == (0, 2, 2), codes; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", source], check=True, capture_output=True)


def test_models_are_listed_for_people_and_programs(toccata):
    _, table, _ = toccata("models", "list")
    _, lines, _ = toccata("models", "list", "--json")
    rows = [json.loads(line) for line in lines.splitlines()]
    assert {row["name"] for row in rows} == {model.name for model in (*hub.KNOWN, *catalogue.PUBLIC)}
    assert all(row["name"] in table.decode() for row in rows)
    assert all((row["bytes"] or 0) > 0 for row in rows if row["here"])


def test_a_model_is_listed_at_its_codec_s_rate(toccata, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(hub, "BUNDLED", tmp_path)
    for name, config in (
        ("soundstream-mini", {"codec": {"sample_rate": 24_000}, "weights": ["a"]}),
        ("musicgen-mini", {"codec": "soundstream-mini", "weights": ["a"]}),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_bytes(bytes(5))
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    rows = [json.loads(line) for line in toccata("models", "list", "--json")[1].splitlines()]
    found = {row["name"]: (row["sample_rate"], row["bytes"], row["here"]) for row in rows}
    assert found["musicgen-mini"] == found["soundstream-mini"] == (24_000, 5, True)
    assert found["text-mini"] == (None, None, False)


def test_a_model_is_shown_with_its_hash_and_configuration(toccata):
    _, out, _ = toccata("models", "show", "text-mini", "--json")
    shown = json.loads(out)
    assert len(shown["weights_sha256"]) == 64
    assert shown["config"]["weights"]


def test_a_reader_that_leaves_is_no_error():
    done = subprocess.run(
        f"set -o pipefail; '{sys.executable}' -m toccata --help | true", shell=True, executable="/bin/bash",
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr == b""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_without_traceback_or_file(tmp_path: Path, number: int, code: int):
    source = (
        "import sys, time; from toccata import cli, hub; hub.find = str\n"
        "def load(*_): print('ready', flush=True); time.sleep(60)\n"
        "hub.load = load; sys.exit(cli.main(['generate', 'piano', '-o', 'a.wav']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", source], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, number)
    start = time.monotonic()
    _, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert time.monotonic() - start < 5
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_a_fault_shows_where_only_when_asked(toccata, model, monkeypatch):
    monkeypatch.setattr(model, "generate", lambda *_, **__: 1 / 0)
    assert "Traceback" not in toccata("generate", "piano")[2]
    monkeypatch.setenv("TOCCATA_DEBUG", "1")
    assert "Traceback" in toccata("generate", "piano")[2]
