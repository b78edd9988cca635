"""The Stable Audio that a benchmark measures."""

from typing import Any

import toccata
from benchmarks.report import Options
from toccata import hub
from toccata.errors import InputError
from toccata.models.stable_audio.pipeline import StableAudio

SHIPPED, STUDENT = "stable-audio-mini", "stable-audio-mini-8-steps"


def ships(name: str) -> bool:
    return any(model.name == name and model.here for model in hub.KNOWN)


def stable_audio(name: str, options: Options, other: str | None = None) -> StableAudio:
    """The model ``other``, or the one named with --model, or the one that ships.

    ``name`` is the benchmark's. Raises ``InputError`` where there is none.
    """
    wanted = other or options.model
    if wanted is None and not ships(SHIPPED):
        raise InputError(f"{name} needs a trained Stable Audio, and none ships yet; name one with --model FOLDER")
    model: Any = toccata.load(wanted or SHIPPED, device=options.device)
    if not isinstance(model, StableAudio):
        raise InputError(f"{name} measures models of the family stable-audio; {wanted} is none")
    return model
