"""``toccata evaluate memorisation``: has a model learnt its training data by heart?"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toccata.cli.progress import note, progress
from toccata.errors import InputError, ToccataError
from toccata.prompt import number

if TYPE_CHECKING:
    import numpy as np

    from toccata.evaluation.sets import Item
    from toccata.models.musicgen.pipeline import MusicGen

EXAMPLE = "\b\nExample: toccata evaluate memorisation data/band/manifest.jsonl --count 100"
_NAMED = 10


def memorisation(
    training: Annotated[
        Path, typer.Argument(help="What it was trained on: a JSONL manifest with captions (or a folder).")
    ],
    model: Annotated[str, typer.Option(help="A MusicGen's name or folder.")] = "musicgen-mini",
    held_out: Annotated[
        Path | None, typer.Option(help="Pieces that it never heard, to compare with: the control.")
    ] = None,
    count: Annotated[int, typer.Option(min=2, help="Pieces to try, drawn by chance, of each set.")] = 100,
    heard: Annotated[float, typer.Option(help="Seconds of each piece that the model hears.")] = 5.0,
    seconds: Annotated[float, typer.Option(help="Seconds that it then has to write.")] = 5.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Let a model go on from the beginnings of its training pieces, and compare with how they went on.

    As MusicLM was audited: exact matches of its tokens, and near ones by the Sinkhorn distance of their histograms,
    below what unrelated pieces show.
    """
    import numpy as np

    from toccata import hub
    from toccata.evaluation.memorisation import audit
    from toccata.evaluation.sets import read_set
    from toccata.models.musicgen.continuation import centres
    from toccata.models.musicgen.pipeline import MusicGen

    number(heard, "--heard", 0.1, 60)
    number(seconds, "--seconds", 0.1, 60)
    sets = [read_set(path) for path in (training, held_out) if path]
    hub.check_choices(device, "auto")
    hub.find(model)
    note(f"loading {model}")
    generator = hub.load(model, device, "auto")
    if not isinstance(generator, MusicGen):
        raise InputError(f"{model} can't be audited yet; choose a MusicGen")
    chance, found, left_out = np.random.default_rng(seed), [], []
    for items in sets:
        chosen = [items[k] for k in chance.permutation(len(items))[:count]]
        names, pairs = _continuations(generator, chosen, heard, seconds, left_out)
        threshold = found[0][1].threshold if found else None
        found.append((names, audit(pairs, centres(generator).numpy(), chance, threshold)))
    names, learnt = found[0]
    nearest = sorted(zip(learnt.distances, names, strict=True))[:_NAMED]
    told = {
        "model": generator.name,
        "weights_sha256": generator.weights_sha256,
        "training": _told(learnt),
        "held_out": _told(found[1][1]) if held_out else None,
        "threshold": learnt.threshold,
        "nearest": [{"piece": name, "distance": round(distance, 6)} for distance, name in nearest],
        "left_out": left_out,
    }
    print(json.dumps(told, ensure_ascii=False) if as_json else _text(told))


def _continuations(
    model: "MusicGen", items: "list[Item]", heard: float, seconds: float, left_out: list[str]
) -> "tuple[list[str], list[tuple[np.ndarray, np.ndarray]]]":
    """The pieces that could be continued, and for each what the model wrote and what is true."""
    from toccata.models.musicgen.continuation import continued

    names, pairs = [], []
    with progress("continuing") as tell:
        for done, item in enumerate(items):
            try:
                pairs.append(continued(model, item.load(), item.prompt or "music", heard, seconds))
                names.append(item.shown)
            except ToccataError as error:
                why = str(error) if item.shown in str(error) else f"{item.shown}: {error}"
                left_out.append(why)
                note(f"left out: {why}")
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
    for name in ("training", "held_out"):
        if told[name]:
            one = told[name]
            lines.append(
                f"{name.replace('_', ' ')}: {one['exact_share']:.2%} exact, {one['near_share']:.2%} near,"
                f" {one['same_tokens_share']:.1%} of the tokens the same, of {one['pieces']} pieces"
            )
    lines.append(f"near: a Sinkhorn distance below {told['threshold']:.4g}, as few unrelated pairs have")
    lines += [f"{one['distance']:8.4f}  {one['piece']}" for one in told["nearest"]]
    return "\n".join(lines)
