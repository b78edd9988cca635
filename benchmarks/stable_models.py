"""The Stable Audio that a benchmark measures."""

from typing import Any

import toccata
from benchmarks.report import Options
from toccata.errors import InputError
from toccata.models.stable_audio.pipeline import StableAudio

SHIPPED, STUDENT = "stable-audio-mini", "stable-audio-mini-8-steps"


def stable_audio(name: str, options: Options, other: str | None = None) -> StableAudio:
    """The model ``other``, or the one named with --model, or the one that ships.

    ``name`` is the benchmark's. Raises ``InputError`` where it is of another family.
    """
    wanted = other or options.model or SHIPPED
    model: Any = toccata.load(wanted, device=options.device)
    if not isinstance(model, StableAudio):
        raise InputError(f"{name} measures models of the family stable-audio; {wanted} is none")
    return model
