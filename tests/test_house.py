"""The house around the models: a light door, names that lead somewhere, pins that agree, a set-up that is done once."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import toccata

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins() -> dict[str, Version]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, _, version in (line.partition("==") for line in lines)}


def test_importing_toccata_opens_no_room():
    source = "import sys, toccata; assert not {'torch', 'numpy', 'soundfile', 'typer'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", source], check=True)


def test_every_exported_name_leads_somewhere():
    assert all(getattr(toccata, name) is not None for name in toccata.__all__)
    assert set(toccata.__all__) == set(dir(toccata))
    with pytest.raises(AttributeError, match="attic"):
        toccata.attic  # noqa: B018


def test_the_version_is_one():
    assert importlib.metadata.version("toccata") == toccata.__version__


def test_every_dependency_is_pinned_within_its_range():
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    needs = [Requirement(line) for line in PROJECT["dependencies"] + extras]
    for need in needs:
        if need.name != "toccata":
            assert pins()[canonicalize_name(need.name)] in need.specifier, need


def test_the_licence_is_whole():
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert text.rstrip().endswith("limitations under the License.")


@pytest.mark.parametrize("name", ["musicgen-mimi", "nothing at all", "../no/folder", ""])
def test_an_unknown_model_is_told_with_what_there_is(name: str):
    with pytest.raises(toccata.InputError, match="musicgen-mini"):
        toccata.load(name)


def test_an_unknown_device_or_precision_is_refused():
    with pytest.raises(toccata.InputError, match="device 'tpu'"):
        toccata.load(device="tpu")
    with pytest.raises(toccata.InputError, match="precision 'fp8'"):
        toccata.load(precision="fp8")


def test_a_folder_without_a_model_or_with_a_part_of_one_is_refused(tmp_path: Path):
    with pytest.raises(toccata.WeightsError, match=r"config\.json is missing"):
        toccata.load(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"family": "soundstream", "weights": ["a.safetensors"]}))
    with pytest.raises(toccata.InputError, match="makes no music"):
        toccata.load(str(tmp_path))


class Checkout:
    """A copy of the set-up scripts whose .venv has stand-ins for python and uv that write down what they are asked."""

    def __init__(self, root: Path, needs: list[str], gpu: bool) -> None:
        self.root, self.calls = root, root / "calls"
        shutil.copytree(ROOT / "scripts", root / "scripts")
        for name in ("pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, root)
        (root / "report.json").write_text(json.dumps({"install": [{"metadata": {"requires_dist": needs}}]}))
        self.program(".venv/bin/uv", f'echo "uv $*" >>"{self.calls}"')
        self.program(".venv/bin/toccata", 'echo "$(pwd) $*"')
        self.program("path/nvidia-smi", f"exit {0 if gpu else 1}")
        self.program(
            ".venv/bin/python",
            f'echo "$*" >>"{self.calls}"\n'
            'case "$*" in\n'
            f'    *--report*) cat "{root}/report.json" ;;\n'
            f'    "- "*) exec "{sys.executable}" "$@" ;;\n'
            "    *importlib.metadata*) exit 1 ;;\n"
            "esac",
        )

    def program(self, path: str, body: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{body}\n")
        file.chmod(0o755)

    def run(self, script: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        path = f"{self.root / 'path'}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [self.root / "scripts" / script, *arguments],
            env={**os.environ, "PATH": path}, cwd=cwd, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def installed(self) -> list[str]:
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [line for line in lines if "pip install" in line and "--dry-run" not in line]


CUDA = 'nvidia-cublas==13.0.0; platform_system != "Nowhere"'


@pytest.mark.parametrize(
    ("needs", "gpu", "by_uv"),
    [
        (["sympy>=1.13"], False, False),
        ([CUDA, "sympy"], False, True),
        (['cuda-bindings; platform_system != "Nowhere"'], False, True),
        ([CUDA], True, False),
        (['nvidia-cublas; platform_system == "Nowhere"', 'nvidia-nccl; extra == "all"'], False, False),
    ],
    ids=["cpu build", "cuda build", "newer cuda build", "cuda build and gpu", "cuda elsewhere"],
)
def test_a_cuda_build_comes_only_to_a_machine_with_a_gpu(tmp_path: Path, needs: list[str], gpu: bool, by_uv: bool):
    checkout = Checkout(tmp_path, needs, gpu)
    done = checkout.run("setup", "run")
    assert done.returncode == 0, done.stderr
    torch = [line for line in checkout.installed() if "torch==" in line]
    assert len(torch) == 1
    assert torch[0].startswith("uv pip install") == ("--torch-backend cpu" in torch[0]) == by_uv


def test_a_finished_set_up_is_not_done_again_until_something_changes(tmp_path: Path):
    checkout = Checkout(tmp_path, [], gpu=False)
    assert checkout.run("setup", "dev").returncode == 0
    steps = len(checkout.installed())
    start = time.monotonic()
    for mode in ("dev", "run"):
        assert checkout.run("setup", mode).stderr == ""
    assert time.monotonic() - start < 2
    assert len(checkout.installed()) == steps > 0
    with (tmp_path / "constraints.txt").open("a") as file:
        file.write("one-more==1\n")
    checkout.run("setup", "run")
    assert len(checkout.installed()) > steps


def test_a_set_up_that_failed_or_was_killed_is_taken_up_again(tmp_path: Path):
    checkout = Checkout(tmp_path, [], gpu=False)
    (tmp_path / "report.json").write_text("{}")
    failed = checkout.run("setup", "run")
    assert failed.returncode == 1
    assert failed.stdout == ""
    (tmp_path / "report.json").write_text(json.dumps({"install": [{"metadata": {}}]}))
    dead = subprocess.Popen(["true"])
    dead.wait()
    (tmp_path / ".venv/.lock").mkdir()
    (tmp_path / ".venv/.lock/pid").write_text(str(dead.pid))
    assert checkout.run("setup", "run").returncode == 0
    assert not (tmp_path / ".venv/.lock").exists()


def test_music_works_where_it_is_called_from(tmp_path: Path):
    checkout = Checkout(tmp_path / "house", [], gpu=False)
    (tmp_path / "elsewhere").mkdir()
    done = checkout.run("music", "warm piano", "--seed", "7", cwd=tmp_path / "elsewhere")
    assert done.stdout == f"{tmp_path / 'elsewhere'} generate warm piano --seed 7\n"


def test_a_wrong_mode_is_one_line(tmp_path: Path):
    done = Checkout(tmp_path, [], gpu=False).run("setup", "everything")
    assert done.returncode == 1
    assert done.stderr == "error: setup takes run or dev, not 'everything'\n"


def test_benchmarks_get_their_options_and_alone_write_to_stdout(tmp_path: Path):
    checkout = Checkout(tmp_path, [], gpu=False)
    checkout.program(".venv/bin/python", f'case "$*" in "-m benchmarks"*) exec "{sys.executable}" "$@" ;; esac')
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks/__main__.py").write_text("import sys\nprint(sys.argv[1:])\nsys.exit(3)\n")
    done = checkout.run("bench", "codec", "--quick")
    assert (done.stdout, done.returncode) == ("['codec', '--quick']\n", 3)
