import pytest
import torch

from toccata.nn.gumbel import GumbelQuantiser, diversity_loss


@pytest.fixture
def quantiser() -> GumbelQuantiser:
    torch.manual_seed(0)
    return GumbelQuantiser(6, 5, 3)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_vectors_are_those_of_the_codes_drawn_or_not(quantiser):
    x_BTD = torch.randn(2, 7, 6)
    for temperature in (0.0, 1.5):
        chosen = quantiser(x_BTD, temperature, seeded(1))
        torch.testing.assert_close(chosen.vectors_BTW, quantiser.codes_VW[chosen.codes_BT])


def test_codes_are_drawn_as_often_as_they_are_likely(quantiser):
    chosen = quantiser(torch.randn(1, 1, 6).expand(1, 20_000, 6), 1.0, seeded(1))
    drawn_V = torch.bincount(chosen.codes_BT.flatten(), minlength=5) / 20_000
    torch.testing.assert_close(drawn_V, chosen.shares_BTV[0, 0], atol=0.015, rtol=0)


def test_the_same_seed_draws_the_same(quantiser):
    x_BTD = torch.randn(2, 50, 6)
    first, again, other = (quantiser(x_BTD, 2.0, seeded(seed)).codes_BT for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_choice_can_be_learnt(quantiser):
    x_BTD = torch.randn(1, 4, 6, requires_grad=True)
    quantiser(x_BTD, 1.0, seeded(0)).vectors_BTW.sum().backward()
    assert x_BTD.grad is not None
    assert x_BTD.grad.abs().max() > 0


def test_a_code_that_is_never_likely_leaves_the_others_to_be_learnt():
    shares_NV = torch.tensor([[0.0, 0.5, 0.5]], requires_grad=True)
    diversity_loss(shares_NV).backward()
    assert shares_NV.grad is not None
    assert shares_NV.grad.isfinite().all()


def test_nothing_lies_idle_where_all_codes_are_used_alike_and_nearly_all_where_one_is():
    assert diversity_loss(torch.eye(8)) == pytest.approx(0, abs=1e-6)
    assert diversity_loss(torch.eye(8)[:1].expand(9, 8)) == pytest.approx(7 / 8)
