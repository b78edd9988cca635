"""What all pipelines have in common: they make music in parts, and a clip is what these join to."""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, overload

from toccata.clip import Clip, Progress
from toccata.errors import InputError
from toccata.prompt import Prompt


class Streaming(ABC):
    """A model that gives music in parts as it makes them; see ``toccata.clip.Generator`` for what it promises."""

    @abstractmethod
    def stream(self, prompt: str | Prompt, /, *, seed: int | None = None, **options: Any) -> Iterator[Clip]:
        """Music in parts as they are made; they join without a seam to what ``generate`` returns."""

    @overload
    def generate(
        self, prompt: str | Prompt, seconds: float | None = None, seed: int | None = None, **options: Any
    ) -> Clip: ...

    @overload
    def generate(
        self, prompt: Sequence[str | Prompt], seconds: float | None = None, seed: int | None = None, **options: Any
    ) -> list[Clip]: ...

    def generate(
        self,
        prompt: str | Prompt | Sequence[str | Prompt],
        seconds: float | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> Clip | list[Clip]:
        """Music of exactly ``seconds``, 10 by default, for a prompt, or a list of clips for a list of prompts.

        ``options`` are those of ``stream``. The clips of a list are made one after another, each with ``seed``, so that
        each equals its own single run.
        """
        if seconds is not None:
            options["seconds"] = seconds
        if isinstance(prompt, str | Prompt):
            return Clip.join(self.stream(prompt, seed=seed, **options))
        if not prompt:
            raise InputError("the list of prompts is empty; give at least one")
        seed = secrets.randbits(32) if seed is None else seed
        return [Clip.join(self.stream(one, seed=seed, **options)) for one in prompt]

    def with_seeds(
        self,
        prompt: str | Prompt,
        seeds: Sequence[int],
        seconds: float | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> list[Clip]:
        """A clip of one prompt for each of ``seeds``; ``progress`` hears of all of them together."""

        def after(clips: int) -> Progress:
            tell = progress or (lambda done, total: None)
            return lambda done, each: tell(clips * each + done, len(seeds) * each)

        return [
            self.generate(prompt, seconds, seed, progress=after(clips), **options) for clips, seed in enumerate(seeds)
        ]
