import math

import pytest
import torch
from torch import Tensor

from toccata.codecs.losses import mel_loss, tonal_loss

RATE = 24000


def tone(hertz: float, seconds: float = 2.0) -> Tensor:
    return 0.3 * torch.sin(2 * math.pi * hertz * torch.arange(int(seconds * RATE)) / RATE)[None, None]


def test_the_losses_of_a_sound_beside_itself_are_nothing():
    wave_BCN = torch.randn(2, 1, RATE, generator=torch.Generator().manual_seed(0)) * 0.1
    assert mel_loss(wave_BCN, wave_BCN, RATE) == 0
    assert all(loss == 0 for loss in tonal_loss(wave_BCN, wave_BCN, RATE))


def test_where_a_wave_begins_is_not_heard_in_its_partials():
    _, partials = tonal_loss(tone(220.0).roll(30, -1), tone(220.0), RATE)
    assert partials < 0.05


@pytest.mark.parametrize("low", [41.2, 55.0])
def test_only_the_long_window_tells_bass_notes_a_semitone_apart(low: float):
    high = low * 2 ** (1 / 12)
    _, short = tonal_loss(tone(high), tone(low), RATE, windows=(4096,))
    _, long = tonal_loss(tone(high), tone(low), RATE, windows=(16384,))
    assert short < 0.5
    assert long > 1.0


def test_silence_beside_silence_is_finite_and_can_be_learnt_from():
    silence = torch.zeros(1, 1, RATE, requires_grad=True)
    sum(tonal_loss(silence, torch.zeros(1, 1, RATE), RATE), torch.zeros(())).backward()
    assert silence.grad is not None
    assert torch.isfinite(silence.grad).all()
