"""Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) in the number format that is fast on a device.

torch.optim.Muon multiplies in bfloat16 everywhere; a CPU without AMX then spends far longer on it than on the network.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from toccata.training.precision import multiplies_bfloat16

_COEFFICIENTS = 3.4445, -4.7750, 2.0315
_STEPS = 5
_EPSILON = 1e-7


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised; updates are as large as AdamW's (arXiv 2502.16982, equation 4).

    Of two-dimensional parameters alone. Its state is that of torch.optim.Muon.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.01) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """One step; ``closure``, as in all optimisers, makes the gradients first."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(matrix.grad)
                momentum = state["momentum_buffer"].lerp_(matrix.grad, 1 - group["momentum"])
                update = orthogonal(matrix.grad.lerp(momentum, group["momentum"]))
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-0.2 * group["lr"] * max(matrix.shape) ** 0.5)
        return loss


def orthogonal(matrix: Tensor) -> Tensor:
    """About the nearest matrix whose singular values are alike (.7 to 1.2), by five steps of Newton-Schulz."""
    a, b, c = _COEFFICIENTS
    x = matrix.to(torch.bfloat16 if multiplies_bfloat16(matrix.device) else torch.float32)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / x.norm().clamp(min=_EPSILON)
    for _ in range(_STEPS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.T if tall else x).to(matrix.dtype)
