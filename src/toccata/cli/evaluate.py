"""``toccata evaluate``: how good is a set of clips, next to a reference, and how sure is that?"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toccata.cli.progress import note, progress
from toccata.errors import InputError, OutputError

if TYPE_CHECKING:
    from toccata.evaluation.ears import JointJudge
    from toccata.evaluation.run import Report
    from toccata.evaluation.sets import Asked, Item

EXAMPLE = "\b\nExample: toccata evaluate data/band/manifest.jsonl musicgen-mini --seconds 10 --report report.html"


def evaluate(
    reference: Annotated[
        Path,
        typer.Argument(
            metavar="REF",
            help="A folder, a JSONL manifest, statistics (.npz), or MusicCaps' or Song Describer's .csv with --audio.",
        ),
    ],
    generated: Annotated[
        str, typer.Argument(metavar="GEN", help="A folder, a JSONL manifest, or a model, which makes its clips first.")
    ],
    prompts: Annotated[
        Path | None,
        typer.Option(help="The clips' prompts: a .txt, one a line; a .csv or .jsonl that names them. [default: REF's]"),
    ] = None,
    audio: Annotated[Path | None, typer.Option(help="The folder with the sound that REF's .csv tells of.")] = None,
    split: Annotated[
        str, typer.Option(help="Of MusicCaps all, balanced or eval, of Song Describer all or valid.")
    ] = "all",
    metrics: Annotated[
        str | None, typer.Option(help="Which, with commas between them. [default: all that the sets allow]")
    ] = None,
    embedding: Annotated[
        str,
        typer.Option(
            help="What Fréchet distances are taken of: musicnn, vggish, openl3, pann-cnn14, passt,"
            " m-a-p/MERT-v1-95M (:4 for its 4th layer), a codec, a CLAP or a MuLan."
        ),
    ] = "musicnn",
    labels: Annotated[
        str, typer.Option(help="What tells the labels of kl: musicnn, pann-cnn14, pann-cnn14-16k or passt.")
    ] = "musicnn",
    joint: Annotated[
        str | None, typer.Option(help="CLAP or MuLan to compare clips with prompts. [default: mulan-mini]")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Length of the clips that a model makes, 1-600.")] = 10.0,
    count: Annotated[int | None, typer.Option(help="How many clips a model makes. [default: one a prompt]")] = None,
    seed: Annotated[int, typer.Option(help="Of the clips that a model makes, and of every draw.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    save_statistics: Annotated[
        Path | None, typer.Option(help="Keep REF's statistics in this .npz, to compare with later or elsewhere.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page (.html) with plots and players.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Score a set of clips, or a model, against a reference.

    Every score comes with an interval, and with what noise, silence, shuffled prompts or the reference itself would
    score. Files that can't be read are told and left out. What was heard is kept on this machine, so a stopped run
    goes on where it was. Another question, whether a model has learnt its training data by heart, is that of
    `toccata evaluate memorisation` and, of clips, `toccata evaluate neighbours`.
    """
    _check_outputs(save_statistics, report)
    _check_extra()
    from toccata.data.sounds import cache_folder
    from toccata.evaluation.moments import load_statistics
    from toccata.evaluation.run import METRICS, evaluate
    from toccata.evaluation.sets import read_prompts, read_set, with_prompts
    from toccata.hub import load_judge, load_labeller

    chosen = [name.strip() for name in metrics.split(",") if name.strip()] if metrics is not None else None
    if chosen == [] or (unknown := [name for name in chosen or () if name not in METRICS]):
        wrong = f"there is no metric {unknown[0]!r}" if chosen else "no metric is named"
        raise InputError(f"{wrong}; choose from {', '.join(METRICS)}")
    originals = [] if reference.suffix == ".npz" else _originals(reference, audio, split)
    against = originals or load_statistics(reference)
    asked = read_prompts(prompts) if prompts else None
    ear = load_judge(embedding, device)
    labeller = load_labeller(labels, device) if labels != "musicnn" else None
    listener = _joint(joint, device, chosen)
    if _is_set(generated):
        clips = read_set(Path(generated))
        clips = with_prompts(clips, asked) if asked else clips
    else:
        clips = _made_by(generated, originals, asked, seconds, count, seed, device)
    result = evaluate(against, clips, ear, cache_folder() / "heard", progress, chosen, listener, seed, labeller)
    for problem in result.left_out:
        note(f"left out: {problem}")
    if result.left_out:
        note(f"{len(result.left_out)} files were left out")
    if save_statistics:
        _keep(result, save_statistics)
    if report:
        from toccata.audio.io import write_whole
        from toccata.evaluation.page import page

        write_whole(report, page(result, f"{generated} against {reference}", report.parent).encode())
        note(f"wrote {report}")
    if as_json:
        told = {"reference": str(reference), "generated": generated, **result.to_dict()}
        print(json.dumps(told, ensure_ascii=False))
    else:
        _print_table(result)


