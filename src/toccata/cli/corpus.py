"""``toccata corpus``: the house band plays training data."""

import json
from pathlib import Path
from typing import Annotated

import typer

from toccata.cli.progress import note, progress

EXAMPLE = "\b\nExample: toccata corpus make data/band --hours 4 --seed 1 --workers 2"

app = typer.Typer(help="Composed and rendered training data.", epilog=EXAMPLE, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Keeps ``make`` a word of its own while it is the only command."""


@app.command(epilog=EXAMPLE)
def make(
    folder: Annotated[Path, typer.Argument(help="Folder to fill; an interrupted run goes on where it stopped.")],
    hours: Annotated[float, typer.Option(help="Hours of music, at least.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Same seed, same music.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes at work.")] = 1,
    sample_rate: Annotated[int, typer.Option(help="8,000-48,000 Hz.")] = 24_000,
    stems: Annotated[bool, typer.Option("--stems", help="Keep every instrument's own track too.")] = False,
    tunes: Annotated[bool, typer.Option("--tunes", help="Arrange old tunes and free game music too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout at the end.")] = False,
) -> None:
    """Compose, play and caption pieces of music."""
    from toccata.corpus.make import make as make_corpus

    with progress(f"making {hours:g} hours of music") as update:
        manifest = make_corpus(folder, hours, seed, workers, sample_rate, stems, update, tunes)
    note(f"{manifest}: {hours:g} hours of music")
    if as_json:
        print(json.dumps({"output": str(manifest), "hours": hours, "seed": seed, "sample_rate": sample_rate}))
