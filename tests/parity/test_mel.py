"""Mel spectrograms against librosa's."""

import librosa
import numpy as np
import pytest
import torch

from toccata.audio.mel import log_mel, low_magnitudes, magnitudes, mel_filters


@pytest.mark.parametrize(("rate", "n_fft", "bands"), [(24000, 1024, 128), (44100, 2048, 80), (16000, 512, 40)])
def test_filters_agree(rate, n_fft, bands):
    expected = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=bands)
    assert np.allclose(mel_filters(rate, n_fft, bands).numpy(), expected, atol=1e-6)


def test_spectrograms_agree():
    wave = np.random.default_rng(0).standard_normal(24000).astype(np.float32) * 0.1
    expected = np.abs(librosa.stft(wave, n_fft=1024, hop_length=240))
    assert np.allclose(magnitudes(torch.from_numpy(wave)[None], 1024, 240)[0].numpy(), expected, atol=1e-4)
    mel = librosa.feature.melspectrogram(S=expected, sr=24000, n_fft=1024, n_mels=64)
    assert np.allclose(log_mel(torch.from_numpy(wave)[None], 24000, 1024, 240, 64)[0].numpy(), np.log(mel), atol=1e-3)


def test_the_lowest_bins_agree():
    wave = np.random.default_rng(1).standard_normal(24000).astype(np.float32) * 0.1
    expected = np.abs(librosa.stft(wave, n_fft=4096, hop_length=240))[:160]
    assert np.allclose(low_magnitudes(torch.from_numpy(wave)[None], 4096, 240, 160)[0].numpy(), expected, atol=1e-4)
