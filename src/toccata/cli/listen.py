"""``toccata listen``: a listening test in the browser, and what its answers say."""

import csv
import json
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toccata.cli.progress import note, progress
from toccata.errors import InputError
from toccata.prompt import number

if TYPE_CHECKING:
    from toccata.evaluation.answers import Answer, Answers
    from toccata.evaluation.verdict import Verdict

EXAMPLE = "\b\nExample: toccata listen musiclm=out/a.jsonl musicgen=out/b.jsonl --db test.db"
EXPORT_EXAMPLE = "\b\nExample: toccata listen export test.db --json"
_MODES = ("pairs", "mos")


def listen(
    sets: Annotated[
        list[str],
        typer.Argument(metavar="SETS...", help="Folders or JSONL manifests of clips, each as it is or as NAME=PLACE."),
    ],
    mode: Annotated[
        str, typer.Option(help="pairs: which of two clips fits the text better; mos: marks for quality and relevance.")
    ] = "pairs",
    prompts: Annotated[
        Path | None,
        typer.Option(help="The clips' prompts: a .txt, one a line; a .csv or .jsonl that names them. [default: SETS']"),
    ] = None,
    db: Annotated[Path, typer.Option(help="Where answers are kept; an old one of the same test goes on.")] = Path(
        "listening.db"
    ),
    trials: Annotated[int, typer.Option(min=1, help="Questions a rater, attention checks come on top.")] = 20,
    seconds: Annotated[float, typer.Option(help="Longest that a clip is played, 1-600.")] = 30.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the order of questions.")] = 0,
    host: Annotated[str, typer.Option(help="Address to serve at; another than this machine's own needs --token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve at; 0 for any free one.")] = 8000,
    token: Annotated[
        str | None, typer.Option(envvar="TOCCATA_TOKEN", help="What raters' addresses have to bring, as ?token=.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the address and the test as one JSON object.")] = False,
) -> None:
    """Serve a page on which people compare or rate clips, blind, until it is interrupted.

    Clips of one prompt are brought together, played equally loud and equally long, in an order that asks everything
    equally often. Answers are in a database at once: a stopped test, and a rater who comes back, go on where they
    were. What they say is told by `toccata listen export`.
    """
    _check(mode, sets)
    number(seconds, "--seconds", 1, 600)
    from toccata.evaluation.answers import Answers
    from toccata.evaluation.answers_file import Design
    from toccata.evaluation.matching import read_sets
    from toccata.evaluation.playback import prepare
    from toccata.evaluation.sets import read_prompts
    from toccata.server.listen import ListeningTest, listening_app
    from toccata.server.run import address, bind, check_address, serve

    check_address(host, token)
    with bind(host, port) as bound:
        material = read_sets(sets, read_prompts(prompts) if prompts else ())
        for line in material.left_out:
            note(line)
        with progress("hearing the clips") as tell:
            material, playback, notes = prepare(material, seconds, tell)
        for line in notes:
            note(line)
        design = Design(
            mode, material.names, material.prompts, trials, seconds, seed, material.fingerprint(), playback.plain
        )
        answers = Answers.start(db, design)
        _tell(address(bound), token, answers, as_json)
        try:
            with suppress(KeyboardInterrupt):  # the way to stop a server
                serve(listening_app(ListeningTest(material, playback, answers), token), bound)
        finally:
            note(f"stopped; {len(answers.all())} answers are in {db}")
            answers.close()


def _check(mode: str, sets: list[str]) -> None:
    from importlib.util import find_spec

    if mode not in _MODES:
        raise InputError(f"there is no mode {mode!r}; choose from {', '.join(_MODES)}")
    if mode == "pairs" and len(sets) < 2:
        raise InputError("a comparison needs two sets or more; name another, or rate the clips of one with --mode mos")
    if not (find_spec("fastapi") and find_spec("uvicorn")):
        raise InputError("serving needs FastAPI and uvicorn; run: pip install 'toccata[listen]'")


def _tell(url: str, token: str | None, answers: "Answers", as_json: bool) -> None:
    """Where the page is, for people on stderr."""
    design = answers.design
    place = f"{url}?token={token}" if token else url
    note(f"{len(design.names)} sets of {len(design.prompts)} prompts; {len(answers.all())} answers in {answers.path}")
    note(f"open {place} (for several raters with names of yours: &rater=NAME)" if token else f"open {place}")
    note("stop with Ctrl-C; nothing is lost")
    if as_json:
        told = {"url": place, "db": str(answers.path), "mode": design.mode, "sets": design.names}
        print(json.dumps(told | {"prompts": len(design.prompts)}, ensure_ascii=False), flush=True)


