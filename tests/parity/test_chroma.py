"""Chromagrams against librosa's filters and transformers' MusicGen melody features; separation against scipy."""

import librosa
import numpy as np
import pytest
import scipy.ndimage
import torch

from toccata.audio.chroma import BINS, chroma_filters, chromagram, strongest
from toccata.audio.separation import median


@pytest.mark.parametrize(("rate", "n_fft"), [(32000, 16384), (24000, 16384), (44100, 4096)])
def test_filters_agree(rate, n_fft):
    expected = librosa.filters.chroma(sr=rate, n_fft=n_fft, tuning=0.0)
    assert np.allclose(chroma_filters(rate, n_fft).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("samples", [96000, 9000])
def test_a_chromagram_is_librosas(samples):
    wave = np.random.default_rng(0).standard_normal(samples).astype(np.float32) * 0.1
    padded = np.pad(wave, (max(16384 - samples, 0) // 2, (max(16384 - samples, 0) + 1) // 2))
    expected = librosa.feature.chroma_stft(
        y=padded, sr=32000, n_fft=16384, hop_length=4096, tuning=0.0, norm=None, pad_mode="reflect"
    )
    ours = chromagram(torch.from_numpy(wave), 32000).numpy()
    assert np.allclose(ours / ours.max(), expected / expected.max(), atol=1e-4)
    hot = strongest(torch.from_numpy(ours)).numpy()
    assert hot.shape == (ours.shape[1], BINS)
    assert np.array_equal(hot.argmax(1), expected.argmax(0))


def test_the_running_median_is_scipys():
    x = np.random.default_rng(0).random((5, 40)).astype(np.float32)
    expected = scipy.ndimage.median_filter(x, size=(1, 17), mode="mirror")
    assert np.allclose(median(torch.from_numpy(x), 17).numpy(), expected)
