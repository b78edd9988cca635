"""The best of several takes: the nearest to the words, the same again, and clear words for what can't be ranked."""

from typing import Any

import numpy as np
import pytest
import torch

from toccata.clip import Clip
from toccata.errors import InputError
from toccata.models.streaming import Streaming
from toccata.prompt import Prompt
from toccata.search.ranking import best_of


class Tone(Streaming):
    """As loud as its seed says."""

    name, sample_rate = "tone", 8000

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def stream(self, prompt, seconds=10.0, seed=None, progress=None, **options: Any):
        seed = seed or 0
        self.seeds.append(seed)
        if progress:
            progress(seconds, seconds)
        level = np.random.default_rng(seed).uniform(0.1, 0.9)
        yield Clip(np.full((1, round(seconds * 8000)), level, np.float32), 8000, str(prompt), seed, self.name)


class Loud:
    """Finds a clip the more like any text the louder it is."""

    def similarity(self, texts: str, clips: list[Clip]) -> torch.Tensor:
        assert texts == "a tone"
        return torch.tensor([[float(clip.samples.max()) for clip in clips]])


def test_the_nearest_take_is_kept_and_can_be_made_again():
    model = Tone()
    best = best_of(model, "a tone", 5, Loud(), seconds=1, seed=7)  # type: ignore[arg-type]
    assert len(set(model.seeds)) == 5
    assert model.seeds[0] == 7
    alone = [model.generate("a tone", 1, seed) for seed in model.seeds[:5]]
    assert best.samples.max() == max(clip.samples.max() for clip in alone)
    assert np.array_equal(model.generate("a tone", 1, best.seed).samples, best.samples)
    again = best_of(Tone(), Prompt("a tone"), 5, Loud(), seconds=1, seed=7)  # type: ignore[arg-type]
    assert again.seed == best.seed


def test_progress_is_that_of_all_takes():
    told: list[tuple[float, float]] = []
    progress = lambda done, total: told.append((done, total))  # noqa: E731
    best_of(Tone(), "a tone", 3, Loud(), seconds=2, seed=1, progress=progress)  # type: ignore[arg-type]
    assert told == [(2, 6), (4, 6), (6, 6)]


@pytest.mark.parametrize("count", [1, 17, True, "four"])
def test_a_number_that_is_none_is_told(count):
    with pytest.raises(InputError, match="2 to 16 takes"):
        best_of(Tone(), "a tone", count, Loud())  # type: ignore[arg-type]


def test_a_story_has_no_one_text_to_be_near():
    with pytest.raises(InputError, match="one text"):
        best_of(Tone(), Prompt.story({0: "a", 5: "b"}), 2, Loud())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="one take at a time"):
        best_of(type("Model", (), {"name": "once"})(), "a", 2, Loud())  # type: ignore[arg-type]
