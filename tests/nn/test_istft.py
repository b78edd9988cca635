import pytest
import torch

from toccata.nn.istft import NOISE_FRAMES, ISTFTHead

HOP = 64


def head(noise: bool) -> ISTFTHead:
    torch.manual_seed(0)
    made = ISTFTHead(8, 4 * HOP, HOP, noise=noise)
    if made.noise is not None:  # noise alone, loud
        torch.nn.init.constant_(made.project.bias[: 2 * HOP + 1], -20.0)
        torch.nn.init.zeros_(made.project.weight)
        torch.nn.init.zeros_(made.noise.bias)
    return made.eval()


@torch.no_grad()
def test_a_steady_sound_hums_without_noise_and_hisses_with_it():
    steady_BTD = torch.ones(1, 60, 8)
    for noise, repeats in ((False, True), (True, False)):
        wave_N = head(noise)(steady_BTD)[0, 8 * HOP : -8 * HOP]
        one, next_one = wave_N[:-HOP], wave_N[HOP:]
        likeness = float(torch.corrcoef(torch.stack([one, next_one]))[0, 1])
        assert (likeness > 0.999) == repeats
        assert repeats or abs(likeness) < 0.2


@torch.no_grad()
@pytest.mark.parametrize("first", [0, 7, NOISE_FRAMES - 3])
def test_noise_is_the_same_wherever_a_sound_is_begun(first: int):
    made = head(noise=True)
    hidden_BTD = torch.randn(2, first + 30, 8)
    whole_BN = made(hidden_BTD)
    part_BN = made(hidden_BTD[:, first:], first=first)
    inner = slice(4 * HOP, 26 * HOP)
    torch.testing.assert_close(part_BN[:, inner], whole_BN[:, first * HOP :][:, inner], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_noise_begins_all_but_silent():
    torch.manual_seed(0)
    made = ISTFTHead(8, 4 * HOP, HOP, noise=True)
    hidden_BTD = torch.randn(1, 200, 8)
    with_noise_BN = made(hidden_BTD)
    made.noise = None
    difference = (with_noise_BN - made(hidden_BTD)).square().mean().sqrt()
    assert 0 < difference < 1e-3
