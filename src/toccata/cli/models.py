"""``toccata models``: what there is, and what is in it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from toccata import hub

EXAMPLE = "\b\nExample: toccata models list"
SHOW_EXAMPLE = "\b\nExample: toccata models show musicgen-mini --json"

app = typer.Typer(help="The models and their parts.", epilog=EXAMPLE, rich_markup_mode=None)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


@app.command("list", epilog=EXAMPLE)
def list_models(as_json: AsJson = False) -> None:
    """List every known model: name, family, size, sample rate, licence, and whether it is here."""
    from toccata import hub

    rows = [_row(model) for model in hub.KNOWN]
    if as_json:
        for row in rows:
            print(json.dumps(row))
        return
    print(f"{'NAME':20} {'FAMILY':12} {'SIZE':>8} {'RATE':>8} {'LICENCE':12} HERE")
    for row in rows:
        size = "-" if row["bytes"] is None else f"{row['bytes'] / 1e6:.1f} MB"
        here = "yes" if row["here"] else "no"
        print(
            f"{row['name']:20} {row['family']:12} {size:>8} {row['sample_rate'] or '-':>8} {row['licence']:12} {here}"
        )


@app.command(epilog=SHOW_EXAMPLE)
def show(
    name: Annotated[str, typer.Argument(help="A model's name, or its folder.")],
    as_json: AsJson = False,
) -> None:
    """Show one model: its folder, the hash of its weights and its configuration."""
    from toccata import hub

    folder = hub.find(name)
    from toccata.weights import checkpoint

    config = checkpoint.read_config(folder)
    shown = {"name": name, "folder": str(folder), "weights_sha256": checkpoint.sha256(folder), "config": config}
    if as_json:
        print(json.dumps(shown))
        return
    for key in ("name", "folder", "weights_sha256"):
        print(f"{key}: {shown[key]}")
    print(json.dumps(config, indent=2))


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
