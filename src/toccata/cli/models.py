"""``toccata models``: what there is, what is in it, and getting public models to this machine."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toccata.cli.progress import note, progress
from toccata.errors import InputError

if TYPE_CHECKING:
    from toccata import hub
    from toccata.weights.catalogue import Public

EXAMPLE = "\b\nExample: toccata models list"
SHOW_EXAMPLE = "\b\nExample: toccata models show musicgen-mini --json"
PULL_EXAMPLE = "\b\nExample: toccata models pull facebook/musicgen-small"
CONVERT_EXAMPLE = "\b\nExample: toccata models convert state_dict.bin --out converted"

app = typer.Typer(help="The models and their parts.", epilog=EXAMPLE, rich_markup_mode=None)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


@app.command("list", epilog=EXAMPLE)
def list_models(as_json: AsJson = False) -> None:
    """List every known model: name, family, size, sample rate, licence, and whether it is here."""
    from toccata import hub
    from toccata.weights import catalogue

    rows = [*map(_row, hub.KNOWN), *map(_public_row, catalogue.PUBLIC)]
    if as_json:
        for row in rows:
            print(json.dumps(row))
        return
    print(f"{'NAME':38} {'FAMILY':18} {'SIZE':>8} {'RATE':>6} {'LICENCE':22} HERE")
    for row in rows:
        here = "yes" if row["here"] else "no" if row["supported"] else "not supported yet"
        sizes = f"{_size(row['bytes']):>8} {row['sample_rate'] or '-':>6}"
        print(f"{row['name']:38} {row['family']:18} {sizes} {row['licence']:22} {here}")


@app.command(epilog=SHOW_EXAMPLE)
def show(
    name: Annotated[str, typer.Argument(help="A model's name, or its folder.")],
    as_json: AsJson = False,
) -> None:
    """Show one model: its folder, the hash of its weights and its configuration."""
    from toccata import hub

    folder = hub.find(name)
    from toccata.weights import catalogue, checkpoint, published, store

    public = catalogue.find(name)
    found = public and store.fetched(public)
    if public and public.family == "demucs":
        from toccata.audio import stems

        config = stems.read_settings(folder)
    elif public and public.url:
        config = {"family": public.family, "sample_rate": public.sample_rate, "from": public.url}
    else:
        settings = public.files[0] if public else "config.json"
        config = published.read_settings(folder, settings) if found else checkpoint.read_config(folder)
    sha256 = found.sha256 if found else checkpoint.sha256(folder)
    shown = {"name": name, "folder": str(folder), "weights_sha256": sha256, "config": config}
    if as_json:
        print(json.dumps(shown))
        return
    for key in ("name", "folder", "weights_sha256"):
        print(f"{key}: {shown[key]}")
    print(json.dumps(config, indent=2))


@app.command(epilog=PULL_EXAMPLE)
def pull(
    name: Annotated[str, typer.Argument(help="A public model's name (toccata models list).")],
    yes: Annotated[bool, typer.Option("--yes", help="Accept the licence without being asked.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch a public model, after showing its licence; an interrupted one goes on where it stopped."""
    from toccata.weights import catalogue, store

    model = catalogue.get(name)
    if not store.accepted(model):
        _agree(model, yes)
        store.accept(model)
    from toccata.weights.fetch import fetch

    with progress(model.name) as tell:
        fetch(model.name, tell)
    found = store.fetched(model)
    assert found is not None
    if as_json:
        files = {file.name: file.sha256 for file in found.files}
        told = {"name": model.name, "folder": str(found.folder), "commit": found.commit, "bytes": found.size}
        print(json.dumps(told | {"licence": model.licence, "weights_sha256": found.sha256, "files": files}))
        return
    for file in found.files:
        print(f"{file.sha256}  {found.folder / file.name}")
    note(f"{model.name}: {_size(found.size)} in {found.folder}")


@app.command(epilog=CONVERT_EXAMPLE)
def convert(
    source: Annotated[
        Path, typer.Argument(help="A checkpoint (.bin .pt .pth .th .ckpt .h5.gz), or a folder that holds some.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for what is made.")],
) -> None:
    """Turn pickled checkpoints into safetensors, without running anything that they hold."""
    from toccata.weights.convert import convert as convert_all

    for file in convert_all(source, out):
        print(file)


def _agree(model: "Public", yes: bool) -> None:
    """Show the licence and wait for a yes, unless it was given; ``InputError`` where it is not."""
    note(model.terms())
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError(f"add --yes to accept the licence of {model.name} ({model.licence}); nobody is here to ask")
    print(f"Accept it and fetch {_size(model.size)}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InputError(f"the licence of {model.name} was not accepted, so nothing was fetched")


def _size(count: int | None) -> str:
    if count is None:
        return "-"
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _public_row(model: "Public") -> dict[str, Any]:
    """``bytes`` are those on this machine, or those to fetch."""
    from toccata.weights import store

    found = store.fetched(model)
    return {
        "name": model.name,
        "family": model.family,
        "bytes": found.size if found else model.size,
        "sample_rate": model.sample_rate,
        "licence": model.licence,
        "here": found is not None,
        "supported": model.supported,
    }


def _row(model: "hub.Model") -> dict[str, Any]:
    config = _config(model.folder)
    files = [model.folder / name for name in config.get("weights", ())]
    return {
        "name": model.name,
        "family": model.family,
        "bytes": sum(file.stat().st_size for file in files if file.is_file()) if model.here else None,
        "sample_rate": _sample_rate(model.folder),
        "licence": model.licence,
        "here": model.here,
        "supported": True,
    }


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def _sample_rate(folder: Path) -> int | None:
    """In Hz: a codec's own, or that of the codec that a model names."""
    match _config(folder).get("codec"):
        case {"sample_rate": int(rate)}:
            return rate
        case str(name):
            return _sample_rate(folder.parent / name)
    return None
