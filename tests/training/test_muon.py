"""Muon goes where torch's goes, in float32 as in bfloat16."""

import pytest
import torch

from toccata.training import muon
from toccata.training.muon import Muon, orthogonal

SHAPES = (24, 16), (16, 40), (16, 16)


def trained(make) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    matrices = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
    aims = [torch.randn(shape, generator=generator) for shape in SHAPES]
    optimiser = make(matrices)
    for _ in range(20):
        optimiser.zero_grad()
        losses = [(m - aim).pow(2).sum() for m, aim in zip(matrices, aims, strict=True)]
        torch.stack(losses).sum().backward()
        optimiser.step()
    return [m.detach() for m in matrices]


@pytest.mark.parametrize("fast", [True, False])
def test_it_goes_where_torchs_goes(monkeypatch, fast):
    monkeypatch.setattr(muon, "multiplies_bfloat16", lambda device: fast)
    ours = trained(lambda matrices: Muon(matrices, lr=0.05, weight_decay=0.1))
    its = trained(
        lambda matrices: torch.optim.Muon(
            matrices, lr=0.05, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"
        )
    )
    begun = trained(lambda matrices: torch.optim.SGD(matrices, lr=0.0))
    for mine, other, first in zip(ours, its, begun, strict=True):
        assert (mine - other).norm() < (1e-5 if fast else 0.03) * (other - first).norm()


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_values_become_alike(shape):
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 100))
    assert values.min() > 0.3
    assert values.max() < 1.3


def test_nothing_moves_what_has_no_gradient_or_one_of_zeros():
    still, zero = (torch.nn.Parameter(torch.ones(3, 3)) for _ in range(2))
    zero.grad = torch.zeros(3, 3)
    Muon([still, zero], lr=0.1, weight_decay=0.0).step()
    assert torch.equal(still, torch.ones(3, 3))
    assert torch.equal(zero, torch.ones(3, 3))
