"""Where the parts lie that a model names: its codec, its text encoder."""

from pathlib import Path
from typing import Any

from toccata.errors import WeightsError

BUNDLED = Path(__file__).parents[1] / "bundled"


def find_part(folder: Path, config: dict[str, Any], role: str) -> Path:
    """The folder of what ``config`` names as its ``role``: in the model's ``folder``, beside it, or part of toccata."""
    name = Path(str(config.get(role, ""))).name
    for place in (folder / name, folder.parent / name, BUNDLED / name):
        if name and (place / "config.json").is_file():
            return place
    raise WeightsError(
        f"{folder} needs the {role} {name or '(unnamed)'!r}, which is neither beside it nor part of toccata"
    )
