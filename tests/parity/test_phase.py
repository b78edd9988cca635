"""Phase reconstruction against librosa's."""

import librosa
import numpy as np
import torch

from toccata.audio.mel import magnitudes, mel_filters
from toccata.audio.phase import from_mels, griffin_lim

RATE, N_FFT, HOP = 24000, 512, 128


def tones():
    time_N = np.arange(6000) / RATE
    return np.sum([np.sin(2 * np.pi * f * time_N + f) for f in (220, 330, 1500)], axis=0).astype(np.float32) * 0.2


def test_griffin_lim_is_librosas():
    magnitude = magnitudes(torch.from_numpy(tones())[None], N_FFT, HOP)
    ours = griffin_lim(magnitude, HOP, torch.zeros_like(magnitude), steps=8)[0]
    theirs = librosa.griffinlim(
        magnitude[0].numpy(), n_iter=8, hop_length=HOP, n_fft=N_FFT, momentum=0.99, init=None, pad_mode="constant"
    )
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-3)


def test_magnitudes_of_mels_fit_as_well_as_librosas():
    filters = mel_filters(RATE, N_FFT, 40)
    mel = filters @ magnitudes(torch.from_numpy(tones())[None], N_FFT, HOP)
    ours = from_mels(mel, filters)[0]
    theirs = librosa.feature.inverse.mel_to_stft(mel[0].numpy(), sr=RATE, n_fft=N_FFT, power=1.0)
    wrong = [float(np.linalg.norm(filters.numpy() @ found - mel[0].numpy())) for found in (ours.numpy(), theirs)]
    assert wrong[0] < min(wrong[1], 0.02 * float(mel.norm()))
    assert np.corrcoef(ours.numpy().ravel(), theirs.ravel())[0, 1] > 0.95
