"""Tunes as people give them: in tune to an ear of another's make, in the voice's range, the same for the same seed."""

import librosa
import numpy as np
import pytest

from toccata.corpus.humming import VOICES, into_range

RATE = 16_000
STEPS = (0, 4, 9, 2)
TUNE = [(0.5 * i, 0.5 * i + 0.45, 62.0 + step) for i, step in enumerate(STEPS)]


@pytest.mark.parametrize("name", VOICES)
def test_the_pitch_is_the_tunes(name):
    give, low, high = VOICES[name]
    tune = into_range(TUNE, low, high)
    wave_N = give(tune, np.random.default_rng(1), RATE)
    reach = [float(librosa.midi_to_hz(pitch)) for pitch in (low - 7, high + 7)]
    hertz, *_ = librosa.pyin(wave_N, fmin=reach[0], fmax=reach[1], sr=RATE, hop_length=512, resolution=0.2)
    at = librosa.times_like(hertz, sr=RATE, hop_length=512)
    for start, end, pitch in tune:
        inside = hertz[(at > start + 0.15) & (at < end - 0.05)]
        assert abs(float(librosa.hz_to_midi(np.nanmedian(inside))) - pitch) < 0.75


@pytest.mark.parametrize("name", VOICES)
def test_the_same_seed_sounds_the_same_and_notes_end(name):
    give, *_ = VOICES[name]
    tune = [(0.2, 0.8, 60.0), (1.6, 2.0, 64.0)]
    first, again, other = (give(tune, np.random.default_rng(seed), RATE) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first[: len(other)], other[: len(first)])
    assert first.dtype == np.float32
    assert np.abs(first).max() <= 0.5
    loud, rest = first[int(0.4 * RATE) : int(0.7 * RATE)], first[int(1.0 * RATE) : int(1.4 * RATE)]
    assert np.abs(rest).mean() < 0.1 * np.abs(loud).mean()


def test_a_tune_comes_into_range_by_whole_octaves():
    moved = into_range(TUNE, 72, 93)
    shifts = {b[2] - a[2] for a, b in zip(TUNE, moved, strict=True)}
    assert shifts == {12.0}
    assert [note[:2] for note in moved] == [note[:2] for note in TUNE]
