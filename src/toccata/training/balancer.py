"""The loss balancer (EnCodec, arXiv 2210.13438, section 3.4): a loss's weight is its share of the gradient."""

import torch
from torch import Tensor


class Balancer:
    """Rescales each loss's gradient with respect to a network's output by a moving average of its own length.

    So a weight says what share of the output's gradient a loss makes up, whatever the loss's scale. The share holds on
    average: a gradient that is longer than usual stays so. ``decay`` is the moving average's, ``total`` the length of
    all shares together.
    """

    def __init__(self, weights: dict[str, float], decay: float = 0.999, total: float = 1.0) -> None:
        self.weights, self.decay, self.total = weights, decay, total
        self._lengths = dict.fromkeys(weights, 0.0)
        self._seen = dict.fromkeys(weights, 0.0)

    def gradient(self, losses: dict[str, Tensor], output: Tensor) -> Tensor:
        """The balanced gradient with respect to ``output`` (B, ...), for ``output.backward(gradient)``.

        Every loss must depend on the network through ``output`` alone; those that are given share ``total`` by their
        weights. A gradient's length is the mean over the batch of its length in each sample.
        """
        whole, balanced = sum(self.weights[name] for name in losses), torch.zeros_like(output)
        for name, loss in losses.items():
            (gradient,) = torch.autograd.grad(loss, output, retain_graph=True)
            length = self._average(name, float(gradient.flatten(1).norm(dim=1).mean()))
            balanced += gradient * (self.total * self.weights[name] / whole / max(length, 1e-12))
        return balanced

    def _average(self, name: str, length: float) -> float:
        """The moving average with ``length`` in it, unbiased from the first step on."""
        self._lengths[name] = self.decay * self._lengths[name] + length
        self._seen[name] = self.decay * self._seen[name] + 1
        return self._lengths[name] / self._seen[name]

    def state_dict(self) -> dict[str, dict[str, float]]:
        return {"lengths": dict(self._lengths), "seen": dict(self._seen)}

    def load_state_dict(self, state: dict[str, dict[str, float]]) -> None:
        self._lengths, self._seen = dict(state["lengths"]), dict(state["seen"])
