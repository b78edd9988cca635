"""The Stable Audio that a benchmark measures."""

from typing import Any

import toccata
from benchmarks.report import Options
from toccata import hub
from toccata.errors import InputError
from toccata.models.stable_audio.pipeline import StableAudio

SHIPPED = "stable-audio-mini"


def stable_audio(name: str, options: Options) -> StableAudio:
    """The model named with --model, or the one that ships; raises ``InputError`` where there is none.

    ``name`` is the benchmark's.
    """
    if options.model is None and not any(model.name == SHIPPED for model in hub.KNOWN):
        raise InputError(f"{name} needs a trained Stable Audio, and none ships yet; name one with --model FOLDER")
    model: Any = toccata.load(options.model or SHIPPED, device=options.device)
    if not isinstance(model, StableAudio):
        raise InputError(f"{name} measures models of the family stable-audio; {options.model} is none")
    return model
