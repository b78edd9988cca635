"""PaSST's front end against librosa's transform and transformers' mel bands, its transformer against transformers'."""

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from scipy.signal.windows import hann

from tests.evaluation.public_judges import passt
from toccata.encoders.passt import load_passt, log_mel
from toccata.weights.convert import convert

librosa = pytest.importorskip("librosa")
transformers = pytest.importorskip("transformers")

WIDTH, LAYERS, LABELS = 128, 2, 9
PARTS = {"attention.o_proj": "attn.proj", "layernorm_before": "norm1", "layernorm_after": "norm2", "mlp.fc1": "mlp.fc1",
         "mlp.fc2": "mlp.fc2"}  # fmt: skip


def test_log_mels_are_those_of_librosa_with_kaldis_bands():
    wave = (0.1 * np.random.default_rng(0).standard_normal(50_000)).astype(np.float64)
    raised = lfilter([1, -0.97], [1], wave)[1:]
    spectrum = librosa.stft(
        raised, n_fft=1024, hop_length=320, win_length=800, window=hann(800, sym=True), pad_mode="reflect"
    )
    bands = transformers.audio_utils.mel_filter_bank(
        513, 128, 0.0, 15_000.0, 32_000, mel_scale="kaldi", triangularize_in_mel_space=True
    )
    theirs_MT = (np.log(bands.T @ np.abs(spectrum) ** 2 + 1e-5) + 4.5) / 5
    ours_MT = log_mel(torch.from_numpy(wave).float()[None])[0]
    assert ours_MT.shape == theirs_MT.shape == (128, 157)
    np.testing.assert_allclose(ours_MT.numpy(), theirs_MT, rtol=0, atol=1e-4)


def of_theirs(w: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """PaSST's published weights as transformers' AST has them: with the sum of both places for each patch."""
    places_BLD = (w["freq_new_pos_embed"] + w["time_new_pos_embed"]).flatten(2).transpose(1, 2)
    made = {
        "audio_spectrogram_transformer.embeddings.cls_token": w["cls_token"],
        "audio_spectrogram_transformer.embeddings.distillation_token": w["dist_token"],
        "audio_spectrogram_transformer.embeddings.position_embeddings": torch.cat([w["new_pos_embed"], places_BLD], 1),
    }
    for kind in ("weight", "bias"):
        body = "audio_spectrogram_transformer."
        made[f"{body}embeddings.patch_embeddings.projection.{kind}"] = w[f"patch_embed.proj.{kind}"]
        made[f"{body}layernorm.{kind}"] = w[f"norm.{kind}"]
        made[f"classifier.layernorm.{kind}"] = w[f"head.0.{kind}"]
        made[f"classifier.dense.{kind}"] = w[f"head.1.{kind}"]
        for layer in range(LAYERS):
            for letter, part in zip("qkv", w[f"blocks.{layer}.attn.qkv.{kind}"].chunk(3), strict=True):
                made[f"{body}layers.{layer}.attention.{letter}_proj.{kind}"] = part
            for there, name in PARTS.items():
                made[f"{body}layers.{layer}.{there}.{kind}"] = w[f"blocks.{layer}.{name}.{kind}"]
    return made


def test_the_published_checkpoint_hears_what_transformers_ast_does(tmp_path):
    published = passt(WIDTH, LAYERS, LABELS)
    theirs = transformers.ASTForAudioClassification(
        transformers.ASTConfig(
            hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=WIDTH // 64, intermediate_size=4 * WIDTH,
            patch_size=16, frequency_stride=10, time_stride=10, max_length=1000, num_mel_bins=128, num_labels=LABELS,
            layer_norm_eps=1e-6,
        )
    ).eval()  # fmt: skip
    theirs.classifier.layernorm.eps = 1e-5  # its head's own
    theirs.load_state_dict(of_theirs(published))
    torch.save(published, tmp_path / "passt-s-f128-p16-s10-ap.476-swa.pt")
    convert(tmp_path / "passt-s-f128-p16-s10-ap.476-swa.pt", tmp_path / "out")
    ours = load_passt(tmp_path / "out")
    mel_BMT = torch.randn(2, 128, 1000, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        embedding_BD, logits_BV = ours(mel_BMT)
        body = theirs.audio_spectrogram_transformer(mel_BMT.transpose(1, 2))
        torch.testing.assert_close(embedding_BD, body.pooler_output, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(logits_BV, theirs(mel_BMT.transpose(1, 2)).logits, atol=1e-4, rtol=1e-4)
