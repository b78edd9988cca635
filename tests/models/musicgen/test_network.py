"""MusicGen's transformer: published sizes, cached steps equal the whole, no text is no text."""

from dataclasses import replace

import pytest
import torch

from toccata.models.musicgen.config import large, medium, mini, small
from toccata.models.musicgen.network import MusicGenNetwork


@pytest.fixture(scope="module", params=[("rotary", True), ("sinusoidal", False)], ids=["mini", "published"])
def network(request):
    torch.manual_seed(0)
    positions, text_sum = request.param
    config = replace(mini(), width=32, layers=2, heads=2, codebooks=3, vocabulary=16)
    config = replace(config, positions=positions, text_sum=text_sum)
    made = MusicGenNetwork(config)
    for parameter in made.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    return made


def text(rows=2):
    return torch.randn(rows, 5, 256, generator=torch.Generator().manual_seed(1)), torch.ones(rows, 5, dtype=torch.bool)


def test_cached_steps_equal_the_whole(network):
    steps_BKS = torch.randint(0, 17, (2, 3, 20))
    condition = network.condition(*text())
    whole = network(steps_BKS, condition)
    caches = network.caches(2, 20)
    parts = [network(steps_BKS[..., :8], condition, caches)]
    parts += [network(steps_BKS[..., s : s + 1], condition, caches) for s in range(8, 20)]
    assert torch.allclose(torch.cat(parts, dim=2), whole, atol=1e-4)


def test_later_steps_do_not_matter(network):
    steps = torch.randint(0, 17, (1, 3, 10))
    other = steps.clone()
    other[..., 6:] = 0
    condition = network.condition(*text(1))
    assert torch.allclose(network(steps, condition)[:, :, :6], network(other, condition)[:, :, :6], atol=1e-5)


def test_a_row_without_text_is_the_same_whatever_lies_under_its_mask(network):
    tokens, mask = text(1)
    steps = torch.randint(0, 17, (1, 3, 6))
    none = torch.zeros_like(mask)
    a = network(steps, network.condition(tokens, none))
    b = network(steps, network.condition(-tokens, none))
    assert torch.allclose(a, b, atol=1e-6)
    assert not torch.allclose(a, network(steps, network.condition(tokens, mask)), atol=1e-3)


def test_padding_a_text_changes_nothing(network):
    tokens, mask = text(1)
    steps = torch.randint(0, 17, (1, 3, 6))
    padded = torch.nn.functional.pad(tokens, (0, 0, 0, 4)), torch.nn.functional.pad(mask, (0, 4))
    assert torch.allclose(
        network(steps, network.condition(tokens, mask)), network(steps, network.condition(*padded)), atol=1e-5
    )


@pytest.mark.parametrize(("preset", "millions"), [(small, 420), (medium, 1840), (large, 3260)])
def test_the_published_sizes(preset, millions):
    with torch.device("meta"):
        count = sum(p.numel() for p in MusicGenNetwork(preset()).parameters()) / 1e6
    assert count == pytest.approx(millions, rel=0.05)
