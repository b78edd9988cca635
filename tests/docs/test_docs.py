"""The documentation agrees with the code: pages are fresh, links lead somewhere, commands and examples work."""

import importlib.util
import re
import runpy
import shlex
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import toccata
from toccata.audio import io
from toccata.codecs import soundstream
from toccata.corpus.soundfonts import FONTS, soundfont
from toccata.encoders.text import load_text_encoder
from toccata.models.musicgen.config import mini
from toccata.models.musicgen.network import MusicGenNetwork
from toccata.models.musicgen.pipeline import MusicGen

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    return module(ROOT / "docs" / "generate.py")


def test_what_is_generated_is_up_to_date(generate: ModuleType):
    stale = [str(path.relative_to(ROOT)) for path, text in generate.written().items() if path.read_text() != text]
    assert not stale, f"run python docs/generate.py; it changes {', '.join(stale)}"


def test_the_reference_has_every_command_with_its_options(generate: ModuleType):
    text = generate.cli_reference()
    for name, command in generate.commands():
        page = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        options = [option for parameter in command.params for option in parameter.opts if option.startswith("--")]
        assert all(option in page for option in options if option != "--help")
        assert f"```sh\n{name}" in page


def test_stored_figures_become_a_table_and_words_choose_among_them(generate: ModuleType, tmp_path: Path, monkeypatch):
    line = '{"bench": "codec", "metric": "%s", "value": %s, "unit": "dB", "against": null, "ratio": null, "control": 2.5, "n": 60, "device": "cpu: 2 cores", "commit": "abc"}\n'  # fmt: skip  # noqa: E501
    (tmp_path / "codec.jsonl").write_text(line % ("SI-SDR, band", "1.2345") + line % ("SI-SDR, piano", "null"))
    monkeypatch.setattr(generate, "RESULTS", tmp_path)
    whole = generate.filled("a\n<!-- numbers:codec -->\nold\n<!-- end -->\nb")
    assert "| SI-SDR, band | 1.23 dB | 2.5 | 60 |" in whole
    assert "| SI-SDR, piano |  | 2.5 | 60 |" in whole
    assert "on cpu: 2 cores, commit abc" in whole
    assert "old" not in whole
    chosen = generate.filled("<!-- numbers:codec | piano -->\n<!-- end -->")
    assert "piano |  |" in chosen
    assert "band" not in chosen
    assert generate.filled(chosen) == chosen


def test_the_picture_of_the_house_is_the_house():
    text = (ROOT / "docs" / "architecture.md").read_text()
    drawn = {}
    for floor, rooms in re.findall(r"^(\d)  +(\w+(?:  \w+)*)   ", text, re.MULTILINE):
        drawn |= dict.fromkeys(rooms.split(), int(floor))
    assert drawn == module(ROOT / "tests" / "test_floors.py").FLOORS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    text = re.sub(r"<!--.*?-->", "", page.read_text(), flags=re.DOTALL)
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)]+)\)", text)]
    missing = [target for target in targets if target and "://" not in target and not (page.parent / target).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_in_pages_compiles(page: Path):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        compile(block, str(page), "exec")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_pages_exist_with_their_options(page: Path, generate: ModuleType):
    known = {name: [option for p in command.params for option in p.opts] for name, command in generate.commands()}
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.replace("./scripts/music", "toccata generate").splitlines():
            words = shlex.split(line.split(" | ")[0], comments=True)
            if words and words[0] == "toccata":
                name = next(name for name in (" ".join(words[:3]), " ".join(words[:2])) if name in known)
                assert not [word for word in words if word.startswith("-") and word not in [*known[name], "-"]], line


@pytest.fixture(scope="module")
def tiny() -> MusicGen:
    torch.manual_seed(0)
    codec = soundstream.SoundStream(replace(soundstream.mini(), levels=2, vocabulary=16))
    config = replace(mini(), width=32, layers=1, heads=2, codebooks=2, vocabulary=16)
    return MusicGen(MusicGenNetwork(config), codec, load_text_encoder(), "tiny", "ab" * 32)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples_run(example: Path, tiny: MusicGen, tmp_path: Path, monkeypatch):
    if example.stem == "band_piece":
        try:
            _ = [soundfont(name, fetch=False) for name in FONTS]
        except toccata.InputError as error:
            pytest.skip(str(error))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(toccata, "load", lambda: tiny, raising=False)
    monkeypatch.setattr(soundstream, "load_soundstream", lambda: tiny.codec)
    io.write("sound.wav", np.zeros((2, 16_000), np.float32), 16_000, {})
    monkeypatch.setattr("sys.argv", [str(example), "sound.wav"])
    runpy.run_path(str(example), run_name="__main__")
    assert [path for path in tmp_path.iterdir() if path.suffix in io.FORMATS and path.name != "sound.wav"]


def test_every_stored_result_is_on_the_results_page():
    page = (ROOT / "docs/results.md").read_text()
    stored = [path.stem for path in (ROOT / "benchmarks/results").glob("*.jsonl")]
    assert stored
    assert [name for name in stored if f"<!-- numbers:{name} -->" not in page] == []
