"""Evaluation formulas against the originals: audiocraft's, audioldm_eval's and stable-audio-metrics' by torch, those of
frechet-audio-distance and fadtk by SciPy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import linalg

from toccata.evaluation.alignment import text_fit
from toccata.evaluation.frechet import frechet_distance, frechet_infinity, frechet_per_clip
from toccata.evaluation.labels import sigmoid_kl, softmax_kl
from toccata.evaluation.moments import moments
from toccata.evaluation.table import Table


def test_kl_is_torchs_as_audiocraft_and_audioldm_eval_call_it():
    target, ours = (
        torch.randn(9, 50, generator=torch.Generator().manual_seed(k), dtype=torch.float64) * 4 for k in (0, 1)
    )
    for turned, mine in ((lambda x: x.softmax(1), softmax_kl), (torch.sigmoid, sigmoid_kl)):
        wanted = F.kl_div((turned(ours) + 1e-6).log(), turned(target), reduction="none").sum(1)
        np.testing.assert_allclose(mine(target.numpy(), ours.numpy()), wanted.numpy(), rtol=1e-9, atol=1e-12)


def test_kl_the_other_way_round_is_that_of_stable_audio_metrics():
    reference, ours = (
        torch.randn(527, generator=torch.Generator().manual_seed(k), dtype=torch.float64) for k in (0, 1)
    )
    wanted = F.kl_div((reference.softmax(0) + 1e-6).log(), ours.softmax(0), reduction="sum", log_target=False)
    assert softmax_kl(ours[None].numpy(), reference[None].numpy())[0] == pytest.approx(float(wanted), rel=1e-9)


def test_clap_score_is_torchs_cosine_as_audiocraft_calls_it():
    audio, text = (torch.randn(9, 512, generator=torch.Generator().manual_seed(k)) for k in (0, 1))
    wanted = F.cosine_similarity(audio, text, dim=1, eps=1e-8)
    np.testing.assert_allclose(text_fit(audio.numpy(), text.numpy()), wanted.numpy(), atol=1e-6)


def embeddings(rows: int, apart: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Two sets in 128 dimensions as VGGish's, eigenvalues over six decades, means far from 0."""
    rng = np.random.default_rng(0)
    turn = linalg.qr(rng.normal(size=(128, 128)))[0]
    one, other = (rng.normal(size=(rows, 128)) * np.logspace(-3, 0, 128) @ turn + 5 for _ in range(2))
    return one, other + apart


def from_root(a: np.ndarray, b: np.ndarray, root: np.ndarray) -> float:
    """The distance by a square root of the product of both covariances."""
    spreads = np.trace(np.cov(a, rowvar=False)) + np.trace(np.cov(b, rowvar=False))
    return float(np.square(a.mean(0) - b.mean(0)).sum() + spreads - 2 * np.trace(root).real)


def product(a: np.ndarray, b: np.ndarray, offset: float = 0.0) -> np.ndarray:
    one, two = (np.cov(rows, rowvar=False) + offset * np.eye(rows.shape[1]) for rows in (a, b))
    return one @ two


@pytest.mark.parametrize("rows", [400, 4000])
def test_frechet_is_that_of_the_published_tools_on_wide_embeddings(rows: int):
    a, b = embeddings(rows)
    assert frechet_distance(a, b) == pytest.approx(from_root(a, b, np.asarray(linalg.sqrtm(product(a, b)))), rel=1e-6)


@pytest.mark.parametrize("rows", [40, 100, 129])
def test_frechet_of_few_clips_is_that_of_the_published_tools(rows: int):
    """With fewer rows than dimensions covariances are singular: there frechet-audio-distance takes a complex root."""
    a, b = embeddings(rows, apart=0.05)
    wanted = from_root(a, b, np.asarray(linalg.sqrtm(product(a, b).astype(complex))))
    assert frechet_distance(a, b) == pytest.approx(wanted, rel=1e-3)


def test_frechet_is_that_of_the_tools_where_they_add_to_the_diagonal():
    """1e-6, where the root of the plain product is not finite; what they add is theirs alone."""
    a, b = (rows * 10 for rows in embeddings(100, apart=0.5))
    wanted = from_root(a, b, np.asarray(linalg.sqrtm(product(a, b, offset=1e-6))))
    assert frechet_distance(a, b) == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("rows", [100, 400])
def test_frechet_is_that_of_fadtk_by_eigenvalues(rows: int):
    a, b = embeddings(rows)
    values, vectors = np.linalg.eig(product(a, b))
    root = (vectors * np.lib.scimath.sqrt(values)) @ linalg.inv(vectors)
    assert frechet_distance(a, b) == pytest.approx(from_root(a, b, root), rel=1e-3)


def test_per_clip_distances_are_those_of_fadtk():
    a, b = embeddings(400)
    clips = np.split(a, 20)
    for found, rows in zip(frechet_per_clip(Table(clips), moments(b)), clips, strict=True):
        wanted = from_root(rows, b, np.asarray(linalg.sqrtm(product(rows, b).astype(complex))))
        assert found == pytest.approx(wanted, rel=1e-3)


def test_fad_infinity_is_the_line_that_fadtk_draws():
    a, b = embeddings(800)
    limit = frechet_infinity(Table(np.split(a, 80)), moments(b), np.random.default_rng(0))
    clips, values = np.array(limit.points).T
    design = np.stack([1 / clips, np.ones_like(clips)], 1)
    slope, value = np.linalg.lstsq(design, values, rcond=None)[0]
    assert (limit.value, limit.slope) == (pytest.approx(value, rel=1e-6), pytest.approx(slope, rel=1e-6))
    assert limit.r2 == pytest.approx(np.corrcoef(1 / clips, values)[0, 1] ** 2, rel=1e-6)
