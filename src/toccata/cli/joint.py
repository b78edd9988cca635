"""``toccata embed``, ``search`` and ``tag``: music and words in one space."""

import io
import json
import os
from pathlib import Path
from typing import Annotated

import typer

from toccata.cli.progress import note, progress
from toccata.errors import InputError, OutputError, ToccataError

EMBED_EXAMPLE = "\b\nExample: toccata embed song.wav other.flac --out embeddings.npz"
SEARCH_EXAMPLE = '\b\nExample: toccata search "slow sad cello" Music --count 5'
TAG_EXAMPLE = "\b\nExample: toccata tag song.wav --labels piano,drums,flute"
_SUFFIX = ".npz"

DEFAULT = "mulan-mini"
Joint = Annotated[str, typer.Option("--model", help="A MuLan's or CLAP's name (toccata models list), or its folder.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, an object a line.")]


def embed(
    files: Annotated[list[Path], typer.Argument(help="Sound files of any length.")],
    out: Annotated[Path, typer.Option(help="File to write, ending in .npz: embeddings (files, width), and files.")],
    model: Joint = DEFAULT,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Turn sound files into vectors of unit length; what can't be read is told and left out."""
    import numpy as np

    from toccata.audio.io import check_folder, write_whole
    from toccata.hub import load_embedder

    if out.suffix != _SUFFIX:
        raise OutputError(f"{str(out)!r} is no name for embeddings; end it in {_SUFFIX}")
    check_folder(out)
    embedder = load_embedder(model, device)
    rows, heard = [], []
    with progress("embedding") as tell:
        for done, file in enumerate(files):
            try:
                rows.append(embedder.embed(file)[0].numpy())
                heard.append(str(file))
            except ToccataError as error:
                note(f"left out: {error}")
            tell(done + 1, len(files))
    if not rows:
        raise InputError("none of the files could be read; nothing was written")
    buffer = io.BytesIO()
    np.savez(buffer, embeddings=np.stack(rows), files=np.array(heard, dtype=np.str_))
    write_whole(out, buffer.getvalue())
    report = {"output": str(out), "model": model, "files": len(rows), "width": embedder.width,
              "left_out": len(files) - len(rows), "weights_sha256": embedder.weights_sha256}  # fmt: skip
    if as_json:
        print(json.dumps(report))
    else:
        note(f"wrote {out}: {len(rows)} embeddings of {embedder.width} dimensions")


def search(
    text: Annotated[str, typer.Argument(help="What it should sound like.")],
    folder: Annotated[Path, typer.Argument(help="A folder of music; the folders in it are searched too.")],
    count: Annotated[int, typer.Option(min=1, help="How many files to name.")] = 10,
    model: Joint = DEFAULT,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Rank a folder's sound files by how well they fit a text, best first.

    Embeddings are kept on this machine, so only new and changed files are heard the next time.
    """
    from toccata.data.sounds import sounds_below
    from toccata.hub import load_embedder
    from toccata.search.folder import kept_at, library

    sounds_below(folder)
    embedder = load_embedder(model, device)
    wanted_D = embedder.embed_text(text)[0]
    with progress("listening") as tell:
        kept = kept_at(folder, embedder.weights_sha256)
        found = library(folder, lambda path: embedder.embed(path)[0], kept, tell)
    for problem in found.problems:
        note(f"left out: {problem}")
    if not found.paths:
        raise InputError(f"none of the files in {folder} could be read")
    for rank, (path, near) in enumerate(found.nearest(wanted_D, count), 1):
        shown = os.fsencode(path).decode("utf-8", "replace")  # a name may be any bytes
        row = {"rank": rank, "path": shown, "similarity": round(near, 4)}
        print(json.dumps(row, ensure_ascii=False) if as_json else f"{near:6.3f}  {shown}")


def tag(
    file: Annotated[Path, typer.Argument(help="A sound file.")],
    labels: Annotated[str, typer.Option(help="The labels to choose from, with commas between them.")],
    model: Joint = DEFAULT,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Say which of some labels fit a sound file; the labels may be any words."""
    from toccata.hub import load_embedder

    wanted = list(dict.fromkeys(label.strip() for label in labels.split(",") if label.strip()))
    if not wanted:
        raise InputError("there is no label to choose from; write some, such as --labels piano,drums")
    embedder = load_embedder(model, device)
    for found in embedder.tag(file, wanted):
        row = {"label": found.label, "similarity": round(found.similarity, 4), "share": round(found.share, 4)}
        print(json.dumps(row, ensure_ascii=False) if as_json else f"{found.share:6.1%}  {found.label}")
