"""What ships as musiclm-mini plays, and goes on from a recording without a word."""

import toccata
from toccata.evaluation.guards import is_noise, is_silent
from toccata.models.musiclm.pipeline import MusicLM


def test_it_plays_and_goes_on():
    model = toccata.load("musiclm-mini", device="cpu")
    assert isinstance(model, MusicLM)
    clip = model.generate("calm solo piano in C major", seconds=3, seed=1)
    longer = model.continue_(clip, seconds=2, seed=2)
    assert longer.samples.shape == (1, 5 * clip.sample_rate)
    for wave_N in (clip.samples[0], longer.samples[0, -2 * clip.sample_rate :]):
        assert not is_silent(wave_N, clip.sample_rate)
        assert not is_noise(wave_N, clip.sample_rate)
