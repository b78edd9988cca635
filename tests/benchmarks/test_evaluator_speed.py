"""The evaluator's speed: whole files to a distance, by our own evaluator."""

import numpy as np
import pytest
import torch

from benchmarks.evaluator_speed import distance_of
from toccata.audio import io
from toccata.encoders.vggish import VGGish, VGGishConfig
from toccata.evaluation.frechet import frechet_distance

TINY = VGGishConfig(widths=(4, 4, 4, 4, 4, 4), hidden=8, width=3)


def test_the_distance_is_that_of_the_embeddings_of_the_files(tmp_path):
    torch.manual_seed(0)
    network, rng = VGGish(TINY).eval(), np.random.default_rng(0)
    waves = {name: rng.normal(0, 0.1, (4, 1, 4 * 16_000)).astype(np.float32) for name in ("a", "b")}
    for name, waves_ICN in waves.items():
        (tmp_path / name).mkdir()
        for number, wave_CN in enumerate(waves_ICN):
            io.write(tmp_path / name / f"{number}.wav", wave_CN, 16_000, {})
    found = distance_of((tmp_path / "a", tmp_path / "b"), network, tmp_path / "kept")
    rows = [np.concatenate([network.listen(torch.from_numpy(w[0])).numpy() for w in ws]) for ws in waves.values()]
    assert found == pytest.approx(frechet_distance(*rows), rel=0.05)  # files have 16 bits
