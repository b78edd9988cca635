"""Features that know pitch: what sounds is what is told, and files keep it."""

import math
from dataclasses import replace

import pytest
import torch

from toccata.encoders.pitched import CLASSES, Pitched, pitch_classes
from toccata.encoders.semantic import SemanticTokens, load_semantic, save_semantic
from toccata.encoders.w2vbert import W2vBert, mini

RATE, STRIDE = 16_000, 640
TINY = replace(
    mini(), width=32, heads=2, inner=48, contrast_layers=1, prediction_layers=2, layer=2, channels=4, vocabulary=8,
    code_width=8, n_fft=256, bands=16, window_seconds=1.0, mask_frames=3, tokens=6,
)  # fmt: skip


def tone(semitones: int, seconds: float = 2.0) -> torch.Tensor:
    """Semitones above C4, with four overtones."""
    time_N = torch.arange(round(seconds * RATE)) / RATE
    hertz = 261.63 * 2 ** (semitones / 12)
    return sum((torch.sin(2 * math.pi * hertz * k * time_N) * 0.2 / k for k in range(1, 6)), torch.zeros_like(time_N))


@pytest.fixture
def model() -> SemanticTokens:
    torch.manual_seed(0)
    encoder = W2vBert(TINY)
    wave_BN = torch.randn(4, RATE)
    with torch.no_grad():
        features_ND = torch.cat(list(encoder.windows(wave_BN)), dim=1).flatten(0, 1)
        pitched = Pitched(encoder, 4)
        pitched.fit(features_ND)
        rows_BTD = torch.cat(list(pitched.windows(wave_BN)), dim=1)
    tokens = SemanticTokens(pitched).eval()
    tokens.fit(rows_BTD.flatten(0, 1), torch.Generator().manual_seed(0))
    return tokens


def test_a_tone_is_its_pitch_class_in_every_octave():
    for semitones in (-12, 0, 4, 7, 21):
        classes_TD = pitch_classes(tone(semitones)[None], RATE, STRIDE)[0]
        assert classes_TD.shape == (50, CLASSES)
        assert (classes_TD[5:-5, 12:].argmax(-1) == semitones % 12).all()


def test_a_bass_note_is_told_from_the_chord_above_it():
    wave_N = 2 * tone(-31) + tone(4) + tone(7)
    classes_D = pitch_classes(wave_N[None], RATE, STRIDE)[0, 5:-5].mean(0)
    assert int(classes_D[:12].argmax()) == -31 % 12
    assert set(classes_D[12:].topk(2).indices.tolist()) == {4, 7}


def test_loudness_does_not_matter_and_silence_is_nothing():
    quiet, loud = (pitch_classes((level * tone(3))[None], RATE, STRIDE) for level in (0.1, 1.0))
    assert torch.allclose(quiet[0, 5:-5], loud[0, 5:-5], atol=0.02)
    assert not pitch_classes(torch.zeros(1, RATE), RATE, STRIDE).any()


def test_long_sound_in_parts_is_the_whole(monkeypatch):
    wave_BN = torch.randn(2, 3 * RATE)
    whole = pitch_classes(wave_BN, RATE, STRIDE)
    monkeypatch.setattr("toccata.encoders.pitched._AT_ONCE", 7)
    assert torch.allclose(pitch_classes(wave_BN, RATE, STRIDE), whole, atol=1e-5)


def test_components_are_uncorrelated_and_the_first_vary_most(model):
    pitched = model.encoder
    assert isinstance(pitched, Pitched)
    rows_ND = torch.randn(500, 32) @ torch.randn(32, 32)
    pitched.fit(rows_ND)
    found_NK = pitched.joined(torch.zeros(500, CLASSES), rows_ND)[:, CLASSES:]
    covariance_KK = found_NK.T @ found_NK / 500
    assert (covariance_KK.diagonal().diff() <= 0).all()
    assert (covariance_KK - covariance_KK.diagonal().diag()).abs().max() < 1e-3 * covariance_KK.max()


def test_saved_tokens_are_read_again(model, tmp_path):
    save_semantic(tmp_path, model, name="tiny")
    again, wave_BN = load_semantic(tmp_path), torch.randn(2, 40_000)
    assert isinstance(again.encoder, Pitched)
    assert model.tokens(wave_BN).shape == (2, 62)
    assert (again.tokens(wave_BN) == model.tokens(wave_BN)).float().mean() > 0.9
