"""Pictures without phase and the way back: inverse pairs, silence, sound that is held fixed."""

import pytest
import torch

from toccata.audio.mel import log_mel, magnitudes, mel_filters, mels_of_normal, normal_log_mel
from toccata.audio.phase import from_mels, griffin_lim

RATE, N_FFT, HOP, BANDS = 8000, 256, 64, 32


@pytest.fixture(scope="module")
def wave_BN():
    time_N = torch.arange(4096) / RATE
    tones = torch.stack([torch.sin(2 * torch.pi * f * time_N) for f in (300, 440, 1000)])
    return torch.stack([tones.sum(0), tones[0]]) * 0.2


def random_phases(magnitude_BFT):
    return 2 * torch.pi * torch.rand(magnitude_BFT.shape, generator=torch.Generator().manual_seed(0))


def test_normal_log_mels_are_undone(wave_BN):
    back = mels_of_normal(normal_log_mel(wave_BN, RATE, N_FFT, HOP, BANDS))
    torch.testing.assert_close(back.log(), log_mel(wave_BN, RATE, N_FFT, HOP, BANDS), atol=1e-4, rtol=1e-4)


def test_whatever_a_network_draws_stays_finite():
    assert mels_of_normal(torch.full((1, 2, BANDS), 1e6)).isfinite().all()


def test_magnitudes_of_mels_have_these_mels(wave_BN):
    filters = mel_filters(RATE, N_FFT, BANDS)
    mel = filters @ magnitudes(wave_BN, N_FFT, HOP)
    found = from_mels(mel, filters)
    assert found.min() >= 0
    assert (filters @ found - mel).norm() < 0.05 * mel.norm()


def test_silence_comes_back_as_silence():
    filters = mel_filters(RATE, N_FFT, BANDS)
    magnitude = from_mels(torch.zeros(1, BANDS, 9), filters)
    assert torch.equal(griffin_lim(magnitude, HOP, random_phases(magnitude)), torch.zeros(1, 8 * HOP))


def test_more_steps_come_nearer_to_the_magnitudes(wave_BN):
    magnitude = magnitudes(wave_BN, N_FFT, HOP)
    wrong = [
        float((magnitudes(griffin_lim(magnitude, HOP, random_phases(magnitude), n), N_FFT, HOP) - magnitude).norm())
        for n in (0, 4, 32)
    ]
    assert wrong[2] < 0.5 * wrong[1] < 0.5 * wrong[0]
    assert wrong[2] < 0.2 * float(magnitude.norm())


def test_a_row_of_a_batch_is_what_it_is_alone(wave_BN):
    magnitude = magnitudes(wave_BN, N_FFT, HOP)
    phase = random_phases(magnitude)
    both = griffin_lim(magnitude, HOP, phase, 4)
    torch.testing.assert_close(both[1:], griffin_lim(magnitude[1:], HOP, phase[1:], 4), atol=1e-5, rtol=1e-5)


def test_known_sound_stays_and_what_follows_goes_on_from_it(wave_BN):
    magnitude, known = magnitudes(wave_BN, N_FFT, HOP), wave_BN[:, :1024]
    made = griffin_lim(magnitude, HOP, random_phases(magnitude), 32, known_BN=known)
    assert torch.equal(made[:, :1024], known)
    # A tone goes on in the phase that it has: the next samples are nearly the tone's own.
    after = slice(1024, 1024 + HOP)
    assert (made[1, after] - wave_BN[1, after]).norm() < 0.5 * wave_BN[1, after].norm()
