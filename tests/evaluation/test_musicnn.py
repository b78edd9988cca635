"""musicnn without TensorFlow: the same tags as its own code gave under TensorFlow 2.15."""

import numpy as np
import pytest

from toccata.errors import WeightsError
from toccata.evaluation.musicnn import TAGS, load_musicnn
from toccata.evaluation.tensor_bundle import read_bundle

pytest.importorskip("musicnn", reason="pip install --no-deps musicnn")

SECOND_PATCH = (
    0.0587, 0.0012, 0.333, 0.0201, 0.0009, 0.0158, 0.0752, 0.0007, 0.0047, 0.0192, 0.275, 0.0152, 0.0, 0.0137,
    0.0779, 0.0136, 0.0011, 0.0005, 0.0031, 0.007, 0.009, 0.0309, 0.0, 0.0006, 0.2312, 0.0115, 0.0072, 0.0018,
    0.0353, 0.002, 0.1968, 0.0002, 0.0054, 0.0018, 0.0001, 0.001, 0.006, 0.0751, 0.0009, 0.0018, 0.0059, 0.0035,
    0.0032, 0.0, 0.018, 0.0095, 0.0, 0.0001, 0.0042, 0.0006,
)  # fmt: skip
FIRST_EMBEDDING = (-0.08, 0.0321, -0.0923, -0.1861, -0.0787, 0.766, -0.1058, 0.8876)


def chord() -> np.ndarray:
    t = np.arange(16000 * 6) / 16000
    tones = [np.sin(2 * np.pi * f * t) / (k + 1) for k, f in enumerate((220, 277.18, 329.63, 440))]
    return (np.sum(tones, axis=0) * np.exp(-(t % 0.5) * 4) * 0.2).astype(np.float32)


def test_tags_and_embedding_are_those_of_the_published_code():
    heard = load_musicnn().listen(chord(), 16000)
    assert heard.tags_BV.shape == (2, len(TAGS))
    assert np.abs(heard.tags_BV[1] - SECOND_PATCH).max() < 5e-4
    assert np.abs(heard.embedding_BD[0, :8] - FIRST_EMBEDDING).max() < 5e-3


def test_a_wave_shorter_than_a_patch_is_heard_too():
    assert load_musicnn().listen(chord()[:8000], 16000).embedding_BD.shape == (1, 200)


def test_what_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="cannot be read"):
        read_bundle(tmp_path / "missing")
    (tmp_path / "x.index").write_bytes(bytes(100))
    (tmp_path / "x.data-00000-of-00001").write_bytes(b"")
    with pytest.raises(WeightsError, match="not the index"):
        read_bundle(tmp_path / "x")
