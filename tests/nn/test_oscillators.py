"""The oscillator bank: the sinusoids it is asked for, steady ones from steady input, parts that join."""

import numpy as np
import pytest
import torch

from toccata.nn.oscillators import OscillatorBank

RATE, HOP = 24000, 240


@pytest.fixture
def bank():
    """One octave of semitones from A3; its input sets log-magnitudes and phases as they are."""
    bank = OscillatorBank(24, 1, 12, HOP, 4 * HOP, RATE, lowest=220.0)
    torch.nn.init.eye_(bank.project.weight)
    torch.nn.init.zeros_(bank.project.bias)
    return bank.eval()


def asked(frames, note, log_magnitude=-1.0, phase=0.0):
    hidden_BTD = torch.full((1, frames, 24), -30.0)
    hidden_BTD[..., 12:] = 0.0
    hidden_BTD[..., note], hidden_BTD[..., 12 + note] = log_magnitude, phase
    return hidden_BTD


@pytest.mark.parametrize("note", [0, 3, 10])
def test_a_steady_input_gives_a_steady_sinusoid_on_its_pitch(bank, note):
    made = bank(asked(100, note, -1.0, 0.7))[0].detach().numpy()
    seconds = np.arange(100 * HOP) / RATE
    expected = np.exp(-1.0) * np.cos(2 * np.pi * 220 * 2 ** (note / 12) * seconds + 0.7)
    inner = slice(2 * HOP, -2 * HOP)  # the window's neighbours are missing at the ends
    np.testing.assert_allclose(made[inner], expected[inner], atol=2e-4)


def test_a_part_of_the_frames_makes_that_part_of_the_sound(bank):
    hidden_BTD = torch.randn(2, 60, 24)
    whole, part = bank(hidden_BTD), bank(hidden_BTD[:, 20:50], first=20)
    inner = slice(3 * HOP, 27 * HOP)
    assert torch.allclose(part[:, inner], whole[:, 20 * HOP : 50 * HOP][:, inner], atol=1e-5)


def test_it_begins_far_below_the_sound_around_it():
    torch.manual_seed(0)
    made = OscillatorBank(64, 7, 36, HOP, 4 * HOP, RATE)(torch.randn(1, 50, 64))
    assert made.square().mean().sqrt() < 0.05
