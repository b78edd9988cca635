"""OpenL3's front end against librosa, its network against a plain re-statement in Keras' order of dimensions."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.evaluation.public_judges import keras_file, openl3
from toccata.encoders.openl3 import load_openl3, log_mel
from toccata.weights.convert import convert

librosa = pytest.importorskip("librosa")


def test_log_mels_are_those_of_librosa():
    wave = (0.1 * np.random.default_rng(0).standard_normal(48_000)).astype(np.float32)
    wave[:4000] = 0
    padded = np.pad(wave.astype(np.float64), (0, 198 * 242 + 2048 - 48_000))
    magnitude = np.abs(librosa.stft(padded, n_fft=2048, hop_length=242, center=False))
    mel = librosa.filters.mel(sr=48_000, n_fft=2048, n_mels=256) @ magnitude
    theirs_MT = librosa.power_to_db(mel, ref=np.max, amin=1e-10, top_db=80.0)
    ours_MT = log_mel(torch.from_numpy(wave)[None])[0]
    assert ours_MT.shape == theirs_MT.shape == (256, 199)
    np.testing.assert_allclose(ours_MT.numpy(), theirs_MT, rtol=0, atol=2e-3)


def plain(mel_MT: np.ndarray, layers: list[dict[str, np.ndarray]], pool: tuple[int, int]) -> np.ndarray:
    """The embedding of one window, by (bands, frames, widths) as in Keras."""

    def norm(x: np.ndarray, w: dict[str, np.ndarray]) -> np.ndarray:
        return (x - w["moving_mean"]) / np.sqrt(w["moving_variance"] + 1e-3) * w["gamma"] + w["beta"]

    def convolve(x: np.ndarray, w: dict[str, np.ndarray]) -> np.ndarray:
        around = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((1, 1), (1, 1), (0, 0))), (3, 3), axis=(0, 1))
        return np.einsum("mtiab,abio->mto", around, w["kernel"], optimize=True) + w["bias"]

    def largest(x: np.ndarray, bands: int, frames: int) -> np.ndarray:
        x = x[: len(x) // bands * bands, : x.shape[1] // frames * frames]
        return x.reshape(len(x) // bands, bands, x.shape[1] // frames, frames, -1).max((1, 3))

    x = norm(mel_MT[:, :, None], layers[0])
    for place in range(1, 14, 2):
        x = np.maximum(norm(convolve(x, layers[place]), layers[place + 1]), 0)
        x = largest(x, 2, 2) if place in (3, 7, 11) else x
    return largest(convolve(x, layers[15]), *pool).reshape(-1)


@pytest.mark.parametrize(("size", "pool"), [(512, (32, 24)), (6144, (8, 8))])
def test_the_published_file_hears_what_the_published_network_does(size: int, pool: tuple[int, int], tmp_path: Path):
    layers = openl3()
    (tmp_path / "openl3_audio_mel256_music-v0_4_0.h5.gz").write_bytes(keras_file(layers))
    convert(tmp_path / "openl3_audio_mel256_music-v0_4_0.h5.gz", tmp_path / "out")
    model = load_openl3(tmp_path / "out", size)
    mel_MT = np.random.default_rng(1).uniform(-80, 0, (256, 199)).astype(np.float32)
    with torch.no_grad():
        ours_D = model(torch.from_numpy(mel_MT)[None])[0]
    np.testing.assert_allclose(ours_D.numpy(), plain(mel_MT.astype(np.float64), layers, pool), rtol=1e-4, atol=1e-4)
