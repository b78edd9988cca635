"""A stand-in for a model, for the tests of the terminal around it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toccata import Clip, Prompt, cli, hub

RATE = 8_000


class Humming:
    """Makes noise from the seed alone, and remembers what it was asked."""

    name = "humming"
    sample_rate = RATE
    weights_sha256 = "cd" * 32

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def generate(self, prompt: Prompt, seconds: float, seed: int, progress: Callable, **options: Any) -> Clip:
        self.asked.append({"prompt": prompt, "seconds": seconds, "seed": seed, **options})
        progress(seconds, seconds)
        samples = np.random.default_rng(seed).uniform(-0.5, 0.5, (1, round(seconds * RATE))).astype(np.float32)
        return Clip(samples, RATE, str(prompt), seed, self.name, self.weights_sha256)

    def with_seeds(
        self, prompt: Prompt, seeds: list[int], seconds: float, progress: Callable, **options: Any
    ) -> list[Clip]:
        return [self.generate(prompt, seconds, seed, progress, **options) for seed in seeds]

    def stream(self, prompt: Prompt, seconds: float, seed: int, progress: Callable, **options: Any) -> Iterator[Clip]:
        whole = self.generate(prompt, seconds, seed, progress, **options)
        for start in range(0, whole.samples.shape[1], RATE // 2):
            yield replace(whole, samples=whole.samples[:, start : start + RATE // 2])


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Humming:
    """What ``toccata generate`` loads, whichever name is asked for; the work folder is a new one."""
    humming = Humming()
    monkeypatch.setattr(hub, "load", lambda name, device, precision: humming)
    monkeypatch.setattr(hub, "find", lambda name: tmp_path)
    monkeypatch.chdir(tmp_path)
    return humming


@pytest.fixture
def toccata(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., tuple[int, bytes, str]]:
    """Run the command in this process: (exit code, stdout, stderr)."""

    def run(*arguments: object) -> tuple[int, bytes, str]:
        capfdbinary.readouterr()
        code = cli.main([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        return code, out, err.decode()

    return run
