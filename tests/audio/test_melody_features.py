"""A melody's pitch classes come through: under drums and bass, in any octave, and silence stays silent."""

import numpy as np
import pytest
import torch

from toccata.audio.chroma import chromagram, strongest
from toccata.audio.separation import without_drums_and_bass

RATE = 32000


def tone(midi, seconds, amplitude=0.2):
    t = np.arange(int(seconds * RATE)) / RATE
    f = 440 * 2 ** ((midi - 69) / 12)
    return amplitude * sum(np.sin(2 * np.pi * f * h * t) / h for h in (1, 2, 3))


def melody(notes, seconds=1.0, octave=0):
    return np.concatenate([tone(60 + 12 * octave + note, seconds) for note in notes]).astype(np.float32)


def classes(wave):
    return strongest(chromagram(torch.from_numpy(wave.astype(np.float32)), RATE)).argmax(1).numpy()


@pytest.mark.parametrize("octave", [-1, 0, 1, 2])
def test_the_pitch_class_is_found_in_any_octave(octave):
    notes = [0, 4, 7, 11, 2]
    found = classes(melody(notes, 1.0, octave))
    middles = [round((i + 0.5) * RATE / 4096) for i in range(len(notes))]
    assert [int(found[m]) for m in middles] == notes


def test_drums_and_bass_are_taken_out():
    notes = [0, 4, 7, 9]
    wave = melody(notes)
    bass = np.concatenate([tone(31, 1.0, 0.6)] * 4)
    rng = np.random.default_rng(0)
    drums = np.zeros_like(bass)
    for start in range(0, len(drums), RATE // 4):
        length = min(1600, len(drums) - start)
        drums[start : start + length] += rng.standard_normal(length) * np.exp(-np.arange(length) / 300) * 0.8
    mix = (wave + bass + drums).astype(np.float32)
    kept = without_drums_and_bass(torch.from_numpy(mix), RATE).numpy()
    assert kept.shape == mix.shape
    middles = [round((i + 0.5) * RATE / 4096) for i in range(4)]
    assert [int(classes(kept)[m]) for m in middles] == notes
    assert [int(classes(mix)[m]) for m in middles] != notes, "the bass would win without"
    quiet = without_drums_and_bass(torch.from_numpy(drums.astype(np.float32)), RATE).numpy()
    assert np.square(quiet).sum() < 0.1 * np.square(drums).sum()


def test_rests_hold_nothing_with_a_floor():
    wave = np.concatenate([melody([0], 2.0), np.zeros(2 * RATE, np.float32)])
    hot = strongest(chromagram(torch.from_numpy(wave), RATE), floor=1e-3)
    assert hot[3].sum() == 1
    assert hot[-4].sum() == 0


@pytest.mark.parametrize("samples", [1, 100, 5000])
def test_very_short_sound_is_taken(samples):
    wave = torch.randn(samples, generator=torch.Generator().manual_seed(0)) * 0.1
    assert chromagram(wave, RATE).shape[0] == 12
    assert without_drums_and_bass(wave, RATE).shape == wave.shape
