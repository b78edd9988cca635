"""The evaluator's benchmark: what it says of sets whose true distance is known."""

import numpy as np
import pytest

from benchmarks.evaluator import agreement, draw, drift, noisy, told
from toccata.evaluation.table import Table


def table(seed: int, clips: int) -> Table:
    return Table(np.random.default_rng([seed, clip]).normal(size=(4, 6)) for clip in range(clips))


def test_the_plain_distance_drifts_and_its_limit_does_not(tmp_path):
    found = drift(table(0, 160), table(1, 2000).moments(), (20, 40, 160), 8)
    values = {figure.metric: figure.value or 0.0 for figure in told(found)}
    assert found[20][0] > 2 * found[160][0]
    moved = "moved by the number of clips"
    assert values[f"FAD-infinity, {moved}"] < 0.3 * values[f"Fréchet distance, {moved}"]
    draw(found, tmp_path / "drift.png")
    assert (tmp_path / "drift.png").read_bytes()[:4] == b"\x89PNG"


def test_agreement_is_told_as_a_relative_difference():
    figure = agreement(table(0, 50).moments(), table(1, 50).moments())
    assert figure.value is not None
    assert figure.value < 1e-6 == figure.against


def test_noise_has_the_level_that_it_is_called_by():
    wave = np.sin(np.arange(24000) * 0.1).astype(np.float32)
    added = noisy(wave, -20, 0) - wave
    assert 10 * np.log10(np.square(added).mean() / np.square(wave).mean()) == pytest.approx(-20, abs=0.2)
