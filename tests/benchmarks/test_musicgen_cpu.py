"""The benchmark's engines are the same model, and its figures say what they are against."""

from dataclasses import replace

import pytest
import torch

from benchmarks import musicgen_cpu as bench

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def engines():
    small = replace(bench.CONFIG, width=64, layers=2, heads=2, vocabulary=64, text_width=64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "CONFIG", small)
        yield bench.engines(small)


def test_every_engine_decodes_the_same_model(engines):
    theirs, ours = engines
    expected = bench.guided_logits(theirs["fp32"]["dynamic"], 12)
    assert torch.allclose(bench.guided_logits(theirs["fp32"]["static"], 12), expected, atol=1e-4)
    assert torch.allclose(bench.guided_logits(ours["fp32"], 12), expected, atol=1e-4)
    for name, far in (("bf16", 0.5), ("int8", 0.5), ("int4", 4.0)):
        assert (bench.guided_logits(ours[name], 12) - expected).abs().max() < far
    assert (bench.guided_logits(theirs["bf16"]["dynamic"], 12).float() - expected).abs().max() < 0.5
    assert expected.std() > 1


def test_figures_have_what_they_are_against(engines):
    theirs, ours = engines
    begun = {f"transformers {name}": bench.faster(kinds, 3, 20) for name, kinds in theirs.items()}
    begun |= {name: bench.started(begin, 3, 20) for name, begin in ours.items()}
    found = bench.in_turn(begun, rounds=1, count=2)
    figures = list(bench.speeds("here", found, 1, bandwidth=1e9))
    against = {figure.metric: figure for figure in figures}
    int4 = against["int4 against transformers bf16, here"]
    assert int4.ratio == pytest.approx(found["int4"] / found["transformers bf16"])
    floor = against["int4 against reading the weights alone, here"].against
    assert floor == pytest.approx(1e9 / (bench.weights() * (0.5 + 4 / 128)))
    same = list(bench.agreements(theirs["fp32"]["dynamic"], ours, 6))
    assert [figure.value for figure in same if figure.metric.startswith("fp32, same")] == [1.0]
