"""What a recipe prints while it trains."""

import time
from typing import SupportsFloat

from torch import Tensor


class StepLog:
    """Prints a line every ``every`` steps: figures, seconds a step, and the time left."""

    def __init__(self, name: str, step: int, steps: int, every: int) -> None:
        self.name, self.steps, self.every = name, steps, every
        self._last, self._since = step, time.monotonic()

    def due(self, step: int) -> bool:
        return step % self.every == 0

    def __call__(self, step: int, **figures: object) -> None:
        """Print ``figures`` of ``step``; numbers with three decimals."""
        now = time.monotonic()
        pace = (now - self._since) / max(step - self._last, 1)
        self._last, self._since = step, now
        told = " ".join(f"{name} {_told(figure)}" for name, figure in figures.items())
        left = pace * (self.steps - step) / 60
        print(f"{self.name} {step}/{self.steps} {told}, {pace:.2f} s a step, {left:.0f} min left", flush=True)


def _told(figure: object) -> str:
    figure = figure.detach() if isinstance(figure, Tensor) else figure
    return f"{float(figure):.3f}" if isinstance(figure, SupportsFloat) else str(figure)
