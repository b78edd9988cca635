"""A codebook that is learnt by gradients: one code is chosen by a Gumbel softmax (wav2vec 2.0, arXiv 2006.11477).

Shapes: B batch, T frames, D width, V vocabulary, W code width.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Chosen(NamedTuple):
    """The codes' vectors (with gradients to the choice, in training), the codes, and how likely each of them was."""

    vectors_BTW: Tensor
    codes_BT: Tensor
    shares_BTV: Tensor


class GumbelQuantiser(nn.Module):
    """x_BTD -> a code of ``vocabulary`` for each frame, and its vector of ``code_width`` (section 2)."""

    def __init__(self, width: int, vocabulary: int, code_width: int) -> None:
        super().__init__()
        self.choose = nn.Linear(width, vocabulary)
        self.codes_VW = nn.Parameter(torch.rand(vocabulary, code_width))
        nn.init.normal_(self.choose.weight)
        nn.init.zeros_(self.choose.bias)

    def forward(self, x_BTD: Tensor, temperature: float = 0.0, generator: torch.Generator | None = None) -> Chosen:
        """At ``temperature`` 0 the likeliest code; else one drawn, with the gradient of that softmax."""
        logits_BTV = self.choose(x_BTD).float()
        shares_BTV = logits_BTV.softmax(-1)
        if not temperature:
            codes_BT = logits_BTV.argmax(-1)
            return Chosen(self.codes_VW[codes_BT], codes_BT, shares_BTV)
        # The race that exponential times run is the Gumbel trick: minus the logarithm of such a time is Gumbel noise.
        noise = torch.empty(logits_BTV.shape).exponential_(generator=generator).clamp(min=1e-20).log()
        soft_BTV = ((logits_BTV - noise.to(logits_BTV.device)) / temperature).softmax(-1)
        codes_BT = soft_BTV.argmax(-1)
        hard_BTV = torch.zeros_like(soft_BTV).scatter(-1, codes_BT[..., None], 1.0)
        vectors_BTW = (hard_BTV + soft_BTV - soft_BTV.detach()) @ self.codes_VW
        return Chosen(vectors_BTW, codes_BT, shares_BTV)


def diversity_loss(shares_NV: Tensor) -> Tensor:
    """How much of the codebook lies idle, 0 to 1: (V - exp(entropy of the mean choice)) / V (equation 4)."""
    mean_V = shares_NV.mean(0).clamp(min=1e-9)  # a share of exactly 0 has a logarithm without a gradient
    return 1 - torch.exp(-torch.xlogy(mean_V, mean_V).sum()) / len(mean_V)
