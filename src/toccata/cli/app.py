"""The commands put together, and their errors in one line each."""

import sys
from typing import Annotated, Any

import typer

from toccata.cli import (
    DONE,
    USER,
    codec,
    corpus,
    evaluate,
    generate,
    joint,
    listen,
    memorisation,
    models,
    neighbours,
    train,
)
from toccata.cli.groups import Defaulting
from toccata.errors import ToccataError
from toccata.version import __version__

# Typer carries click's exceptions in a private place; this is the base of all that mean "wrong usage".
_UsageError: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

app = typer.Typer(
    name="toccata",
    help="Text to music, offline.",
    epilog='\b\nExample: toccata generate "warm lo-fi piano over a slow boom-bap beat" -o out.wav',
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    add_completion=False,
)


@app.callback()
def _front(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        print(f"toccata {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


app.command(epilog=generate.EXAMPLE)(generate.generate)
app.add_typer(models.app, name="models")
app.add_typer(corpus.app, name="corpus")
app.command(epilog=train.EXAMPLE)(train.train)
app.command(epilog=codec.ENCODE_EXAMPLE)(codec.encode)
app.command(epilog=codec.DECODE_EXAMPLE)(codec.decode)
app.command(epilog=joint.EMBED_EXAMPLE)(joint.embed)
app.command(epilog=joint.SEARCH_EXAMPLE)(joint.search)
app.command(epilog=joint.TAG_EXAMPLE)(joint.tag)
_evaluation = typer.Typer(cls=Defaulting, help="How good music is.", rich_markup_mode=None)
_evaluation.command(Defaulting.default, epilog=evaluate.EXAMPLE)(evaluate.evaluate)
_evaluation.command(epilog=memorisation.EXAMPLE)(memorisation.memorisation)
_evaluation.command(epilog=neighbours.EXAMPLE)(neighbours.neighbours)
app.add_typer(_evaluation, name="evaluate")
_listening = typer.Typer(cls=Defaulting, help="How good people find it.", rich_markup_mode=None)
_listening.command(Defaulting.default, epilog=listen.EXAMPLE)(listen.listen)
_listening.command(epilog=listen.EXPORT_EXAMPLE)(listen.export)
app.add_typer(_listening, name="listen")


def _usage(error: Any) -> str:
    command = error.ctx.command_path if getattr(error, "ctx", None) else "toccata"
    return f"{error.format_message().rstrip('.')}; see {command} --help"


def run(arguments: list[str]) -> int:
    """Run the command that ``arguments`` name; what the user can mend becomes one line on stderr and exit code 2."""
    command = typer.main.get_command(app)
    try:
        # Not command.main(): it would turn interrupts and closed pipes into exits of its own.
        with command.make_context("toccata", arguments) as context:
            command.invoke(context)
        return DONE
    except typer.Exit as done:
        return done.exit_code
    except ToccataError as error:
        sentence = str(error)
    except _UsageError as error:
        sentence = _usage(error)
    print(f"error: {' '.join(sentence.split())}", file=sys.stderr)
    return USER
