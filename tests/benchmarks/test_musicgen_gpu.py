"""What the GPU's benchmark does that needs no GPU: the same model on both sides, the floor, refusals, missing peers."""

import sys
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from benchmarks import __main__ as bench_main
from benchmarks import musicgen_cpu, musicgen_together
from benchmarks import musicgen_gpu as bench
from benchmarks.report import Options
from toccata.errors import InputError
from toccata.models.musicgen.config import MusicGenConfig, large
from toccata.models.musicgen.network import MusicGenNetwork

pytest.importorskip("transformers")
CONFIG = MusicGenConfig(width=64, layers=2, heads=2, vocabulary=300, text_width=64)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(musicgen_cpu, "CONFIG", CONFIG)
    return CONFIG


def test_both_sides_decode_the_same_model_in_a_batch(small):
    peer = musicgen_cpu.random_peer(small)
    network, text = musicgen_cpu.as_ours(peer, small), musicgen_cpu.random_text(small)
    theirs = {kind: musicgen_cpu.their_begin(peer, kind, text, batch=3)(12) for kind in ("dynamic", "static")}
    ours = bench.sampled(bench.staged_begin(network, text, 3), 3)(12)
    steps_KS = musicgen_cpu.codes(9)
    for a, b in ((0, 4), (4, 5), (5, 6), (6, 7)):
        expected = theirs["dynamic"](steps_KS[:, a:b])
        assert expected.shape == (6, 4, 300)
        assert torch.allclose(theirs["static"](steps_KS[:, a:b]), expected, atol=1e-4)
        assert torch.allclose(ours(steps_KS[:, a:b]), expected, atol=1e-4)
    assert (expected[0] - expected[3]).abs().max() > 0.1, "with the text and without it"


def test_figures_come_in_turn_and_say_what_they_are_against(small, capsys):
    case = bench.Case("from the start", 2, 0, rounds=1, count=2)
    found = list(bench.speeds("tiny", small, [case], "cpu", 1e9, torch.float32))
    by_name = {figure.metric.partition(",")[0]: figure for figure in found}
    assert set(by_name) == {f"against {peer}" for peer in ("transformers", "audiocraft", "reading weights and cache")}
    assert by_name["against audiocraft"].value is None
    assert "audiocraft is not installed" in capsys.readouterr().err
    theirs = by_name["against transformers"]
    assert theirs.value is not None
    assert theirs.against is not None
    assert theirs.ratio == pytest.approx(theirs.value / theirs.against)
    assert by_name["against reading weights and cache"].against == pytest.approx(1e9 / bench.case_bytes(small, case))


def test_the_floor_counts_weights_once_and_every_rows_cache():
    first, second = (bench.case_bytes(CONFIG, bench.Case("", batch, 100, 2, 10)) for batch in (1, 2))
    middle = 100 + 4 + musicgen_cpu.WARM_UP + 10
    cache = 2 * (2 * 64 * 2) * 2 * (middle + 20)  # layers, keys and values of 64 bf16, rows, steps and text
    assert second - first == cache
    with torch.device("meta"):
        blocks = sum(p.numel() for p in MusicGenNetwork(CONFIG).blocks.parameters()) - 2 * 2 * 64 * 64
    assert first - cache == 2 * (blocks + 2 * 64 + 64 * 4 * 300)
    assert bench.case_bytes(replace(large(), text_width=2048), bench.Case("", 1, 0, 7, 50)) == pytest.approx(
        6.2e9, rel=0.1
    )


def test_without_a_gpu_it_refuses_in_one_line(capsys):
    with pytest.raises(InputError, match="measures a GPU"):
        next(bench.run(Options(device="cpu")))
    assert bench_main.main(["musicgen-gpu"]) == 2
    assert "error: musicgen-gpu measures a GPU" in capsys.readouterr().err
    if not torch.cuda.is_available():
        assert bench_main.main(["musicgen-gpu", "--device", "cuda"]) == 2
        assert "'cuda' is not available here" in capsys.readouterr().err


def test_audiocraft_is_timed_without_its_text_encoder(monkeypatch):
    clock, calls = [0.0], []

    def generate(prompt, conditions, max_gen_len, **options):
        calls.append((prompt, len(conditions), options["cfg_coef"]))
        clock[0] += 5.0 + 0.25 * max_gen_len

    loaded = SimpleNamespace(lm=SimpleNamespace(generate=generate), autocast=nullcontext())
    models = SimpleNamespace(MusicGen=SimpleNamespace(get_pretrained=lambda name, device: loaded))
    monkeypatch.setitem(sys.modules, "audiocraft.models", models)
    conditioners = SimpleNamespace(ConditioningAttributes=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "audiocraft.modules.conditioners", conditioners)
    monkeypatch.setattr(bench, "find_spec", lambda name: True)
    monkeypatch.setattr(bench.time, "perf_counter", lambda: clock[0])
    timer = bench.audiocraft_timer("small", 4, "cpu")
    assert timer is not None
    assert timer(10) == pytest.approx(0.25)
    assert calls[0] == (None, 4, 3.0)


def test_copying_moves_bytes():
    assert 1e8 < bench.copy_bandwidth("cpu", mebibytes=16, repeats=1) < 1e13


def test_requests_together_are_set_against_one_alone(monkeypatch):
    heard = []

    class Model:
        def generate(self, prompt, seconds, seed):
            heard.append(1)

        def generate_together(self, requests):
            heard.append(len(requests))

    monkeypatch.setattr(musicgen_together, "MusicGen", Model)
    monkeypatch.setattr(musicgen_together.hub, "load", lambda **told: Model())
    monkeypatch.setattr(musicgen_together, "timed", lambda work: work() or 2.0)
    figures = list(musicgen_together.together(Options(quick=True), (4,)))
    assert [(figure.value, figure.against) for figure in figures] == [(8.0, 2.0)]
    assert heard == [1, 4, 1, 4]
