"""Residual vector quantisation: codes name latents, more levels come closer, dead codes come back."""

import pytest
import torch

from toccata.nn.rvq import ResidualVectorQuantiser, VectorQuantiser, perplexity


@pytest.fixture
def latent_BTD():
    return torch.randn(8, 50, 16, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def trained(latent_BTD):
    quantiser = ResidualVectorQuantiser(levels=4, vocabulary=32, width=16)
    for step in range(30):
        quantiser(latent_BTD, torch.full((8,), 4), torch.Generator().manual_seed(step))
    return quantiser


def test_every_further_level_brings_the_latent_closer(trained, latent_BTD):
    codes_BKT = trained.encode(latent_BTD)
    errors = [float((trained.decode(codes_BKT[:, :k]) - latent_BTD).square().mean()) for k in (1, 2, 3, 4)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.5 * float(latent_BTD.square().mean())


def test_a_code_is_its_own_nearest_neighbour(trained):
    codes = torch.arange(32)
    level = trained.levels[0]
    assert torch.equal(level.encode(level.decode(codes)), codes)


def test_fewer_levels_are_a_prefix_of_all(trained, latent_BTD):
    assert torch.equal(trained.encode(latent_BTD, 2), trained.encode(latent_BTD)[:, :2])


def test_quantiser_dropout_keeps_each_samples_own_levels(trained, latent_BTD):
    before = trained.encode(latent_BTD)
    decoded = trained.decode(before[:, :1])
    levels_B = torch.tensor([1, 4] * 4)
    out = trained(latent_BTD, levels_B, torch.Generator().manual_seed(0)).latent_BTD
    assert torch.allclose(out[0], decoded[0], atol=1e-5)
    assert not torch.allclose(out[1], decoded[1], atol=1e-2)


def test_gradients_pass_straight_through(trained, latent_BTD):
    latent = latent_BTD.clone().requires_grad_()
    trained(latent, torch.full((8,), 4), torch.Generator().manual_seed(0)).latent_BTD.sum().backward()
    assert torch.equal(latent.grad, torch.ones_like(latent))


def test_dead_codes_come_back_into_use():
    level = VectorQuantiser(vocabulary=16, width=4)
    data = torch.randn(400, 4, generator=torch.Generator().manual_seed(1))
    level.start(data, torch.Generator().manual_seed(0))
    level.codes_VD[4:] = 100.0
    level.sums_VD[4:] = 100.0
    for step in range(80):
        level.update(data, level.encode(data), torch.Generator().manual_seed(step))
    assert len(level.encode(data).unique()) == 16


def test_perplexity_is_the_share_of_codes_in_use():
    assert perplexity(torch.arange(64), 64) == pytest.approx(1.0)
    assert perplexity(torch.zeros(64, dtype=torch.int64), 64) == pytest.approx(1 / 64)
