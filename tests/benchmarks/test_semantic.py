import numpy as np
import pytest
import torch

from benchmarks.report import Options
from benchmarks.semantic import Piece, _at_rate, predicted, run, told
from toccata.errors import InputError

KIND = "tokens"


def pieces(seed: int, count: int) -> list[Piece]:
    """Even tokens sound with C in the bass, odd ones with a kick; each is followed by the next."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(count):
        tokens_T = (rng.integers(8) + np.arange(60)) % 8
        roll_TD = np.zeros((60, 29), np.float32)
        roll_TD[:, 0], roll_TD[:, 24] = tokens_T % 2 == 0, tokens_T % 2
        roll_TD[:, 12] = rng.random(60) < 0.5
        found.append(Piece({KIND: tokens_T}, roll_TD))
    return found


def test_tokens_tell_what_sounds_with_them_and_nothing_else():
    figures = {f.metric: f for f in told(KIND, 8, pieces(0, 40), pieces(1, 10))}
    assert (figures["tokens tell of bass notes"].value or 0) > 0.8
    assert (figures["tokens tell of drums"].value or 0) > 0.8
    assert abs(figures["tokens tell of other notes"].value or 0) < 0.05
    assert (figures["tokens tell of bass notes"].control or 0) < 0.3


def test_a_cycle_of_tokens_is_predicted_and_chance_is_not():
    used, cost = predicted(KIND, 16, pieces(0, 40), pieces(1, 10))
    assert used.value == 0.5
    assert (cost.value or 9) < 0.1
    assert cost.control == pytest.approx(np.log(8), abs=0.05)


def test_without_an_encoder_it_says_so(tmp_path):
    with pytest.raises(InputError, match="--model"):
        next(run(Options(model=str(tmp_path / "nowhere"))))


def test_tokens_of_another_rate_hold_until_the_next():
    assert _at_rate(torch.tensor([5, 6]), 25.0, 50.0).tolist() == [5, 5, 6, 6]
    assert _at_rate(torch.tensor([5, 6, 7, 8]), 50.0, 25.0).tolist() == [5, 7]
