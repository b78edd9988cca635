"""Text to music: ``toccata.load().generate("warm lo-fi piano", seconds=12, seed=7).save("out.wav")``.

Importing this package costs nothing: the rooms behind these names are opened when a name is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from toccata.errors import InputError, OutputError, ToccataError, WeightsError
from toccata.version import __version__

if TYPE_CHECKING:
    from toccata.clip import Clip, Generator
    from toccata.hub import load
    from toccata.prompt import GenerateOptions, Prompt
    from toccata.search.ranking import best_of

__all__ = [
    "Clip",
    "GenerateOptions",
    "Generator",
    "InputError",
    "OutputError",
    "Prompt",
    "ToccataError",
    "WeightsError",
    "__version__",
    "best_of",
    "load",
]

_ROOM_OF = {"Clip": "clip", "Generator": "clip", "GenerateOptions": "prompt", "Prompt": "prompt", "load": "hub",
            "best_of": "search.ranking"}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'toccata' has no attribute {name!r}")
    return getattr(import_module(f"toccata.{_ROOM_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
