"""Sets of clips and listeners, for the tests of listening tests."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from toccata.audio import io
from toccata.evaluation.answers import Answers, Said, Trial
from toccata.evaluation.answers_file import Design
from toccata.evaluation.trials import DAMAGED, IDENTICAL, QUESTION

RATE = 8_000
PROMPTS = ("slow piano", "fast drums", "a flute over strings", "warm bass")


def music(key: int, seconds: float, rate: int = RATE, level: float = 0.2) -> np.ndarray:
    """A chord with an edge, (1, samples)."""
    t = np.arange(round(seconds * rate)) / rate
    tones = [np.sin(2 * np.pi * 220 * 2 ** ((key + step) / 12) * t) for step in (0, 4, 7)]
    return (level * np.mean(tones, 0)).astype(np.float32)[None]


def write_sets(folder: Path, names: tuple[str, ...] = ("ours", "theirs"), seconds: float = 0.5) -> list[str]:
    """A manifest with a clip for each prompt for each name; sets differ in key, level, rate and length."""
    places = []
    for k, name in enumerate(names):
        (folder / name).mkdir()
        rows = []
        for p, prompt in enumerate(PROMPTS):
            wave = music(3 * p + k, seconds * (1 + k / 4), RATE * (1 + k), 0.3 / (1 + k))
            io.write(folder / name / f"{name}-{p}.wav", wave, RATE * (1 + k), {"title": f"{name} {prompt}"})
            rows.append(json.dumps({"path": f"{name}-{p}.wav", "prompt": prompt}))
        (folder / name / "manifest.jsonl").write_text("\n".join(rows))
        places.append(f"{name}={folder / name / 'manifest.jsonl'}")
    return places


def design(mode: str = "pairs", sets: int = 2, prompts: int = 4, trials: int = 8) -> Design:
    names = tuple("abcdefgh"[:sets])
    plain = tuple((p, s) for p in range(prompts) for s in range(sets))
    return Design(mode, names, tuple(f"prompt {p}" for p in range(prompts)), trials, 10.0, 0, "sound", plain)


def attentive(trial: Trial) -> Said:
    """Who passes every check, and says of questions that the first set is a little better."""
    if len(trial.sets) == 1:
        return Said(None, 10 if trial.kind == DAMAGED else 70 - 10 * trial.sets[0], 60, 1.0, 3.0)
    better = {QUESTION: 1, DAMAGED: 2, IDENTICAL: 0}[trial.kind]
    return Said(better if trial.swapped else -better, None, None, 1.0, 3.0)


def careless(trial: Trial) -> Said:
    """Who always says the same."""
    return Said(2, None, None, 1.0, 1.0) if len(trial.sets) == 2 else Said(None, 50, 50, 1.0, 1.0)


def listen(answers: Answers, rater: str, say: Callable[[Trial], Said] = attentive, most: int = 10_000) -> list[Trial]:
    """Let a rater answer to the end, or ``most`` trials; gives what was asked."""
    asked = []
    while len(asked) < most and (trial := answers.next(rater)):
        assert answers.answer(trial, say(trial))
        asked.append(trial)
    return asked
