import json

import pytest

from benchmarks import __main__ as bench
from benchmarks.report import Figure, Options, compared, to_json

KEYS = ["bench", "metric", "value", "unit", "against", "ratio", "control", "n", "device", "commit"]


def test_a_line_has_exactly_the_promised_keys_and_null_where_nothing_applies():
    line = json.loads(to_json("codec", Figure("Fréchet distance", 1.23456789, ""), "cpu", "abc"))
    assert list(line) == KEYS
    assert line["value"] == pytest.approx(1.2346)
    assert line["against"] is line["ratio"] is line["control"] is line["n"] is None


def test_what_is_no_number_is_null_so_that_every_line_is_json():
    line = json.loads(to_json("codec", Figure("SI-SDR", float("-inf"), "dB", control=float("nan")), "cpu", "abc"))
    assert line["value"] is line["control"] is None


def test_the_ratio_is_value_over_what_it_is_against():
    assert compared("tempo", 0.6, "share", 0.8).ratio == pytest.approx(0.75)
    assert compared("tempo", 0.6, "share", 0.0).ratio is None


def test_list_names_every_benchmark(capsys: pytest.CaptureFixture[str]):
    assert bench.main(["list"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == [
        "setup", "codec", "prompts", "patterns", "melody", "melody-retrieval", "musicgen-cpu", "musicgen-gpu",
        "semantic", "musiclm", "story", "memorisation", "audiolm", "families", "mousai", "retrieval", "tagging",
        "evaluator", "evaluator-speed", "autoencoder", "stable-audio", "steps", "timing", "editing", "streaming",
    ]  # fmt: skip


def test_an_unknown_name_ends_with_2():
    with pytest.raises(SystemExit) as ended:
        bench.main(["nonsense"])
    assert ended.value.code == 2


def test_lines_are_printed_and_stored_only_when_asked(tmp_path, monkeypatch, capsys: pytest.CaptureFixture[str]):
    import benchmarks.codec

    seen: list[Options] = []

    def run(options: Options):
        seen.append(options)
        yield Figure("mel", 0.4, "nepers", n=2)

    monkeypatch.setattr(benchmarks.codec, "run", run)
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results")
    assert bench.main(["codec", "--quick"]) == 0
    assert seen == [Options(quick=True)]
    assert not (tmp_path / "results").exists()
    printed = capsys.readouterr().out
    assert json.loads(printed)["metric"] == "mel"
    assert bench.main(["codec", "--quick", "--store"]) == 0
    assert (tmp_path / "results" / "codec.jsonl").read_text() == printed
    assert bench.main(["codec", "--quick", "--store", "--model", "runs/other/model"]) == 0
    assert (tmp_path / "results" / "codec-other.jsonl").read_text() == printed


def test_a_failure_is_one_line_and_2(monkeypatch, capsys: pytest.CaptureFixture[str]):
    import benchmarks.codec
    from toccata.errors import WeightsError

    def run(options: Options):
        raise WeightsError("there are no weights")
        yield

    monkeypatch.setattr(benchmarks.codec, "run", run)
    assert bench.main(["codec"]) == 2
    assert capsys.readouterr().err == "error: there are no weights\n"
