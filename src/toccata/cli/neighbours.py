"""``toccata evaluate neighbours``: do clips sound like a piece of the training data?"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toccata.cli.progress import note, progress
from toccata.errors import OutputError
from toccata.prompt import number

if TYPE_CHECKING:
    from toccata.evaluation.neighbours import Nearness, Set

EXAMPLE = (
    "\b\nExample: toccata evaluate neighbours data/band/manifest.jsonl clips/ --held-out data/other/ --report n.html"
)


def neighbours(
    training: Annotated[Path, typer.Argument(help="What the model was trained on: a JSONL manifest or a folder.")],
    generated: Annotated[Path, typer.Argument(help="What it made: a JSONL manifest or a folder.")],
    held_out: Annotated[
        Path | None, typer.Option(help="Pieces that it never heard, to compare with: the control.")
    ] = None,
    joint: Annotated[str | None, typer.Option(help="CLAP or MuLan that listens. [default: mulan-mini]")] = None,
    window: Annotated[float, typer.Option(help="Seconds that are compared with each other, 1-60.")] = 10.0,
    count: Annotated[int, typer.Option(min=1, help="Closest pairs to show.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Of the interval's draws.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    report: Annotated[Path | None, typer.Option(help="Write a page (.html) with players of the closest pairs.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Look for each clip's nearest neighbour in the training data, by how they sound.

    Compared are windows, by the cosine of their embeddings; beside it stands how near held-out pieces come, and noise.
    The training data may be of any size: it goes by piece by piece, and what was heard is kept on this machine.
    """
    from toccata.audio.io import check_folder, write_whole
    from toccata.data.sounds import cache_folder
    from toccata.evaluation.neighbours import WindowJudge, compare
    from toccata.evaluation.neighbours_page import page
    from toccata.evaluation.sets import read_set
    from toccata.hub import DEFAULT_JOINT, load_joint_judge

    number(window, "--window", 1, 60)
    if report and report.suffix != ".html":
        raise OutputError(f"{str(report)!r} must end in .html")
    if report:
        check_folder(report)
    sets = [read_set(path) for path in (training, generated, held_out) if path]
    judge = WindowJudge(load_joint_judge(joint or DEFAULT_JOINT, device), window)
    control = sets[2] if held_out else None
    found = compare(sets[0], sets[1], control, judge, cache_folder() / "heard", progress)
    for problem in found.left_out:
        note(f"left out: {problem}")
    if found.known:
        note(f"{found.known} of the held-out pieces are in the training data; they are no control and are left out")
    if report:
        title = f"{generated} among {training}"
        write_whole(report, page(found, title, report.parent, seed, count).encode())
        note(f"wrote {report}")
    told = _told(found, count, seed)
    print(json.dumps(told, ensure_ascii=False) if as_json else _text(told))


def _told(found: "Nearness", count: int, seed: int) -> dict[str, Any]:
    """All figures as plain values."""
    import numpy as np

    nearer = found.nearer(np.random.default_rng(seed))
    return {
        "recipe": found.judge.recipe,
        "training_pieces": len(found.training),
        "generated": _set(found.generated),
        "held_out": _set(found.held_out) if found.held_out else None,
        "noise": _set(found.noise),
        "nearer_share": dict(zip(("value", "low", "high"), np.round(nearer, 6).tolist(), strict=True))
        if nearer else None,
        "nearest": [
            {
                "cosine": round(pair.cosine, 6), "clip": pair.clip.shown, "at": round(pair.at, 3),
                "piece": pair.piece.shown, "there": round(pair.there, 3),
            }
            for pair in found.pairs(count)
        ],
        "held_out_known": found.known,
        "left_out": list(found.left_out),
    }  # fmt: skip


def _set(one: "Set") -> dict[str, float | int]:
    import numpy as np

    cosines_N = one.cosines
    return {
        "clips": len(cosines_N),
        "median": round(float(np.median(cosines_N)), 6),
        "highest": round(float(cosines_N.max()), 6),
    }


def _text(told: dict[str, Any]) -> str:
    """For people."""
    lines = [f"cosine of the nearest window of {told['training_pieces']} training pieces:"]
    for name in ("generated", "held_out", "noise"):
        if one := told[name]:
            lines.append(
                f"{name.replace('_', ' '):>9}: {one['median']:.4f} median, {one['highest']:.4f} highest,"
                f" of {one['clips']} clips"
            )
    if share := told["nearer_share"]:
        lines.append(
            f"a generated clip comes nearer than a held-out piece in {share['value']:.1%} of pairs"
            f" (95 %: {share['low']:.1%} to {share['high']:.1%}); 50 % is no difference"
        )
    lines += [
        f"{one['cosine']:8.4f}  {one['clip']} from {one['at']:.1f} s, {one['piece']} from {one['there']:.1f} s"
        for one in told["nearest"]
    ]
    return "\n".join(lines)
