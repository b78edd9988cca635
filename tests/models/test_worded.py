"""What Moûsai and Riffusion share, by a small Moûsai: where its text goes in, what stands for none, and its loss."""

from dataclasses import replace

import torch

from toccata.models.mousai.config import MousaiConfig
from toccata.models.mousai.network import MousaiNetwork
from toccata.models.worded import diffusion_loss
from toccata.nn.unet import UNetSizes

UNET = UNetSizes(
    inputs=4, channels=(16, 16), factors=(1, 2), blocks=(1, 1), attentions=(0, 1), crosses=(1, 1), heads=2,
    head_width=8, tokens=12, features=16,
)  # fmt: skip
SMALL = MousaiConfig(unet=UNET, window=10, text_width=8, text_tokens=5)


def network(**changes):
    torch.manual_seed(0)
    return MousaiNetwork(replace(SMALL, **changes)).eval()


def words(count=3):
    return torch.randn(2, count, 8, generator=torch.Generator().manual_seed(1)), torch.ones(2, count, dtype=torch.bool)


def test_texts_are_filled_up_with_zeros_cut_and_their_padding_hidden():
    made, (text, mask) = network(), words(9)
    mask[1, 2:] = False
    tokens = made.told(text, mask)
    assert tokens.shape == (2, 5, 12)
    assert tokens[0].abs().amax(-1).gt(0).all()
    assert not tokens[1, 2:].any()
    assert not made.told(*words(3))[:, 3:].any()


def test_no_text_is_learnt_tokens_and_a_row_that_is_told_nothing_learns_them_alone():
    made = network(condition_dropout=1.0)
    tokens = made.told(*words(), torch.tensor([True, False]))
    assert torch.equal(tokens[1], made.nothing_LW)
    assert not torch.equal(tokens[0], made.nothing_LW)
    text, mask = words()
    text.requires_grad_()
    diffusion_loss(made, torch.randn(2, 4, 10), text, mask, torch.Generator().manual_seed(0)).backward()
    assert text.grad is not None
    assert not text.grad.any()
    assert made.nothing_LW.grad is not None
    assert made.nothing_LW.grad.any()


def test_the_loss_repeats_with_its_generator_and_falls():
    made, latent_BDT = network().train(), torch.randn(2, 4, 10, generator=torch.Generator().manual_seed(2))
    loss = lambda seed: diffusion_loss(made, latent_BDT, *words(), torch.Generator().manual_seed(seed))  # noqa: E731
    assert loss(1) == loss(1) != loss(2)
    before = sum(loss(seed).item() for seed in range(4))
    optimiser = torch.optim.Adam(made.parameters(), 1e-2)
    for step in range(20):
        optimiser.zero_grad()
        loss(100 + step).backward()
        optimiser.step()
    assert sum(loss(seed).item() for seed in range(4)) < 0.85 * before


def test_every_weight_learns():
    made = network().train()
    latent_BDT, (text, mask) = torch.randn(24, 4, 10), words()
    generator = torch.Generator().manual_seed(3)
    diffusion_loss(made, latent_BDT, text.repeat(12, 1, 1), mask.repeat(12, 1), generator).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in made.parameters())
