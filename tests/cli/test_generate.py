"""``toccata generate`` keeps its contract: files, JSON, stdout, seeds, exit codes."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from toccata import Prompt, hub

KEYS = [
    "output", "model", "seed", "seconds", "sample_rate", "channels",
    "elapsed_seconds", "realtime_factor", "first_audio_seconds", "weights_sha256",
]  # fmt: skip


def test_a_prompt_becomes_a_file(toccata, model, tmp_path: Path):
    code, out, err = toccata("generate", "warm piano", "-o", "out.flac", "--seconds", 2, "--seed", 7)
    assert (code, out) == (0, b"")
    assert "out.flac" in err
    assert soundfile.info("out.flac").duration == 2
    assert [path.name for path in tmp_path.iterdir()] == ["out.flac"]


def test_without_a_name_the_file_is_called_after_prompt_and_seed(toccata, model, tmp_path: Path):
    assert toccata("generate", "Warm, slow Piano! Ünder/../rain " + "x" * 60, "--seed", 7)[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["warm-slow-piano-ünder-rain-xxxxxxxxxxxxx-7.wav"]


def test_json_has_the_contract_s_keys_and_stdout_nothing_else(toccata, model):
    code, out, _ = toccata("generate", "piano", "-o", "a.wav", "--seed", 7, "--count", 2, "--json")
    reports = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [list(report) for report in reports] == [KEYS, KEYS]
    assert [(report["output"], report["seed"]) for report in reports] == [("a-1.wav", 7), ("a-2.wav", 8)]
    assert reports[0]["weights_sha256"] == model.weights_sha256


def test_each_of_several_equals_its_own_single_run(toccata, model):
    toccata("generate", "piano", "-o", "a.wav", "--seed", 7, "--count", 2)
    toccata("generate", "piano", "-o", "b.wav", "--seed", 8)
    assert Path("a-2.wav").read_bytes() == Path("b.wav").read_bytes()
    assert Path("a-1.wav").read_bytes() != Path("b.wav").read_bytes()


def test_a_dash_writes_wav_to_stdout(toccata, model, tmp_path: Path):
    code, out, _ = toccata("generate", "piano", "-o", "-", "--seconds", 1, "--seed", 7)
    samples, rate = soundfile.read(io.BytesIO(out))
    assert (code, rate, len(samples)) == (0, model.sample_rate, model.sample_rate)
    assert not list(tmp_path.iterdir())


def test_streamed_to_stdout_it_is_the_same_sound(toccata, model):
    _, streamed, _ = toccata("generate", "piano", "-o", "-", "--seconds", 2.3, "--seed", 7, "--stream")
    _, whole, _ = toccata("generate", "piano", "-o", "-", "--seconds", 2.3, "--seed", 7)
    (a, rate), (b, _) = (soundfile.read(io.BytesIO(data), dtype="int16") for data in (streamed, whole))
    assert rate == model.sample_rate
    assert np.array_equal(a, b)


def test_streamed_to_a_file_it_is_the_same_file_and_the_first_sound_is_earlier(toccata, model):
    _, out, _ = toccata("generate", "piano", "-o", "a.wav", "--seconds", 2, "--seed", 7, "--stream", "--json")
    toccata("generate", "piano", "-o", "b.wav", "--seconds", 2, "--seed", 7)
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes()
    report = json.loads(out)
    assert 0 <= report["first_audio_seconds"] <= report["elapsed_seconds"]


def test_guidance_is_a_number_or_goes_from_one_to_another(toccata, model, tmp_path):
    assert toccata("generate", "piano", "-o", "a.wav", "--guidance", "5:1.5")[0] == 0
    assert model.asked[-1]["guidance"] == (5.0, 1.5)
    for wrong in ("five", "5:", "1:2:3", "21", "3:nan"):
        code, _, err = toccata("generate", "piano", "-o", "b.wav", "--guidance", wrong)
        assert code == 2
        assert "guidance" in err


class Loud:
    """Finds a clip the more like any text the louder its first sample is."""

    def similarity(self, text: str, clips: list) -> np.ndarray:
        return np.array([[clip.samples[0, 0] for clip in clips]])


def test_of_several_takes_the_nearest_to_the_prompt_is_kept(toccata, model, monkeypatch):
    monkeypatch.setattr(hub, "load_embedder", Loud)
    _, out, _ = toccata("generate", "piano", "-o", "a.wav", "--seconds", 1, "--seed", 7, "--best-of", 3, "--json")
    assert len(model.asked) == 3
    assert json.loads(out)["seed"] in [asked["seed"] for asked in model.asked]
    toccata("generate", "piano", "-o", "b.wav", "--seconds", 1, "--seed", json.loads(out)["seed"])
    assert np.array_equal(soundfile.read("a.wav")[0], soundfile.read("b.wav")[0])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--best-of", 1], "2 to 16"),
        (["--best-of", 3, "--story", "5:drums"], "leave out --story"),
        (["--best-of", 3, "--stream", "-o", "-"], "leave out --stream"),
    ],
)
def test_what_cannot_be_ranked_is_told_before_anything_is_made(toccata, model, arguments, says):
    code, _, err = toccata("generate", "piano", *arguments)
    assert code == 2
    assert says in err
    assert not model.asked


def test_a_story_is_told_in_parts(toccata, model):
    assert toccata("generate", "calm piano", "--story", "15:full orchestra", "-o", "a.wav")[0] == 0
    assert toccata("generate", "--story", "0:calm piano", "--story", "15:full orchestra", "-o", "b.wav")[0] == 0
    told = [asked["prompt"] for asked in model.asked]
    assert told[0] == told[1] == Prompt.story({0: "calm piano", 15: "full orchestra"})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "there is no prompt"),
        (["--story", "full orchestra"], 'takes "SECONDS:TEXT"'),
        (["--story", "x:full orchestra"], 'takes "SECONDS:TEXT"'),
        (["--story", "5:full orchestra"], "starts at 0"),
        (["piano", "--story", "0:full orchestra"], "two texts"),
        (["piano", "--story", "nan:full orchestra"], "must be a number"),
    ],
)
def test_a_story_that_cannot_be_told_is_refused(toccata, model, tmp_path, arguments, says):
    code, out, err = toccata("generate", *arguments)
    assert (code, out) == (2, b"")
    assert says in err
    assert not list(tmp_path.iterdir())


def test_a_seed_is_drawn_and_told_where_none_is_given(toccata, model):
    seeds = []
    for _ in range(2):
        _, out, err = toccata("generate", "piano", "-o", "a.wav", "--json")
        seeds.append(json.loads(out)["seed"])
        assert f"seed {seeds[-1]}" in err
    assert seeds[0] != seeds[1]


def test_the_model_gets_what_was_asked_and_no_more(toccata, model):
    toccata("generate", "piano", "-o", "a.wav", "--seed", 1, "--guidance", 4, "--top-k", 50, "--negative", "drums")
    asked = model.asked[0]
    assert asked.pop("prompt").negative == "drums"
    assert asked == {"seconds": 10, "seed": 1, "guidance": 4, "top_k": 50}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["   "], "prompt is empty"),
        (["x" * 100_000], "100,000 characters"),
        (["🎹"], "no letter"),
        (["piano", "-o", "a.xyz"], ".flac"),
        (["piano", "-o", "missing/a.wav"], "does not exist"),
        (["piano", "-o", "-", "--json"], "leave out"),
        (["piano", "-o", "-", "--count", "2"], "leave out"),
        (["piano", "--seconds", "0"], "seconds"),
        (["piano", "--seconds", "nan"], "seconds"),
        (["piano", "--seconds", "ten"], "--seconds"),
        (["piano", "--seed", "-1"], "seed"),
        (["piano", "--count", "0"], "count"),
        (["piano", "--top-p", "2"], "top_p"),
        (["piano", "--device", "tpu"], "device"),
        (["piano", "--precision", "fp8"], "precision"),
        (["piano", "--continue", "no.wav"], "no.wav"),
        (["piano", "--init", "no.wav"], "no.wav"),
        (["piano", "--init", "a.wav", "--continue", "b.wav"], "two ways"),
        (["piano", "--strength", "0.5"], "--init FILE"),
        (["piano", "--inpaint", "1:2"], "--init FILE"),
        (["piano", "--init", "a.wav", "--inpaint", "1-2"], '"FROM:TO"'),
        (["piano", "--init", "a.wav", "--inpaint", "1:2:3"], '"FROM:TO"'),
        (["piano", "--init", "a.wav", "--inpaint", "2:1"], "ends after it starts"),
        (["piano", "--init", "a.wav", "--inpaint", "1:nan"], "must be a number"),
        (["piano", "--init", "a.wav", "--strength", "2"], "strength"),
        (["piano", "--steps", "0"], "steps"),
        (["piano", "--extend", "1:2"], "--init FILE"),
        (["piano", "--init", "a.wav", "--extend", "1"], '"BEFORE:AFTER"'),
        (["piano", "--init", "a.wav", "--extend", "0:0"], "changes nothing"),
        (["piano", "--init", "a.wav", "--extend", "1:1", "--seconds", "3"], "leave out --seconds"),
        (["piano", "--loop", "4"], 'such as "at 120 bpm"'),
        (["piano", "--loop", "0", "--bpm", "90"], "loop must be"),
        (["piano", "--loop", "1", "--bpm", "900"], "bpm must be"),
        (["piano", "--loop", "1", "--bpm", "300"], "loop more bars"),
        (["piano", "--bpm", "90"], "give loop too"),
        (["piano at 90 bpm", "--loop", "2", "--seconds", "3"], "leave out --seconds"),
        (["piano at 90 bpm", "--loop", "2", "--init", "a.wav"], "begins from nothing"),
        (["piano", "--negative", ""], "negative"),
        (["piano", "--volume", "11"], "--volume"),
        ([], "prompt"),
    ],
)
def test_wrong_input_is_one_line_and_nothing_is_loaded(toccata, model, monkeypatch, tmp_path: Path, arguments, says):
    monkeypatch.setattr(hub, "load", lambda *_: pytest.fail("the model was loaded"))
    code, out, err = toccata("generate", *arguments)
    assert (code, out) == (2, b"")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert len(err) < 300
    assert says in err
    assert not list(tmp_path.iterdir())


def test_an_unknown_model_is_told_with_the_nearest_name(toccata):
    code, _, err = toccata("generate", "piano", "--model", "musicgen-mimi")
    assert code == 2
    assert "did you mean musicgen-mini?" in err


def test_a_model_that_cannot_continue_says_so(toccata, model):
    toccata("generate", "piano", "-o", "a.wav")
    code, _, err = toccata("generate", "piano", "-o", "b.wav", "--continue", "a.wav")
    assert code == 2
    assert "humming cannot continue" in err


def test_a_recording_is_continued_where_the_model_can(toccata, model, monkeypatch):
    def continue_(reference, prompt, seconds, seed, progress):
        assert reference == Path("a.wav")
        return model.generate(prompt or Prompt("on"), seconds, seed, progress)

    toccata("generate", "piano", "-o", "a.wav")
    monkeypatch.setattr(model, "continue_", continue_, raising=False)
    assert toccata("generate", "piano", "-o", "b.wav", "--continue", "a.wav")[0] == 0
    assert toccata("generate", "--seed", "7", "--continue", "a.wav")[0] == 0
    assert Path("after-a-7.wav").is_file()
    assert np.isfinite(soundfile.read("b.wav")[0]).all()


def test_a_recording_is_edited_where_the_model_can(toccata, model, monkeypatch):
    toccata("generate", "piano", "-o", "a.wav", "--seconds", 12)
    edit = ("--init", "a.wav", "--inpaint", "9:10.5", "--inpaint", "2:4", "--strength", "0.5", "--steps", 20)
    code, _, err = toccata("generate", "piano", "-o", "b.wav", *edit)
    assert code == 2
    assert "humming takes no --init; leave it out or choose" in err
    monkeypatch.setattr(model, "takes", {"init", "inpaint", "strength", "steps"}, raising=False)
    assert toccata("generate", "piano", "-o", "b.wav", "--seed", 1, *edit)[0] == 0
    asked = model.asked[-1]
    assert asked.pop("prompt").text == "piano"
    regions = ((2.0, 4.0), (9.0, 10.5))
    expected = {"seconds": 12, "seed": 1, "init": Path("a.wav"), "inpaint": regions, "strength": 0.5, "steps": 20}
    assert asked == expected
    assert toccata("generate", "piano", "-o", "b.wav", "--init", "a.wav", "--seconds", 3)[0] == 0
    assert model.asked[-1]["seconds"] == 3


def test_a_loop_s_length_is_its_bars(toccata, model, monkeypatch):
    code, _, err = toccata("generate", "piano at 120 bpm", "-o", "b.wav", "--loop", 4)
    assert code == 2
    assert "humming takes no --loop; leave it out or choose" in err
    monkeypatch.setattr(model, "takes", {"loop", "bpm", "extend", "init"}, raising=False)
    made = model.generate

    def generate(prompt, seconds, seed, progress, **options):
        clip = made(prompt, 8.0 if seconds is None else seconds, seed, progress, **options)
        model.asked[-1]["seconds"] = seconds
        return clip

    monkeypatch.setattr(model, "generate", generate)
    assert toccata("generate", "piano at 120 bpm", "-o", "-", "--loop", 4)[0] == 0
    assert {"seconds": None, "loop": 4}.items() <= model.asked[-1].items()
    assert "bpm" not in model.asked[-1]
    assert toccata("generate", "piano", "-o", "a.wav", "--loop", 4, "--bpm", 120)[0] == 0
    assert model.asked[-1]["bpm"] == 120
    assert toccata("generate", "piano", "-o", "b.wav", "--init", "a.wav", "--extend", "1.5:2")[0] == 0
    assert {"seconds": None, "extend": (1.5, 2.0), "init": Path("a.wav")}.items() <= model.asked[-1].items()


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [(KeyboardInterrupt(), 130, "interrupted"), (RuntimeError("a\nb"), 1, "RuntimeError: a b"), (MemoryError(), 1, "")],
)
def test_interruptions_and_faults_leave_one_line_and_no_file(toccata, model, monkeypatch, tmp_path, error, code, says):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(model, "generate", fail)
    got, out, err = toccata("generate", "piano", "-o", "a.wav")
    last = err.splitlines()[-1]
    assert (got, out) == (code, b"")
    assert last.startswith("error: ")
    assert says in last
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())
