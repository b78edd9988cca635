from dataclasses import dataclass, field

import numpy as np
import pytest

from benchmarks import clips
from toccata.clip import Clip


@dataclass
class Beeper:
    """A model that answers every prompt with a tone, and counts."""

    loudness: float = 0.1
    name: str = "beeper"
    sample_rate: int = 24000
    weights_sha256: str = "0" * 64
    asked: list[str] = field(default_factory=list)

    def generate(self, prompt: str, seconds: float = 10.0, seed: int | None = None) -> Clip:
        self.asked.append(prompt)
        t = np.arange(int(seconds * 24000)) / 24000
        wave = self.loudness * np.sin(2 * np.pi * (200 + 10 * (seed or 0)) * t)
        return Clip(wave[None].astype(np.float32), 24000, prompt, seed or 0, self.name, self.weights_sha256)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(clips, "CACHE", tmp_path)


def made(model: Beeper, prompts: list[str]) -> list[np.ndarray]:
    return list(clips.generated(model, prompts, 1.0, 5))  # type: ignore[arg-type]


def test_an_interrupted_run_goes_on_where_it_stopped():
    first, again = Beeper(), Beeper()
    started = made(first, ["a", "b"])
    finished = made(again, ["a", "b", "c"])
    assert again.asked[1:] == ["c"]
    assert all(np.array_equal(x, y) for x, y in zip(started, finished, strict=False))


def test_another_sound_or_seed_or_text_is_made_anew():
    made(Beeper(), ["a"])
    louder, other = Beeper(loudness=0.2), Beeper()
    made(louder, ["a"])
    made(other, ["b"])
    assert louder.asked[1:] == ["a"]
    assert other.asked[1:] == ["b"]
