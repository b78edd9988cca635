"""VGGish's front end against transformers' own audio functions, its tower against torch's plain ones."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from toccata.encoders.vggish import VGGish, VGGishConfig, log_mel, windows

audio_utils = pytest.importorskip("transformers.audio_utils")

SMALL = VGGishConfig((4, 6, 8, 8, 10, 12), hidden=20, width=7)


def noise(seconds: float) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(round(seconds * 16_000))).astype(np.float32)


def test_log_mels_are_those_of_triangles_on_the_mel_scale():
    filters = audio_utils.mel_filter_bank(
        257, 64, 125.0, 7500.0, 16_000, mel_scale="htk", triangularize_in_mel_space=True
    )
    hann = audio_utils.window_function(400, "hann", periodic=True)
    theirs_MT = audio_utils.spectrogram(
        noise(1.3), hann, 400, 160, fft_length=512, power=1.0, center=False, mel_filters=filters, mel_floor=0.0
    )
    ours_TM = log_mel(torch.from_numpy(noise(1.3)))
    assert ours_TM.shape == (128, 64)
    assert np.allclose(ours_TM.numpy(), np.log(theirs_MT.T + 0.01), atol=2e-5)


def test_the_tower_is_the_published_one():
    torch.manual_seed(0)
    model = VGGish(SMALL).eval()
    w = model.state_dict()
    x = mel_BTM = windows(torch.from_numpy(noise(2.2)))
    x = x[:, None]
    for place, pooled in ((0, True), (3, True), (6, False), (8, True), (11, False), (13, True)):
        x = F.relu(F.conv2d(x, w[f"features.{place}.weight"], w[f"features.{place}.bias"], padding=1))
        x = F.max_pool2d(x, 2) if pooled else x
    assert x.shape == (2, 12, 6, 4)
    x = torch.stack([x[:, :, t, m] for t in range(6) for m in range(4)], 1).flatten(1)  # time, bands, widths
    for place in (0, 2):
        x = F.relu(F.linear(x, w[f"embeddings.{place}.weight"], w[f"embeddings.{place}.bias"]))
    expected = F.linear(x, w["embeddings.4.weight"], w["embeddings.4.bias"])
    torch.testing.assert_close(model(mel_BTM), expected, atol=1e-6, rtol=1e-5)
