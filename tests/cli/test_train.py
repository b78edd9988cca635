"""``toccata train`` hands a recipe what was asked for, in the types that the recipe has."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from toccata.recipes import codec


@dataclass(frozen=True)
class Recipe:
    out: Path = Path("runs")
    band: Path | None = None
    steps: int = 1
    minutes: float = 1.0
    compile: bool = True
    weights: tuple[float, ...] = (1.0,)


@pytest.fixture
def asked(monkeypatch) -> list[Recipe]:
    recipes: list[Recipe] = []

    def train(recipe: Recipe) -> None:
        print("step 1")
        recipes.append(recipe)

    train.__annotations__["recipe"] = Recipe
    monkeypatch.setattr(codec, "train", train)
    return recipes


def test_settings_reach_the_recipe_and_the_rest_is_its_own(toccata, asked):
    code, out, err = toccata(
        "train",
        "codec",
        "--out",
        "here",
        "--steps",
        7,
        "--set",
        "compile=no",
        "--set",
        "weights=2,1.5",
        "--set",
        "band=b",
    )
    assert (code, out) == (0, b"")
    assert "step 1" in err
    assert asked == [Recipe(Path("here"), Path("b"), 7, 1.0, False, (2.0, 1.5))]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["codex"], "choose one of autoencoder, clap, codec"),
        (["codec", "--preset", "mini"], "no setting 'preset'"),
        (["codec", "--set", "batches=3"], "no setting 'batches'"),
        (["codec", "--set", "batches"], "NAME=VALUE"),
        (["codec", "--set", "steps=many"], "steps must be of type int"),
        (["codec", "--set", "compile=perhaps"], "compile must be of type bool"),
        (["codec", "--set", "weights=1,x"], "weights must be of type tuple"),
    ],
)
def test_what_the_recipe_does_not_know_is_one_line(toccata, asked, arguments, says):
    code, _, err = toccata("train", *arguments)
    assert code == 2
    assert says in err
    assert err.count("\n") == 1
    assert not asked
