"""The loss balancer: weights are shares of the output's gradient, whatever the losses' scales."""

import pytest
import torch

from toccata.training.balancer import Balancer

WEIGHTS = {"near": 3.0, "far": 1.0}
TARGETS = {name: torch.randn(4, 1, 50, generator=torch.Generator().manual_seed(i)) for i, name in enumerate(WEIGHTS)}


@pytest.fixture
def output():
    return torch.randn(4, 1, 50, generator=torch.Generator().manual_seed(9)).requires_grad_()


def losses_of(output, scales):
    return {name: scales[name] * (output - TARGETS[name]).square().mean() for name in WEIGHTS}


def length(gradient):
    return float(gradient.flatten(1).norm(dim=1).mean())


def test_each_loss_has_its_weights_share_of_the_gradient(output):
    losses = losses_of(output, {"near": 0.01, "far": 500.0})
    raw = {name: torch.autograd.grad(loss, output, retain_graph=True)[0] for name, loss in losses.items()}
    balanced = Balancer(WEIGHTS, total=2.0).gradient(losses, output)
    shares = {"near": 1.5, "far": 0.5}
    expected = torch.stack([shares[name] * raw[name] / length(raw[name]) for name in WEIGHTS]).sum(0)
    assert torch.allclose(balanced, expected, atol=1e-6)


@pytest.mark.parametrize("scales", [{"near": 1e-6, "far": 1.0}, {"near": 1.0, "far": 1e6}])
def test_a_losss_scale_does_not_matter(output, scales):
    one = Balancer(WEIGHTS).gradient(losses_of(output, dict.fromkeys(WEIGHTS, 1.0)), output)
    other = Balancer(WEIGHTS).gradient(losses_of(output, scales), output)
    assert torch.allclose(one, other, atol=1e-6)


def test_shares_hold_on_average_so_that_an_outlier_stays_one(output):
    balancer = Balancer({"near": 1.0}, decay=0.9)
    lengths = []
    for step in range(200):
        scale = 10.0 if step == 150 else 1.0
        lengths.append(
            length(balancer.gradient({"near": losses_of(output, dict(WEIGHTS, near=scale))["near"]}, output))
        )
    assert lengths[:150] == pytest.approx([1.0] * 150, abs=1e-4)
    assert lengths[150] == pytest.approx(10 / 1.9, rel=0.01)
    assert lengths[151] < 1 < lengths[150]
    assert lengths[-1] == pytest.approx(1.0, rel=0.1)


def test_losses_that_are_given_share_alone(output):
    losses = losses_of(output, {"near": 1.0, "far": 1.0})
    del losses["far"]
    assert length(Balancer(WEIGHTS).gradient(losses, output)) == pytest.approx(1.0)


def test_a_loss_without_a_gradient_adds_nothing(output):
    losses = {"near": (output * 0).sum(), "far": (output - TARGETS["far"]).square().mean()}
    assert length(Balancer(WEIGHTS).gradient(losses, output)) == pytest.approx(0.25)


def test_it_goes_on_where_it_stopped(output):
    first, second = Balancer(WEIGHTS, decay=0.5), Balancer(WEIGHTS, decay=0.5)
    for scale in (1.0, 7.0):
        first.gradient(losses_of(output, dict.fromkeys(WEIGHTS, scale)), output)
    second.load_state_dict(first.state_dict())
    last = losses_of(output, dict.fromkeys(WEIGHTS, 2.0))
    assert torch.equal(first.gradient(last, output), second.gradient(last, output))
