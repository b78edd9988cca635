"""Writes what the documentation takes from the code and from the benchmarks' stored results.

``python docs/generate.py`` writes docs/cli.md and fills, in README.md and docs, what stands between
``<!-- KIND:NAME -->`` and ``<!-- end -->``:

- ``numbers:codec`` holds the lines of benchmarks/results/codec.jsonl; ``numbers:codec | worst | band, 6`` only those
  whose metric contains one of the words between bars; ``numbers:retrieval-clap-mini`` those of that model.
- ``presets:musicgen`` holds a family's sizes, as the code has them.
- ``card:musicgen-mini`` holds what the shipped weights say of their origin.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import typer
from torch import nn

from toccata import hub
from toccata.cli.app import app
from toccata.codecs import autoencoder, cosine, encodec, magnitude, magnitude_config, soundstream
from toccata.models.mousai import config as mousai
from toccata.models.mousai.network import MousaiNetwork
from toccata.models.musicgen import config as musicgen
from toccata.models.musicgen.network import MusicGenNetwork
from toccata.models.riffusion import config as riffusion
from toccata.models.riffusion.network import RiffusionNetwork
from toccata.weights import checkpoint

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
_ANCHOR = re.compile(r"<!-- (numbers|presets|card):([\w-]+)(.*?) -->\n.*?<!-- end -->", re.DOTALL)
_CLI_INTRODUCTION = """# The command line

Written by `python docs/generate.py` from the commands themselves; `toccata COMMAND --help` says the same.

- Progress and notes go to stderr; stdout carries data only. With `--json` the answer is JSON on stdout, one object a
  line.
- A file is written beside its target and renamed: it is whole or it is not there.
- Exit codes: 0 done; 2 the input is wrong (one line, `error: ...`, says what and how to mend it); 1 a fault of toccata;
  130 interrupted.
- `TOCCATA_DEBUG=1` shows the traceback of a fault of toccata; `TOCCATA_SOUNDFONTS` names a folder to look for
  soundfonts in, `TOCCATA_HOME` one to keep public models in.
"""
_FAMILIES: dict[str, tuple[tuple[Any, ...], Any]] = {
    "musicgen": ((musicgen.mini, musicgen.small, musicgen.medium, musicgen.large), MusicGenNetwork),
    "soundstream": ((soundstream.mini, soundstream.full), soundstream.SoundStream),
    "encodec": (
        (encodec.encodec_mini, encodec.encodec_24khz, encodec.encodec_32khz, encodec.encodec_48khz),
        encodec.EnCodec,
    ),
    "autoencoder": ((autoencoder.mini, autoencoder.half, autoencoder.full), autoencoder.Autoencoder),
    "magnitude": ((magnitude_config.full,), magnitude.MagnitudeAutoencoder),
    "cosine": ((magnitude_config.mini,), cosine.CosineAutoencoder),
    "mousai": ((mousai.mini, mousai.full), MousaiNetwork),
    "riffusion": ((riffusion.mini,), RiffusionNetwork),
}
_ORIGINS = {
    "recipe": "Recipe",
    "steps": "Steps",
    "hours_heard": "Hours of music heard in training",
    "pieces": "Different pieces among them",
    "commit": "Commit",
    "machine": "Machine",
}


def main() -> None:
    for path, text in written().items():
        path.write_text(text, encoding="utf-8")


def written() -> dict[Path, str]:
    """Every file that this script writes, and what it should hold."""
    pages = {path: path.read_text(encoding="utf-8") for path in pages_with_anchors()}
    return {ROOT / "docs" / "cli.md": cli_reference()} | {path: filled(text) for path, text in pages.items()}


def pages_with_anchors() -> list[Path]:
    return [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").rglob("*.md") if path.name != "cli.md")]


def filled(text: str) -> str:
    """``text`` with the table of every anchor made anew."""
    tables = {"numbers": numbers, "presets": presets, "card": card}

    def fill(found: re.Match[str]) -> str:
        kind, name, rest = found.groups()
        return f"<!-- {kind}:{name}{rest} -->\n{tables[kind](name, rest)}\n<!-- end -->"

    return _ANCHOR.sub(fill, text)


def cli_reference() -> str:
    """docs/cli.md: a heading, usage, arguments, options and example for every command."""
    return "\n".join([_CLI_INTRODUCTION, *(_command_page(name, command) for name, command in commands())])


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its full name."""

    def walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
        for word, below in getattr(command, "commands", {}).items():
            yield from walk(name if word == getattr(command, "default", None) else f"{name} {word}", below)
        if not hasattr(command, "commands"):
            yield name, command

    return walk("toccata", typer.main.get_command(app))


