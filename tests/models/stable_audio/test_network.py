"""Stable Audio's conditions and its loss."""

from dataclasses import asdict, replace

import pytest
import torch

from toccata.models.stable_audio.config import (
    StableAudioConfig,
    first,
    mini,
    mini_unet,
    open_1_0,
    open_small,
    read_config,
)
from toccata.models.stable_audio.network import (
    FourierNumber,
    SecondsTable,
    StableAudioNetwork,
    diffusion_loss,
)
from toccata.nn.dit import DiTSizes
from toccata.nn.unet import UNetSizes

UNET = UNetSizes(
    inputs=4, channels=(16, 16), factors=(1, 2), blocks=(1, 1), attentions=(1, 1), crosses=(1, 1), heads=2,
    head_width=0, tokens=12, features=16, stacked=True, middle=1,
)  # fmt: skip
DIT = DiTSizes(latent=4, width=32, layers=1, heads=2, tokens=12, context=16, whole=24)
SMALL = StableAudioConfig(dit=DIT, window=10, text_width=8, text_tokens=5, longest=16.0)


def network(**changes):
    torch.manual_seed(0)
    made = StableAudioNetwork(replace(SMALL, **changes))
    for parameter in made.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.2)
    return made.eval()


def words(count=3):
    return torch.randn(2, count, 8, generator=torch.Generator().manual_seed(1)), torch.ones(2, count, dtype=torch.bool)


def timing(start=(0.0, 0.0), total=(8.0, 8.0)):
    return {"seconds_start": torch.tensor(start), "seconds_total": torch.tensor(total)}


@pytest.mark.parametrize("numbers", ["fourier", "table"])
def test_text_comes_first_then_zeros_then_the_timing(numbers):
    made = network(numbers=numbers)
    tokens, whole = made.told(*words(3), timing((1.0, 2.0)))
    assert tokens.shape == (2, 7, 12)
    assert not tokens[:, 3:5].any()
    assert torch.equal(torch.cat([tokens[:, 5], tokens[:, 6]], dim=-1), whole)
    assert not torch.equal(whole[0], whole[1])


def test_long_texts_are_cut_and_masked_tokens_are_zeros():
    made = network()
    text, mask = words(9)
    mask[1, 2:] = False
    tokens, _ = made.told(text, mask, timing())
    assert tokens.shape == (2, 7, 12)
    assert tokens[0, :5].abs().amax(-1).gt(0).all()
    assert not tokens[1, 2:5].any()


def test_what_guidance_leads_away_from_has_no_tokens_but_knows_the_whole():
    made = network()
    # One after the other: the rows of one product are rounded apart on some processors.
    (told, whole), (untold, as_whole) = (made.told(*words(), timing(), torch.tensor([k, k])) for k in (True, False))
    assert told.any()
    assert not untold.any()
    assert torch.equal(whole, as_whole)


def test_a_table_knows_whole_seconds_and_ends_somewhere():
    table = SecondsTable(6, longest=16.0)
    rows = table(torch.tensor([3.0, 3.4, 4.0, 16.0, 99.0]))
    assert torch.equal(rows[0], rows[1])
    assert not torch.equal(rows[0], rows[2])
    assert torch.equal(rows[3], rows[4])


def test_fourier_numbers_know_fractions_and_end_somewhere():
    number = FourierNumber(6, longest=16.0)
    rows = [number(torch.tensor([seconds])) for seconds in (3.0, 3.4, 16.0, 99.0)]
    assert not torch.allclose(rows[0], rows[1])
    assert torch.equal(rows[2], rows[3])


@pytest.mark.parametrize(("objective", "unet"), [("v", None), ("rectified-flow", None), ("v", UNET)])
def test_the_loss_repeats_with_its_generator_and_falls(objective, unet):
    made = network(objective=objective, unet=unet).train()
    latent_BTD = torch.randn(2, 10, 4, generator=torch.Generator().manual_seed(2))

    def loss(seed):
        return diffusion_loss(made, latent_BTD, *words(), timing(), torch.Generator().manual_seed(seed))

    assert loss(1) == loss(1) != loss(2)
    optimiser = torch.optim.Adam(made.parameters(), 3e-3)
    before = sum(loss(seed).item() for seed in range(10))
    for step in range(40):
        optimiser.zero_grad()
        loss(100 + step).backward()
        optimiser.step()
    assert sum(loss(seed).item() for seed in range(10)) < 0.85 * before


def test_a_row_that_is_told_nothing_does_not_learn_from_its_words():
    made = network(condition_dropout=1.0)
    text, mask = words()
    text.requires_grad_()
    latent_BTD = torch.randn(2, 10, 4)
    diffusion_loss(made, latent_BTD, text, mask, timing(), torch.Generator().manual_seed(0)).backward()
    assert text.grad is not None
    assert not text.grad.any()


def test_a_unet_takes_the_transformers_place_and_reads_words_and_timing():
    made = network(unet=UNET)
    assert not [name for name, _ in made.named_parameters() if name.startswith("dit.")]
    latent_BTD, t_B = torch.randn(2, 10, 4, generator=torch.Generator().manual_seed(2)), torch.tensor([0.3, 0.8])
    draw = lambda *told: made(latent_BTD, t_B, made.condition(*told))  # noqa: E731
    plain = draw(*words(), timing())
    assert plain.shape == latent_BTD.shape
    for told in ((*words(2), timing()), (*words(), timing(total=(4.0, 4.0))), (*words(), timing((1.0, 1.0)))):
        assert not torch.allclose(draw(*told), plain, atol=1e-4)


@pytest.mark.parametrize("preset", [first, open_1_0, open_small, mini, mini_unet])
def test_presets_can_be_built_and_read_again(preset):
    config = preset()
    with torch.device("meta"):
        made = StableAudioNetwork(config)
    assert config.dit.whole == len(config.timing) * config.tokens
    assert config.unet is None or config.window % config.unet.stride == 0
    assert sum(p.numel() for p in made.blocks.parameters()) > 0.8 * sum(p.numel() for p in made.parameters())
    assert read_config(asdict(config)) == config
