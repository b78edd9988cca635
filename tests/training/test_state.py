"""Exact resume: a run that stopped and went on equals one that never stopped."""

import pytest
import torch
from torch import nn

from toccata.errors import WeightsError
from toccata.training.optim import EMA, Optimisers, split_matrices, warmup_cosine, warmup_stable_decay
from toccata.training.state import load_state, save_state


def make():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.Linear(16, 4))
    return model, Optimisers(*split_matrices(model, model), 1e-2, 1e-2), EMA(model, 0.9)


def run(model, optimisers, ema, steps):
    for step in steps:
        x = torch.randn(5, 8, generator=torch.Generator().manual_seed(step))
        model(x).square().mean().backward()
        optimisers.step(warmup_cosine(step, 12, 3))
        ema.update(model)


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    whole, optimisers, ema = make()
    run(whole, optimisers, ema, range(12))
    first, first_optimisers, first_ema = make()
    run(first, first_optimisers, first_ema, range(5))
    state = {"model": first.state_dict(), "optimisers": first_optimisers.state_dict(), "ema": first_ema.shadow}
    save_state(tmp_path / "state.safetensors", state)
    again, again_optimisers, again_ema = make()
    state = load_state(tmp_path / "state.safetensors")
    again.load_state_dict(state["model"])
    again_optimisers.load_state_dict(state["optimisers"])
    again_ema.shadow = state["ema"]
    run(again, again_optimisers, again_ema, range(5, 12))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))
    assert all(torch.equal(ema.shadow[name], again_ema.shadow[name]) for name in ema.shadow)


def test_a_damaged_state_says_what_to_do(tmp_path):
    (tmp_path / "state.safetensors").write_bytes(b"nonsense")
    with pytest.raises(WeightsError, match="delete it to start again"):
        load_state(tmp_path / "state.safetensors")


def test_the_schedule_warms_up_peaks_at_one_and_ends_at_its_floor():
    scales = [warmup_cosine(step, 100, 10) for step in range(101)]
    assert max(scales) == 1.0
    assert scales[0] == pytest.approx(0.1)
    assert scales[-1] == pytest.approx(0.02)
    assert scales[10:] == sorted(scales[10:], reverse=True)


def test_a_longer_run_begins_like_a_shorter_one_and_both_end_at_nothing():
    short, long = ([warmup_stable_decay(s, steps, 10) for s in range(steps + 1)] for steps in (100, 200))
    assert short[:81] == long[:81]
    assert max(short) == 1.0
    assert short[-1] == long[-1] == 0.0
    assert short[80:] == sorted(short[80:], reverse=True)
