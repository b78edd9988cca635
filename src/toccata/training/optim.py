"""Optimisers and schedules that every recipe uses."""

import contextlib
import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from toccata.training.muon import Muon


class Optimisers:
    """Muon for the matrices inside blocks, AdamW for everything else (embeddings, heads, norms, biases).

    Muon (momentum orthogonalised by Newton-Schulz) reaches a given loss of a small transformer in fewer steps.
    ``matrices`` are two-dimensional parameters. One learning rate scale drives both, through ``step(scale)``.
    """

    def __init__(
        self, matrices: Iterable[Tensor], others: Iterable[Tensor], muon_lr: float, adam_lr: float, decay: float = 0.01
    ) -> None:
        adam = torch.optim.AdamW(list(others), lr=adam_lr, betas=(0.9, 0.98), weight_decay=decay, foreach=True)
        muon = Muon(list(matrices), lr=muon_lr, weight_decay=decay)
        self.parts: list[tuple[torch.optim.Optimizer, float]] = [(adam, adam_lr), (muon, muon_lr)]

    def step(self, scale: float) -> None:
        for optimiser, lr in self.parts:
            for group in optimiser.param_groups:
                group["lr"] = lr * scale
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict]:
        return [optimiser.state_dict() for optimiser, _ in self.parts]

    def load_state_dict(self, states: list[dict]) -> None:
        for (optimiser, _), state in zip(self.parts, states, strict=True):
            optimiser.load_state_dict(state)


def split_matrices(blocks: nn.Module, whole: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """(two-dimensional parameters of ``blocks``, all other parameters of ``whole``)."""
    matrices = [p for p in blocks.parameters() if p.dim() == 2]
    chosen = {id(p) for p in matrices}
    return matrices, [p for p in whole.parameters() if id(p) not in chosen]


def warmup_cosine(step: int, steps: int, warmup: int, floor: float = 0.02) -> float:
    """Scale of the learning rate: linear from 0 over ``warmup`` steps, then half a cosine down to ``floor``."""
    if step < warmup:
        return (step + 1) / warmup
    progress = min((step - warmup) / max(steps - warmup, 1), 1.0)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))


def warmup_stable_decay(step: int, steps: int, warmup: int, decay: float = 0.2) -> float:
    """Scale of the learning rate: linear from 0 over ``warmup`` steps, 1, then straight to 0 over the last ``decay``.

    Until the decay begins nothing depends on ``steps``, so a run can be made longer without starting again.
    """
    return min((step + 1) / warmup, 1.0, (steps - step) / max(decay * steps, 1))


class EMA:
    """Exponential moving average of a module's parameters; ``swap`` puts it in for evaluation and saving."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.shadow = {name: p.detach().clone() for name, p in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        parameters = dict(module.named_parameters())
        for name, parameter in parameters.items():
            self.shadow[name].lerp_(parameter.detach(), 1 - self.decay)

    def weights(self, module: nn.Module) -> Iterator[tuple[str, Any]]:
        """The module's state with averaged parameters in place of its own (buffers as they are)."""
        for name, value in module.state_dict().items():
            yield name, self.shadow.get(name, value)


@contextlib.contextmanager
def averaged(model: nn.Module, ema: EMA) -> Iterator[None]:
    """Within the scope the model has its averaged weights and is in evaluation mode."""
    own = {name: value.clone() for name, value in model.state_dict().items() if name in ema.shadow}
    model.load_state_dict(ema.shadow, strict=False)
    model.eval()
    try:
        yield
    finally:
        model.load_state_dict(own, strict=False)
        model.train()
