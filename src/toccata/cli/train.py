"""``toccata train``: run a recipe."""

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from toccata.errors import InputError

EXAMPLE = "\b\nExample: toccata train codec --out runs/codec --preset mini --steps 2500 --set batch=8"
RECIPES = (
    "autoencoder", "clap", "codec", "mousai", "mousai-autoencoder", "mulan", "mulan-tokens", "musicgen", "musiclm",
    "riffusion", "semantic-tokens", "stable-audio", "stable-audio-steps", "text", "w2vbert",
)  # fmt: skip
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            help="What to train: autoencoder, clap, codec, mousai, mousai-autoencoder, mulan, mulan-tokens (fits a"
            " trained one's tokens to other music), musicgen, musiclm, riffusion, semantic-tokens (fits a w2v-BERT's,"
            " with pitch), stable-audio, stable-audio-steps (distils a trained one to a few steps), text or w2vbert."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the model; an interrupted run goes on from what is there.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Size of the model, such as mini or full.")] = None,
    stage: Annotated[str | None, typer.Option(help="Which stage of MusicLM: semantic, coarse, fine or melody.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps in all.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after this long; the same command goes on later.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same model.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps.")] = None,
    others: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE for any other of the recipe's settings; may be repeated."),
    ] = None,
) -> None:
    """Train a model by one of the recipes; what is not given is the recipe's own choice."""
    if recipe not in RECIPES:
        raise InputError(f"there is no recipe {recipe!r}; choose one of {', '.join(RECIPES)}")
    given = {
        "out": out, "preset": preset, "stage": stage, "steps": steps, "minutes": minutes, "seed": seed,
        "device": device,
    }  # fmt: skip
    settings = {name: str(value) for name, value in given.items() if value is not None}
    settings |= dict(_pair(text) for text in others or ())
    run = import_module(f"toccata.recipes.{recipe.replace('-', '_')}").train
    options = _options(run, recipe, settings)
    with redirect_stdout(sys.stderr):  # a recipe tells what it does; stdout is for data
        run(options)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set takes NAME=VALUE, not {text!r}")
    return name, value


def _options(run: Callable[[Any], object], recipe: str, settings: dict[str, str]) -> Any:
    """The dataclass that ``run`` takes, from words."""
    kind = next(iter(get_type_hints(run).values()))
    types = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    if unknown := [name for name in settings if name not in names]:
        raise InputError(f"the recipe {recipe} has no setting {unknown[0]!r}; it has {', '.join(names)}")
    return kind(**{name: _parse(name, value, types[name]) for name, value in settings.items()})


def _parse(name: str, text: str, kind: Any) -> Any:
    try:
        return _parser(kind)(text)
    except (ValueError, KeyError):
        raise InputError(f"{name} must be of type {getattr(kind, '__name__', kind)}, not {text!r}") from None


def _parser(kind: Any) -> Callable[[str], Any]:
    """What turns a word into a ``kind``: a plain type, one of them or None, or a tuple of them with commas between."""
    if get_origin(kind) is UnionType:
        kind = next(member for member in get_args(kind) if member is not NoneType)
    if get_origin(kind) is tuple:
        member = _parser(get_args(kind)[0])
        return lambda text: tuple(member(part) for part in text.split(","))
    return (lambda word: _TRUTH[word.lower()]) if kind is bool else kind
