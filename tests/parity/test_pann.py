"""CNN14's front end against librosa, and its tower and labels against a plain re-statement of the published one."""

import librosa
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.evaluation.public_judges import MELS, cnn14
from toccata.encoders.clap_pictures import whole
from toccata.encoders.pann_tagger import load_pann
from toccata.weights.convert import convert


def plain(mel_TM: torch.Tensor, w: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """CNN14 of one log-mel: the embedding and the logits."""

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        mean, variance, gain, bias = (
            w[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-5).sqrt() * gain + bias

    x = norm(mel_TM.T[:, None], "bn0").permute(1, 2, 0)[None]  # (1, 1, T, M)
    for i in range(1, 7):
        for k in (1, 2):
            x = F.relu(norm(F.conv2d(x, w[f"conv_block{i}.conv{k}.weight"], padding=1), f"conv_block{i}.bn{k}"))
        x = F.avg_pool2d(x, 2) if i < 6 else x
    x = x.mean(3)
    x = x.max(2).values + x.mean(2)
    embedding = F.relu(F.linear(x, w["fc1.weight"], w["fc1.bias"]))
    return embedding, F.linear(embedding, w["fc_audioset.weight"], w["fc_audioset.bias"])


@pytest.mark.parametrize("rate", [16_000, 32_000])
def test_the_published_checkpoint_hears_what_the_published_network_does(rate: int, tmp_path):
    named = cnn14(rate)
    sampler = {"indexes_per_class": [np.arange(5), np.arange(3)], "queue": [4, 2], "pointers_of_classes": [0, 1]}
    torch.save({"iteration": 600_000, "model": named, "sampler": sampler}, tmp_path / "Cnn14_mAP=0.431.pth")
    convert(tmp_path / "Cnn14_mAP=0.431.pth", tmp_path / "out")
    model = load_pann(tmp_path / "out")
    assert model.sample_rate == rate
    wave = (0.1 * np.random.default_rng(0).standard_normal(int(1.7 * rate))).astype(np.float32)
    n_fft, hop, low, high = MELS[rate]
    power = librosa.feature.melspectrogram(
        y=wave.astype(np.float64), sr=rate, n_fft=n_fft, hop_length=hop, n_mels=64, fmin=low, fmax=high,
        center=True, pad_mode="reflect", power=2.0,
    )  # fmt: skip
    mel_TM = torch.from_numpy(librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None).T).float()
    torch.testing.assert_close(whole(torch.from_numpy(wave), model.pictures), mel_TM, atol=1e-3, rtol=0)
    expected = plain(mel_TM, named)
    for ours, theirs in zip(model.listen(torch.from_numpy(wave)), expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=1e-4)