def _check_outputs(statistics: Path | None, report: Path | None) -> None:
    from toccata.audio.io import check_folder

    for path, suffix in ((statistics, ".npz"), (report, ".html")):
        if path and path.suffix != suffix:
            raise OutputError(f"{str(path)!r} must end in {suffix}")
        if path:
            check_folder(path)


def _check_extra() -> None:
    from importlib.util import find_spec

    if not (find_spec("librosa") and find_spec("scipy")):
        raise InputError("evaluating needs the judges' libraries; run: pip install 'toccata[judges]'")


def _originals(reference: Path, audio: Path | None, split: str) -> "list[Item]":
    """The clips of a folder or manifest, or of a published table."""
    from toccata.evaluation.collections import read_collection
    from toccata.evaluation.sets import read_set

    if reference.suffix != ".csv":
        if audio is not None or split != "all":
            raise InputError("--audio and --split go with MusicCaps' or Song Describer's .csv as REF; leave them out")
        return read_set(reference)
    if audio is None:
        raise InputError(f"{reference} holds no sound; name the folder that does with --audio")
    items, missing = read_collection(reference, audio, split)
    if missing:
        note(f"{missing} of the {len(items) + missing} clips of {reference} are not in {audio}; they are left out")
    return items


def _is_set(generated: str) -> bool:
    """Whether it names clips; else it is a model: a name, or a folder with a config.json."""
    path = Path(generated)
    return path.is_file() or (path.is_dir() and not (path / "config.json").is_file())


def _joint(name: str | None, device: str, metrics: list[str] | None) -> "JointJudge | None":
    """The encoder that was named, else the default one; None where nobody asked for its metric."""
    from toccata.hub import DEFAULT_JOINT, load_joint_judge

    if name is None and metrics is not None and "text" not in metrics:
        return None
    return load_joint_judge(name or DEFAULT_JOINT, device)


def _made_by(
    model: str,
    reference: "list[Item]",
    prompts: "list[Asked] | None",
    seconds: float,
    count: int | None,
    seed: int,
    device: str,
) -> "list[Item]":
    """The model's clips for the prompts given, or for the reference's, made now or in an earlier run."""
    from toccata import hub
    from toccata.data.sounds import cache_folder
    from toccata.evaluation.making import make, wishes
    from toccata.prompt import GenerateOptions

    GenerateOptions(seconds, seed)
    hub.check_choices(device, "auto")
    hub.find(model)
    wanted = wishes(prompts, reference, count)
    note(f"loading {model}")
    generator = hub.load(model, device, "auto")
    with progress("making music") as tell:
        return make(generator, wanted, seconds, seed, cache_folder() / "made", tell)


def _keep(result: "Report", path: Path) -> None:
    from toccata.evaluation.moments import save_statistics
    from toccata.evaluation.run import statistics_of

    case = result.case
    if case.reference is None:
        raise InputError("REF is statistics already; there are none to save")
    save_statistics(path, case.statistics or statistics_of(case.reference, case))
    note(f"wrote {path}: statistics of {len(case.reference)} clips")


def _print_table(result: "Report") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("score", "value", "95 % interval", "better", "n", "controls", box=None, pad_edge=False)
    for score in result.scores:
        span = "" if score.low is None or score.high is None else f"{score.low:.3g} to {score.high:.3g}"
        others = ", ".join(f"{name} {value:.3g}" for name, value in score.controls.items())
        table.add_row(score.metric, f"{score.value:.4g} {score.unit}".strip(), span, score.better, str(score.n), others)
    for line in result.notes:
        note(f"note: {line}")
    # Wide where nobody looks: a file or a pipe has no width.
    Console(highlight=False, width=None if sys.stdout.isatty() else 160).print(table)
