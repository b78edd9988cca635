"""``toccata evaluate memorisation``: has a model learnt its training data by heart?"""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toccata.cli.progress import note, progress
from toccata.errors import InputError, ToccataError
from toccata.prompt import number

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from toccata.clip import Clip, Generator
    from toccata.evaluation.sets import Item

    Continue = Callable[[Clip, str, float, float], tuple[np.ndarray, np.ndarray]]

EXAMPLE = "\b\nExample: toccata evaluate memorisation data/band/manifest.jsonl --count 100"
_NAMED = 10


def memorisation(
    training: Annotated[
        Path, typer.Argument(help="What it was trained on: a JSONL manifest with captions (or a folder).")
    ],
    model: Annotated[str, typer.Option(help="A MusicGen's or MusicLM's name or folder.")] = "musicgen-mini",
    held_out: Annotated[
        Path | None, typer.Option(help="Pieces that it never heard, to compare with: the control.")
    ] = None,
    count: Annotated[int, typer.Option(min=2, help="Pieces to try, drawn by chance, of each set.")] = 100,
    heard: Annotated[
        str, typer.Option(help="Seconds of each piece that the model hears, or several such, with commas between them.")
    ] = "5",
    seconds: Annotated[float, typer.Option(help="Seconds that it then has to write.")] = 5.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Let a model go on from the beginnings of its training pieces, and compare with how they went on.

    As MusicLM was audited: exact matches of its tokens (a MusicGen's first codebook, a MusicLM's semantic ones), and
    near ones by the Sinkhorn distance of their histograms, below what unrelated pieces show.
    """
    import numpy as np

    from toccata import hub
    from toccata.evaluation.memorisation import audit
    from toccata.evaluation.sets import read_set

    lengths = _seconds(heard)
    number(seconds, "--seconds", 0.1, 60)
    sets = [read_set(path) for path in (training, held_out) if path]
    hub.check_choices(device, "auto")
    hub.find(model)
    note(f"loading {model}")
    generator = hub.load(model, device, "auto")
    go_on, centres_VD = _auditable(generator, model)
    chance, rows, left_out = np.random.default_rng(seed), [], {}
    drawn = [[items[k] for k in chance.permutation(len(items))[:count]] for items in sets]
    for length in lengths:
        found = []
        for items in drawn:
            names, pairs = _continuations(go_on, items, length, seconds, left_out)
            threshold = found[0][1].threshold if found else None
            found.append((names, audit(pairs, centres_VD, chance, threshold)))
        names, learnt = found[0]
        nearest = sorted(zip(learnt.distances, names, strict=True))[:_NAMED]
        rows.append({
            "heard_seconds": length,
            "training": _told(learnt),
            "held_out": _told(found[1][1]) if held_out else None,
            "threshold": learnt.threshold,
            "nearest": [{"piece": name, "distance": round(distance, 6)} for distance, name in nearest],
        })  # fmt: skip
    told = {
        "model": generator.name,
        "weights_sha256": generator.weights_sha256,
        "audits": rows,
        "left_out": list(left_out.values()),
    }
    print(json.dumps(told, ensure_ascii=False) if as_json else _text(told))


def _seconds(heard: str) -> list[float]:
    try:
        return [number(float(part), "--heard", 0.1, 60) for part in heard.split(",")]
    except ValueError:
        told = f"--heard must be seconds, or several such with commas between them, not {heard!r:.40}"
        raise InputError(told) from None


def _auditable(model: "Generator", name: str) -> "tuple[Continue, np.ndarray]":
    """How the model goes on from a clip with that caption, in tokens, and where these lie: centres_VD."""
    from toccata.models.musicgen.pipeline import MusicGen
    from toccata.models.musiclm.pipeline import MusicLM

    if isinstance(model, MusicGen):
        from toccata.models.musicgen import continuation as of_codes

        return partial(of_codes.continued, model), of_codes.centres(model).numpy()
    if isinstance(model, MusicLM):
        from toccata.models.musiclm import continuation as of_meaning

        go_on = of_meaning.continued
        return lambda clip, _, heard, seconds: go_on(model, clip, heard, seconds), of_meaning.centres(model).numpy()
    raise InputError(f"{name} can't be audited; choose a MusicGen or a MusicLM")


def _continuations(
    go_on: "Continue", items: "list[Item]", heard: float, seconds: float, left_out: dict[str, str]
) -> "tuple[list[str], list[tuple[np.ndarray, np.ndarray]]]":
    """The pieces that could be continued, and for each what the model wrote and what is true.

    ``left_out`` learns why of the others, and each is told once.
    """
    names, pairs = [], []
    with progress(f"continuing after {heard:g} s") as tell:
        for done, item in enumerate(items):
            try:
                pairs.append(go_on(item.load(), item.prompt or "music", heard, seconds))
                names.append(item.shown)
            except ToccataError as error:
                why = str(error) if item.shown in str(error) else f"{item.shown}: {error}"
                if item.shown not in left_out:
                    note(f"left out: {why}")
                left_out.setdefault(item.shown, why)
            tell(done + 1, len(items))
    if len(pairs) < 2:
        raise InputError(f"only {len(pairs)} of {len(items)} pieces could be continued; an audit needs two at least")
    return names, pairs


def _told(found) -> dict[str, float | int]:
    shares = {"exact_share": found.exact, "near_share": found.near, "same_tokens_share": found.agreement}
    return {"pieces": len(found.distances)} | {name: round(share, 6) for name, share in shares.items()}


def _text(told: dict) -> str:
    """For people."""
    lines = []
    for row in told["audits"]:
        for name in ("training", "held_out"):
            if row[name]:
                one = row[name]
                lines.append(
                    f"after {row['heard_seconds']:g} s, {name.replace('_', ' ')}: {one['exact_share']:.2%} exact,"
                    f" {one['near_share']:.2%} near, {one['same_tokens_share']:.1%} of the tokens the same,"
                    f" of {one['pieces']} pieces"
                )
        lines.append(f"near: a Sinkhorn distance below {row['threshold']:.4g}, as few unrelated pairs have")
        lines += [f"{one['distance']:8.4f}  {one['piece']}" for one in row["nearest"]]
    return "\n".join(lines)