def export(
    db: Annotated[Path, typer.Argument(metavar="DB", help="The database of a listening test; it may be running.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as one JSON object.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print every answer, a line each.")] = False,
) -> None:
    """Say what the answers of a listening test show.

    Wins and Bradley-Terry scores, or mean opinion scores, with 95 % intervals; Wilcoxon's signed-rank test of each
    pair of sets with Holm's correction; how many answers are missing until a difference of the size seen would be
    significant with 80 % power; and which raters were left out for failing an attention check.
    """
    if as_json and as_csv:
        raise InputError("--json and --csv are two forms of an answer; give one of them")
    _check_statistics()
    from toccata.evaluation.answers import Answers
    from toccata.evaluation.verdict import verdict

    answers = Answers.read(db)
    try:
        found = verdict(answers)
        everything = answers.all()
    finally:
        answers.close()
    if as_csv:
        _print_csv(everything, answers.design.names, answers.design.prompts, found)
    elif as_json:
        print(
            json.dumps({"db": str(db), "prompts": len(answers.design.prompts), **found.to_dict()}, ensure_ascii=False)
        )
    else:
        _print_tables(found)


def _check_statistics() -> None:
    from importlib.util import find_spec

    if not find_spec("scipy"):
        raise InputError("the tests of significance need SciPy; run: pip install 'toccata[listen]'")


def _print_csv(everything: "list[Answer]", names: tuple[str, ...], prompts: tuple[str, ...], found: "Verdict") -> None:
    left_out = {rater.rater for rater in found.raters if rater.left_out}
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(
        ("rater", "left_out", "place", "kind", "prompt", "left", "right", "preference", "quality", "relevance",
         "heard", "seconds", "answered")
    )  # fmt: skip
    for one in everything:
        trial, said = one.trial, one.said
        left, right = ([names[chosen] + " + noise" * spoilt for chosen, spoilt in trial.clips] + [""])[:2]
        when = datetime.fromtimestamp(one.answered, UTC).isoformat(timespec="seconds")
        table.writerow(
            (trial.rater, int(trial.rater in left_out), trial.place + 1, trial.kind, prompts[trial.prompt], left, right,
             said.preference, said.quality, said.relevance, round(said.heard, 3), round(said.seconds, 1), when)
        )  # fmt: skip


def _print_tables(found: "Verdict") -> None:
    from rich.console import Console
    from rich.table import Table

    if found.mode == "pairs":
        sets = Table("set", "score", "95 % interval", "wins", "losses", "no preference", box=None, pad_edge=False)
        for told in found.sets:
            counts = (str(told[name]) for name in ("wins", "losses", "no_preference"))
            sets.add_row(told["set"], *_measured(told, "score", "low", "high"), *counts)
    else:
        sets = Table(
            "set", "quality", "95 % interval", "relevance", "95 % interval", "ratings", box=None, pad_edge=False
        )
        for told in found.sets:
            marks = (_measured(told, about, f"{about}_low", f"{about}_high") for about in ("quality", "relevance"))
            sets.add_row(told["set"], *(word for words in marks for word in words), str(told["answers"]))
    pairs = Table("compared", "about", "answers", "wins", "p", "corrected", "answers missing", box=None, pad_edge=False)
    for pair in found.pairs:
        missing = "no difference seen" if pair.missing is None else f"{pair.missing:,}"
        pairs.add_row(
            f"{pair.first} : {pair.second}", pair.about, str(pair.answers), f"{pair.first_wins} : {pair.second_wins}",
            _p(pair.p), _p(pair.p_holm) + " *" * pair.significant, missing,
        )  # fmt: skip
    left_out = [rater for rater in found.raters if rater.left_out]
    for line in found.notes:
        note(f"note: {line}")
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 160)
    console.print(f"{len(found.raters)} raters, {len(left_out)} of them left out", "", sets, "", pairs, sep="\n")


def _measured(told: dict[str, Any], value: str, low: str, high: str) -> tuple[str, str]:
    if told[value] is None:
        return "", ""
    return f"{told[value]:.3g}", f"{told[low]:.3g} to {told[high]:.3g}"


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
