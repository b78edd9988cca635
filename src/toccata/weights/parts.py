"""Where the parts lie that a model names: its codec, its text encoder."""

import shutil
from pathlib import Path
from typing import Any

from toccata.errors import InputError, WeightsError
from toccata.weights import catalogue, store

BUNDLED = Path(__file__).parents[1] / "bundled"


def find_part(folder: Path, config: dict[str, Any], role: str) -> Path:
    """The folder of what ``config`` names as its ``role``: in the model's ``folder``, beside it, or part of toccata.

    A public model is named by its hub id, and has to be pulled.
    """
    said = str(config.get(role, ""))
    name = Path(said).name
    for place in (folder / name, folder.parent / name, BUNDLED / name):
        if name and (place / "config.json").is_file():
            return place
    if catalogue.find(said):
        return _pulled(said, f"{folder} needs the {role} {said}")
    raise WeightsError(
        f"{folder} needs the {role} {name or '(unnamed)'!r}, which is neither beside it nor part of toccata"
    )


def adopt(name: str, beside: Path) -> tuple[Path, str]:
    """The folder of a part that a recipe is given, and how its model is to name it.

    What is part of toccata and what is public keep their names; any other folder is copied to ``beside``, so that it
    goes with the model. Raises ``InputError`` where there is nothing of that name.
    """
    part = BUNDLED / Path(name).name
    if (name == part.name or Path(name).resolve() == part.resolve()) and (part / "config.json").is_file():
        return part, part.name
    if catalogue.find(name):
        return _pulled(name, f"the recipe needs {name}"), name
    if not (Path(name) / "config.json").is_file():
        raise InputError(f"{name!r} is no part of toccata, no public model and no folder with a config.json")
    copied = beside.with_name(f"{beside.name}.part")
    shutil.rmtree(copied, ignore_errors=True)
    shutil.copytree(name, copied)
    shutil.rmtree(beside, ignore_errors=True)
    copied.rename(beside)
    return beside, beside.name


def inherit(folder: Path, config: dict[str, Any], role: str, beside: Path) -> str:
    """``adopt`` what the model in ``folder`` names as its ``role``, for a model that is made of it: the name of it."""
    place, said = find_part(folder, config, role), str(config[role])
    return adopt(said if catalogue.find(said) else str(place), beside)[1]


def _pulled(name: str, who: str) -> Path:
    found = store.fetched(catalogue.get(name))
    if found is None:
        raise WeightsError(f"{who}, which is not on this machine; run: toccata models pull {name}")
    return found.folder
