"""A run's whole state, so that it goes on exactly where it stopped: weights, their average, optimisers, step."""

from pathlib import Path

from torch import nn
from torch.optim import Optimizer

from toccata.training.optim import EMA, Optimisers
from toccata.training.state import load_state, save_state


def remember(path: Path, learner: nn.Module, ema: EMA, optimisers: Optimisers | Optimizer, step: int) -> None:
    """Write a run's state, whole or not at all."""
    state = {"learner": learner.state_dict(), "ema": ema.shadow, "optimisers": optimisers.state_dict(), "step": step}
    save_state(path, state)


def resume(path: Path, learner: nn.Module, ema: EMA, optimisers: Optimisers | Optimizer) -> int:
    """Restore a run and return the step it reached; 0 where there is none. Raises ``WeightsError`` for damage."""
    if not path.exists():
        return 0
    state = load_state(path)
    learner.load_state_dict(state["learner"])
    for name, value in state["ema"].items():
        ema.shadow[name].copy_(value)
    optimisers.load_state_dict(state["optimisers"])
    return state["step"]
