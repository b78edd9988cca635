"""What a user asks for: the words (``Prompt``) and the numbers (``GenerateOptions``), checked where they are made."""

import numbers
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from toccata.errors import InputError

MAX_CHARACTERS = 2_000
MAX_SECONDS = 600.0
MAX_SEED = 2**63 - 1
MAX_COUNT = 100


@dataclass(frozen=True)
class Prompt:
    """The words that music is made from.

    ``text`` says what to play and ``negative`` what to keep away from. ``parts`` is empty, or a story: texts that take
    over one after another, as (seconds from the start, text) in order of time. White space is tidied. Texts that are
    empty, longer than 2,000 characters, hold control characters or no letter or digit at all raise ``InputError``.
    """

    text: str
    negative: str | None = None
    parts: tuple[tuple[float, str], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", _tidy(self.text, "the prompt"))
        if self.negative is not None:
            object.__setattr__(self, "negative", _tidy(self.negative, "the negative prompt"))

    @classmethod
    def of(cls, value: "str | Prompt") -> "Prompt":
        """``value`` itself where it is a prompt already, else the prompt with that text."""
        return value if isinstance(value, Prompt) else cls(value)

    @classmethod
    def story(cls, parts: Mapping[float, str], negative: str | None = None) -> Self:
        """A prompt that changes with time: ``Prompt.story({0: "calm piano", 15: "full orchestra"})``.

        The keys are seconds from the start, the first of them 0.
        """
        if not parts:
            raise InputError('a story needs at least one part, such as {0: "calm piano"}')
        times = [number(at, "the time of a story's part", 0, MAX_SECONDS) for at in parts]
        if min(times) != 0:
            raise InputError(f"a story starts at 0 seconds, but its first part is at {min(times):g}")
        told = sorted((at, _tidy(text, "the story")) for at, text in zip(times, parts.values(), strict=True))
        return cls(told[0][1], negative, tuple(told))

    def text_at(self, seconds: float) -> str:
        """The text that holds at ``seconds`` of a story; the only one of a plain prompt."""
        text = self.text
        for at, words in self.parts:
            text = words if at <= seconds else text
        return text

    def __str__(self) -> str:
        return " | ".join(f"{at:g}: {text}" for at, text in self.parts) or self.text


@dataclass(frozen=True)
class GenerateOptions:
    """The numbers of one request; ``None`` leaves a choice to the model (``seed``: to chance).

    ``seconds`` 1-600; ``seed`` 0 to 2**63 - 1; ``count`` 1-100 clips, of which clip i has seed ``seed + i``;
    ``guidance`` 0-20, how closely the prompt is followed, or a pair of them, from the clip's start to its end;
    ``temperature`` above 0 and up to 5; ``top_k`` the number of likeliest tokens to choose from (0: all); ``top_p``
    their summed probability, above 0 and up to 1 (1: all).
    """

    seconds: float = 10.0
    seed: int | None = None
    count: int = 1
    guidance: float | tuple[float, float] | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        number(self.seconds, "seconds", 1, MAX_SECONDS)
        whole_number(self.count, "count", 1, MAX_COUNT)
        if self.seed is not None:
            whole_number(self.seed, "seed", 0, MAX_SEED)
        if isinstance(self.guidance, tuple | list) and len(self.guidance) == 2:
            first, last = (number(value, "guidance", 0, 20) for value in self.guidance)
            object.__setattr__(self, "guidance", (first, last))
        elif self.guidance is not None:
            number(self.guidance, "guidance", 0, 20)
        if self.temperature is not None:
            number(self.temperature, "temperature", 0.01, 5)
        if self.top_k is not None:
            whole_number(self.top_k, "top_k", 0, 1_000_000)
        if self.top_p is not None:
            number(self.top_p, "top_p", 0.001, 1)


@dataclass(frozen=True)
class EditOptions:
    """The numbers of models that draw a whole window at once; ``None`` leaves a choice to the model.

    ``steps`` 1-1,000 of the solver. ``strength``, above 0 and up to 1, is how far from a recording the music goes.
    ``inpaint`` names the parts of a recording that are made anew, as (from, to) in seconds; they are put in order, and
    may not overlap.
    """

    steps: int | None = None
    strength: float | None = None
    inpaint: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if self.steps is not None:
            whole_number(self.steps, "steps", 1, 1_000)
        if self.strength is not None:
            number(self.strength, "strength", 0.01, 1)
        object.__setattr__(self, "inpaint", tuple(sorted(_region(part) for part in self.inpaint)))
        for (_, end), (start, _) in pairwise(self.inpaint):
            if start < end:
                raise InputError(f"two parts to make anew overlap at {start:g} seconds; give them as one")


def _region(part: object) -> tuple[float, float]:
    if not isinstance(part, tuple | list) or len(part) != 2:
        raise InputError(f"a part to make anew is (from, to) in seconds, such as (4, 8), not {part!r:.40}")
    start, end = (number(value, "the time of a part to make anew", 0, MAX_SECONDS) for value in part)
    if start >= end:
        raise InputError(f"a part to make anew ends after it starts, not at {end:g} when it starts at {start:g}")
    return start, end


def number(value: object, name: str, low: float, high: float) -> float:
    """``value`` as a float in [low, high], else ``InputError`` in the words of ``name``."""
    if isinstance(value, numbers.Real) and not isinstance(value, bool) and low <= value <= high:  # type: ignore[operator]
        return float(value)
    raise InputError(f"{name} must be a number from {low:,g} to {high:,g}, not {value!r:.40}")


def whole_number(value: object, name: str, low: int, high: int) -> int:
    """``value`` as an int in [low, high], else ``InputError`` in the words of ``name``."""
    if isinstance(value, numbers.Integral) and not isinstance(value, bool) and low <= value <= high:  # type: ignore[operator]
        return int(value)
    raise InputError(f"{name} must be a whole number from {low:,} to {high:,}, not {value!r:.40}")


def _tidy(text: object, what: str) -> str:
    if not isinstance(text, str):
        raise InputError(f"{what} must be text, not {type(text).__name__}")
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"{what} has {len(text):,} characters; shorten it to {MAX_CHARACTERS:,} or fewer")
    tidy = unicodedata.normalize("NFC", " ".join(text.split()))
    if not tidy:
        raise InputError(f'{what} is empty; describe the music, such as "warm lo-fi piano over a slow beat"')
    if odd := [letter for letter in tidy if unicodedata.category(letter) in ("Cc", "Cs")]:
        raise InputError(f"{what} holds the control character U+{ord(odd[0]):04X}; remove it")
    if not any(letter.isalnum() for letter in tidy):
        raise InputError(
            f"{what} has no letter or digit, so no word in it can be understood; describe the music in words"
        )
    return tidy
