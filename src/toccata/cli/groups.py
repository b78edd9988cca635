"""Commands with a word of their own below them, and a default without one."""

import typer
from typer.core import TyperGroup


class Defaulting(TyperGroup):
    """The command called ``default`` is meant where no other one is named."""

    default = "sets"

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:
        named = bool(args) and args[0] in self.commands
        return super().parse_args(ctx, args if named else [self.default, *args])