def _command_page(name: str, command: Any) -> str:
    context = typer.Context(command, info_name=name)
    records = [(parameter.param_type_name, parameter.get_help_record(context)) for parameter in command.params]
    rows = [record for kind, record in records if record and kind in ("argument", "option")]
    example = command.epilog.replace("\b", "").strip().removeprefix("Example: ")
    usage = " ".join(command.get_usage(context).split()).removeprefix("Usage: ")
    table = _table(("", ""), [(f"`{left}`", _cell(right)) for left, right in rows])
    return f"## {name}\n\n{command.help}\n\n```text\n{usage}\n```\n\n{table}\n\n```sh\n{example}\n```\n"


def numbers(bench: str, rest: str) -> str:
    """The stored figures of one benchmark: all, or those with a word of ``rest`` and with none of those after a "!"."""
    path, words = RESULTS / f"{bench}.jsonl", [word.strip() for word in rest.split("|") if word.strip()]
    wanted, unwanted = [w for w in words if w[0] != "!"], [w[1:] for w in words if w[0] == "!"]
    if not path.is_file():
        return f"Not measured yet: `./scripts/bench {bench} --store`."
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if not wanted or any(word in line["metric"] for word in wanted)]
    lines = [line for line in lines if not any(word in line["metric"] for word in unwanted)]
    if not lines:
        return f"No figure of `{bench}` is called that."
    said = [name for name in ("against", "ratio", "control", "n") if any(line[name] is not None for line in lines)]
    columns = ["value", *said]
    rows = [(_cell(line["metric"]), *(_number(line, name) for name in columns)) for line in lines]
    origins = sorted({f"{line['device']}, commit {line['commit']}" for line in lines})
    name, command = lines[0]["bench"], bench
    if name != bench:
        model = bench.removeprefix(f"{name}-")
        shipped = model in {known.name for known in hub.KNOWN}
        takes = model.removeprefix("best-of-")
        chosen = f"--best-of {takes}" if takes.isdigit() else f"--model {model if shipped else f'runs/{model}/model'}"
        command = f"{name} {chosen}"
    return f"{_table(('measured', *columns), rows)}\n\n`./scripts/bench {command}` on {'; '.join(origins)}."


def _number(line: dict[str, Any], column: str) -> str:
    value = line[column]
    if value is None:
        return ""
    text = f"{value:,}" if isinstance(value, int) else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{text} {line['unit']}".strip() if column == "value" else text


def presets(family: str, rest: str) -> str:
    """A row for every setting, a column for every size, and the number of parameters."""
    sizes, build = _FAMILIES[family]
    with torch.device("meta"):  # shapes without memory: the largest has billions of parameters
        made = {size.__name__: (size(), build(size())) for size in sizes}
    settings = [_flat(asdict(config)) for config, _ in made.values()]
    known = dict.fromkeys(name for setting in settings for name in setting)
    names = [name for name in known if not any(other.startswith(f"{name}.") for other in known)]
    rows = [(f"`{name}`", *(str(setting.get(name, "")) for setting in settings)) for name in names]
    counts = (f"{_parameters(network) / 1e6:,.1f} M" for _, network in made.values())
    return _table(("", *made), [*rows, ("parameters", *counts)])


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings within settings by names with dots."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        inside = _flat(value) if isinstance(value, dict) else {}
        found |= {f"{name}.{below}": each for below, each in inside.items()} or {name: value}
    return found


def _parameters(network: nn.Module) -> int:
    """What is learnt: parameters, and codebooks, which are buffers because averages move them."""
    codebooks = (tensor for name, tensor in network.named_buffers() if name.endswith("codes_VD"))
    return sum(tensor.numel() for tensor in (*network.parameters(), *codebooks))


def card(name: str, rest: str) -> str:
    """Where shipped weights come from, as their config.json says."""
    folder = hub.BUNDLED / name
    if not (folder / "config.json").is_file():
        return "The weights are still in training."
    config = checkpoint.read_config(folder)
    files = checkpoint.weight_files(folder, config)
    rows = [(label, _cell(_told(config[key]))) for key, label in _ORIGINS.items() if key in config]
    rows.append(("Weights", f"{sum(file.stat().st_size for file in files) / 1e6:.1f} MB"))
    rows.append(("SHA-256", f"`{checkpoint.sha256(folder)}`"))
    return _table(("", ""), rows)


def _told(value: Any) -> str:
    """What is counted apart for each stage is one line."""
    return ", ".join(f"{name} {part}" for name, part in value.items()) if isinstance(value, dict) else str(value)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = tuple(head)
    lines = [head, ("---",) * len(head), *map(tuple, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    main()
