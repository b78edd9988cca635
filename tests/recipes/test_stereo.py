"""How the band's pieces in stereo are read: a piece lasts as long as it is heard."""

import pytest
import torch

from toccata.recipes.stereo import encoded, heard

RATE = 1000  # 20 samples a moment


def decaying(seconds: float, silence: float) -> torch.Tensor:
    """Stereo noise that falls by 30 dB a second, then nothing at all."""
    time_N = torch.arange(round(seconds * RATE)) / RATE
    noise_CN = torch.rand(2, len(time_N), generator=torch.Generator().manual_seed(0)) - 0.5
    return torch.cat([noise_CN * 10 ** (-30 * time_N / 20), torch.zeros(2, round(silence * RATE))], dim=1)


@pytest.mark.parametrize(("seconds", "silence", "end"), [(1.0, 0.5, 1.0), (1.0, 0.0, 1.0), (4.0, 1.0, 2.0)])
def test_a_piece_ends_with_its_last_moment_within_60_db_of_the_loudest(seconds, silence, end):
    assert heard(decaying(seconds, silence), RATE) / RATE == pytest.approx(end, abs=0.06)


def test_a_pause_does_not_end_it_and_one_ear_is_enough():
    wave = torch.cat([decaying(0.5, 1.5), decaying(0.5, 1.0)], dim=1)
    wave[0, 1000:] = 0
    assert heard(wave, RATE) == 2500


def test_silence_and_a_piece_of_less_than_a_moment_stay_whole():
    assert heard(torch.zeros(2, 700), RATE) == 700
    assert heard(torch.full((2, 7), 0.1), RATE) == 7


def test_latents_are_of_what_is_heard_and_records_tell_how_many():
    waves = [(32767 * decaying(0.4, 0.6)).to(torch.int16).T, (32767 * decaying(0.2, 0.0)).to(torch.int16).T]
    records = [{"samples": len(wave), "tempo": 90} for wave in waves]
    shard = {"wave": torch.cat(waves)}, records
    tensors, kept = encoded(shard, RATE, lambda wave_BCN: wave_BCN[..., ::20].transpose(1, 2))
    assert kept == [{"samples": 1000, "tempo": 90, "frames": 20}, {"samples": 200, "tempo": 90, "frames": 10}]
    assert torch.equal(tensors["latent"][20:].float(), (waves[1][::20].float() / 32767).half().float())
