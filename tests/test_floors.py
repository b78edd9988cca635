"""The house's floors: a room imports only from floors below its own."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "toccata"
FLOORS = {
    "errors": 0, "version": 0,
    "prompt": 1, "nn": 1, "sampling": 1, "weights": 1,
    "audio": 2, "training": 2, "engines": 2,
    "clip": 3, "codecs": 3, "encoders": 3, "data": 3, "corpus": 3,
    "models": 4, "evaluation": 4, "search": 4,
    "recipes": 5,
    "hub": 6, "server": 6, "web": 6,
    "cli": 7, "__init__": 7,
    "__main__": 8,
}  # fmt: skip


def imported_rooms(source: str, module: str) -> set[str]:
    """The rooms that ``source`` imports anywhere in it; ``module`` is its dotted name below toccata."""
    rooms = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            rooms |= {_room(alias.name) for alias in node.names if alias.name.split(".")[0] == "toccata"}
        elif isinstance(node, ast.ImportFrom):
            package = ["toccata", *module.split(".")][: -node.level or None] if node.level else []
            name = ".".join([*package, *filter(None, [node.module])])
            if name == "toccata":
                rooms |= {alias.name if alias.name in FLOORS else "__init__" for alias in node.names}
            elif name.startswith("toccata."):
                rooms.add(_room(name))
    return rooms


def _room(name: str) -> str:
    return [*name.split("."), "__init__"][1]


def wrong_arrows(source: str, module: str) -> list[str]:
    room = module.split(".")[0]
    others = imported_rooms(source, module) - {room}
    unknown = sorted(({room} | others) - FLOORS.keys())
    if unknown:
        return [f"{module}: no floor is known for {name}" for name in unknown]
    return [f"{module} imports {other}" for other in sorted(others) if FLOORS[other] >= FLOORS[room]]


def test_no_arrow_runs_up_or_round():
    files = sorted(SOURCE.rglob("*.py"))
    assert len(files) > 10
    wrong = []
    for file in files:
        module = ".".join(file.relative_to(SOURCE).with_suffix("").parts)
        wrong += wrong_arrows(file.read_text(), module)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("from toccata.hub import load", "models.musicgen.pipeline"),
        ("def late():\n    import toccata.corpus.make", "codecs.soundstream"),
        ("from ..encoders import text", "codecs.soundstream"),
        ("from toccata import load", "recipes.text"),
        ("from toccata import clip", "data.shards"),
        ("from toccata.attic import box", "cli.app"),
        ("x = 1", "attic.box"),
    ],
    ids=["up", "sideways in a function", "relative", "through the door", "room as a name", "unknown room", "new room"],
)
def test_wrong_arrows_are_seen(source: str, module: str):
    assert wrong_arrows(source, module)


def test_right_arrows_pass():
    source = "import torch\nfrom toccata.errors import InputError\nfrom .delay import pattern\nfrom ...nn import rvq"
    assert not wrong_arrows(source, "models.musicgen.pipeline")
