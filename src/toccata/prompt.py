"""What a user asks for: the words (``Prompt``) and the numbers (``GenerateOptions``), checked where they are made."""

import numbers
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, Self

from toccata.errors import InputError

MAX_CHARACTERS = 2_000
MAX_SECONDS = 600.0
MAX_SEED = 2**63 - 1
MAX_COUNT = 100
MIN_TEMPO, MAX_TEMPO = 20, 400
MAX_BARS = 64
_TEMPO = re.compile(r"\b(\d{2,3}(?:\.\d+)?)\s*(?:bpm\b|beats (?:per|a) minute)", re.IGNORECASE)
_METRE = re.compile(r"\b(\d{1,2})/(2|4|8|16)\b")
_THREE = re.compile(r"\bwaltz|\bthree-four\b|\btriple (?:time|met(?:er|re))\b", re.IGNORECASE)


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


def options_of(model: str, **given: Any) -> GenerateOptions:
    """``GenerateOptions(**given)``; raises ``InputError`` in the name of ``model`` for what is no part of them."""
    if foreign := given.keys() - {field.name for field in fields(GenerateOptions)}:
        raise InputError(f"{model} takes no {min(foreign)}; leave it out or choose a model that does")
    return GenerateOptions(**given)


@dataclass(frozen=True)
class EditOptions:
    """The numbers of models that draw a whole window at once; ``None`` leaves a choice to the model.

    ``steps`` 1-1,000 of the solver. ``strength``, above 0 and up to 1, is how far from a recording the music goes.
    ``inpaint`` names the parts of a recording that are made anew, as (from, to) in seconds; they are put in order, and
    may not overlap. ``extend`` is how many seconds are made before and after a recording, all of which stays. ``loop``,
    1-64, is how many bars come round again without a seam, at ``bpm``, 20-400 beats a minute.
    """

    steps: int | None = None
    strength: float | None = None
    inpaint: tuple[tuple[float, float], ...] = ()
    extend: tuple[float, float] | None = None
    loop: int | None = None
    bpm: float | None = None

    def __post_init__(self) -> None:
        if self.steps is not None:
            whole_number(self.steps, "steps", 1, 1_000)
        if self.strength is not None:
            number(self.strength, "strength", 0.01, 1)
        object.__setattr__(self, "inpaint", tuple(sorted(_region(part) for part in self.inpaint)))
        for (_, end), (start, _) in pairwise(self.inpaint):
            if start < end:
                raise InputError(f"two parts to make anew overlap at {start:g} seconds; give them as one")
        if self.extend is not None:
            object.__setattr__(self, "extend", _extension(self.extend))
            if self.inpaint or self.strength is not None:
                raise InputError("extend keeps all of the recording; leave out inpaint and strength")
        self._check_loop()

    def _check_loop(self) -> None:
        if self.bpm is not None:
            number(self.bpm, "bpm", MIN_TEMPO, MAX_TEMPO)
        if self.loop is None:
            if self.bpm is not None:
                raise InputError(
                    "bpm says how long the bars of a loop are; give loop too, or put the tempo in the prompt"
                )
            return
        whole_number(self.loop, "loop", 1, MAX_BARS)
        if self.inpaint or self.extend or self.strength is not None:
            raise InputError("a loop begins from nothing; leave out inpaint, extend and strength")

    def loop_seconds(self, prompt: Prompt) -> float:
        """How long the loop's bars last: by ``bpm`` or the tempo in the prompt, and the beats that its bars have.

        Raises ``InputError`` where there is no tempo, and where the loop is too short or too long to be made.
        """
        tempo = self.bpm or tempo_in(prompt.text)
        if tempo is None:
            raise InputError(
                'a loop needs a tempo; put it in the prompt, such as "at 120 bpm", or give bpm (--bpm 120)'
            )
        seconds = (self.loop or 0) * beats_in(prompt.text) * 60 / tempo
        if not 1 <= seconds <= MAX_SECONDS:
            raise InputError(
                f"{self.loop} bars at {tempo:g} bpm last {seconds:.3g} seconds, not 1 to {MAX_SECONDS:g}; "
                f"loop {'more' if seconds < 1 else 'fewer'} bars"
            )
        return seconds


def _region(part: object) -> tuple[float, float]:
    if not isinstance(part, tuple | list) or len(part) != 2:
        raise InputError(f"a part to make anew is (from, to) in seconds, such as (4, 8), not {part!r:.40}")
    start, end = (number(value, "the time of a part to make anew", 0, MAX_SECONDS) for value in part)
    if start >= end:
        raise InputError(f"a part to make anew ends after it starts, not at {end:g} when it starts at {start:g}")
    return start, end


def _extension(value: object) -> tuple[float, float]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise InputError(f"extend is (seconds before, seconds after), such as (4, 8), not {value!r:.40}")
    before, after = (number(seconds, "the length to extend by", 0, MAX_SECONDS) for seconds in value)
    if not before + after:
        raise InputError("extend by 0 seconds before and after changes nothing; give one of them")
    return before, after


def tempo_in(text: str) -> float | None:
    """Beats a minute that a text names ("at 132 bpm"), 20 to 400; None where it does not."""
    found = _TEMPO.search(text)
    return float(found[1]) if found and MIN_TEMPO <= float(found[1]) <= MAX_TEMPO else None


def beats_in(text: str) -> int:
    """Beats a bar, as a text says ("in 3/4", "a waltz"), else 4; in 6/8 and the like a beat is three eighths."""
    if found := _METRE.search(text):
        over, under = int(found[1]), int(found[2])
        return over // 3 if under >= 8 and over % 3 == 0 and over > 3 else max(over, 1)
    return 3 if _THREE.search(text) else 4


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
