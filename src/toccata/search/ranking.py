"""The one of several takes whose sound lies nearest to the words, as DALL-E ranks by CLIP (arXiv 2102.12092)."""

import secrets
from typing import Any

import numpy as np

from toccata.clip import Clip
from toccata.errors import InputError
from toccata.prompt import Prompt
from toccata.search.embedder import Embedder

MOST = 16


def best_of(
    model: Any,
    prompt: str | Prompt,
    count: int,
    judge: Embedder,
    seconds: float | None = None,
    seed: int | None = None,
    **options: Any,
) -> Clip:
    """Make ``count`` takes of the prompt, 2 to 16, and give the one that ``judge`` finds most like it.

    The first has ``seed``, the others seeds made from it; the clip tells which one it had. The same call gives the same
    clip. ``options`` are those of the model's ``generate``. Raises ``InputError`` for stories, whose text changes.
    """
    asked = Prompt.of(prompt)
    if isinstance(count, bool) or not isinstance(count, int) or not 2 <= count <= MOST:
        raise InputError(f"the best can be taken of 2 to {MOST} takes, not {count!r:.40}")
    if asked.parts:
        raise InputError("the best take is the nearest to one text; tell the story without it, or make the parts alone")
    if not hasattr(model, "with_seeds"):
        raise InputError(f"{model.name} makes one take at a time; leave out the choice of the best")
    seed = secrets.randbits(32) if seed is None else seed
    seeds = [seed, *(_seed_of(seed, take) for take in range(1, count))]
    clips: list[Clip] = model.with_seeds(asked, seeds, seconds, **options)
    near_N = judge.similarity(asked.text, clips)[0]
    return clips[int(near_N.argmax())]


def _seed_of(seed: int, take: int) -> int:
    return int(np.random.SeedSequence([seed, take]).generate_state(1)[0])
