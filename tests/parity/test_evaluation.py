"""Evaluation formulas against the originals: audiocraft's and audioldm_eval's by torch, the FID tools' by SciPy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import linalg

from toccata.evaluation.frechet import frechet_distance
from toccata.evaluation.labels import sigmoid_kl, softmax_kl


def test_kl_is_torchs_as_audiocraft_and_audioldm_eval_call_it():
    target, ours = (
        torch.randn(9, 50, generator=torch.Generator().manual_seed(k), dtype=torch.float64) * 4 for k in (0, 1)
    )
    for turned, mine in ((lambda x: x.softmax(1), softmax_kl), (torch.sigmoid, sigmoid_kl)):
        wanted = F.kl_div((turned(ours) + 1e-6).log(), turned(target), reduction="none").sum(1)
        np.testing.assert_allclose(mine(target.numpy(), ours.numpy()), wanted.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rows", [400, 4000])
def test_frechet_is_that_of_the_published_tools_on_wide_embeddings(rows: int):
    """128 dimensions as VGGish's, eigenvalues over six decades, means far from 0."""
    rng = np.random.default_rng(0)
    scale = np.logspace(-3, 0, 128)
    a, b = (rng.normal(size=(rows, 128)) * scale @ linalg.qr(rng.normal(size=(128, 128)))[0] + 5 for _ in range(2))
    one, two = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    apart = np.square(a.mean(0) - b.mean(0)).sum()
    root = linalg.sqrtm(one @ two)
    wanted = apart + np.trace(one) + np.trace(two) - 2 * np.trace(root).real
    assert frechet_distance(a, b) == pytest.approx(wanted, rel=1e-6)
