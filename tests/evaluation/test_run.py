"""The whole evaluation: scores order what is worse, controls are there, bad input is named."""

import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from toccata.clip import Clip
from toccata.errors import InputError
from toccata.evaluation import run as evaluation
from toccata.evaluation.ears import JointJudge, mono
from toccata.evaluation.moments import Statistics, load_statistics, moments, save_statistics
from toccata.evaluation.run import METRICS, Report, controls, evaluate, why_not
from toccata.evaluation.sets import Item
from toccata.evaluation.structure import frames_of

RATE = 24000


class Ear:
    """Hears the mean spectrum of each half-second: a stand-in for an embedding that needs weights."""

    recipe = {"embedding": "half-seconds of mel", "sample_rate": RATE}  # noqa: RUF012

    def hear(self, clip: Clip) -> dict[str, np.ndarray]:
        frames_TM = frames_of(mono(clip, RATE), RATE)[:, ::4]
        return {"rows_ND": frames_TM[: len(frames_TM) // 2 * 2].reshape(-1, 2, frames_TM.shape[1]).mean(1)}


class Words:
    """A joint encoder of two dimensions: how much of a sound lies low and high, and which word says so."""

    name, weights_sha256 = "words", "ab"

    def embed(self, clip: Clip) -> torch.Tensor:
        power = np.square(np.abs(np.fft.rfft(clip.samples[0])))
        return torch.tensor([[power[: len(power) // 40].sum(), power[len(power) // 40 :].sum()]]).sqrt()

    def embed_text(self, texts) -> torch.Tensor:
        return torch.tensor([[1.0, 0.0] if "low" in text else [0.0, 1.0] for text in texts])


@contextmanager
def quietly(label: str):
    yield lambda done, total: None


@pytest.fixture(autouse=True)
def short_controls(monkeypatch: pytest.MonkeyPatch) -> None:
    """The controls' first two seconds, two of each: time is all that the others cost."""
    noise, silence = controls()
    short = [
        [replace(item, sound=Clip(item.sound.samples[:, : 2 * RATE], RATE)) for item in items[:2] if item.sound]
        for items in (noise, silence)
    ]
    monkeypatch.setattr(evaluation, "controls", lambda: short)


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("kept")


def tune(seed: int, noise: float = 0.0, low: int = 48, high: int = 84) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(RATE // 4) / RATE
    notes = [
        np.sin(2 * np.pi * 440 * 2 ** ((rng.integers(low, high) - 69) / 12) * t) * np.exp(-rng.uniform(1, 9) * t)
        for _ in range(12)
    ]
    wave = 0.3 * np.concatenate(notes) + noise * rng.uniform(-1, 1, 12 * len(t))
    return wave.astype(np.float32)[None]


def tunes(first: int, count: int = 16, **how) -> list[Item]:
    return [Item(f"{k:02d}", sound=Clip(tune(first + k, **how), RATE)) for k in range(count)]


def run(kept: Path, reference, generated, metrics: str | None = None, **options) -> Report:
    return evaluate(reference, generated, Ear(), kept, quietly, metrics.split() if metrics else None, **options)


def scores(report: Report) -> dict[str, float]:
    return {score.metric: score.value for score in report.scores}


def test_every_distance_grows_with_noise(kept):
    names = "frechet frechet-infinity frechet-clips"
    found = [scores(run(kept, tunes(0), tunes(100, noise=noise), names)) for noise in (0.0, 0.02, 0.3)]
    for metric in found[0]:
        values = [each[metric] for each in found]
        assert values == sorted(values), metric
        assert values[-1] > 3 * max(values[0], 1), metric


def test_controls_stand_beside_every_score(kept):
    told = {item.name: "low hum" if k % 2 else "high bells" for k, item in enumerate(tunes(0))}
    ours = [
        Item(
            name,
            prompt=text,
            seconds=3,
            sound=Clip(tune(k, low=36, high=48) if "low" in text else tune(k, low=84, high=96), RATE),
        )
        for k, (name, text) in enumerate(told.items())
    ]
    names = "frechet frechet-infinity frechet-clips text chroma duration structure diversity copies guards"
    report = run(kept, tunes(0), ours, names, joint=JointJudge(Words(), "CLAP score"))
    assert all(score.controls for score in report.scores)
    by_name = {score.metric: score for score in report.scores}
    fit = by_name["CLAP score"]
    assert fit.value > 0.9 > 0.5 > fit.controls["shuffled"]
    assert (fit.low or 1) <= fit.value <= (fit.high or 0)
    assert by_name["Fréchet distance"].value > by_name["Fréchet distance"].controls["reference's halves"]
    assert by_name["clips that are noise"].controls["noise"] == 1
    assert by_name["clips that are silent"].controls["silence"] == 1
    assert by_name["length as asked, error"].value < 0.3 < by_name["length as asked, error"].controls["silence"]
    told_again = json.loads(json.dumps(report.to_dict()))
    assert told_again["generated_clips"] == 16
    assert told_again["scores"][0]["controls"]


def test_wrong_captions_score_lower(kept):
    def fit(wrong: int) -> float:
        ours = [
            Item(f"{k}", prompt="low" if (k % 2 == 0) != (k < wrong) else "high",
                 sound=Clip(tune(k, low=36, high=48) if k % 2 == 0 else tune(k, low=84, high=96), RATE))
            for k in range(12)
        ]  # fmt: skip
        return scores(run(kept, tunes(0), ours, "text", joint=JointJudge(Words())))["text fit"]

    values = [fit(wrong) for wrong in (0, 3, 6, 12)]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1] + 0.5


def test_the_same_pieces_again_are_copies_and_no_diversity(kept):
    ours = [Item(f"{k}", sound=Clip(tune(k % 3), RATE)) for k in range(12)]
    found = scores(run(kept, tunes(0), ours, "copies diversity"))
    fresh = scores(run(kept, tunes(0), tunes(50, 12), "copies diversity"))
    assert found["near-copies in the set"] == 1
    assert fresh["near-copies in the set"] == 0
    assert found["diversity"] < fresh["diversity"]


def test_what_the_sets_do_not_allow_is_told_with_its_reason(kept):
    ours, named = tunes(40, 8), [Item("x", prompt="slow, 70 bpm, in D minor", seconds=3)] * 8
    told = {metric: why_not(metric, tunes(0, 8), ours, None) for metric in METRICS}
    assert {metric for metric, why in told.items() if why} - {"kl"} == {"text", "tempo", "key", "duration"}
    told = {metric: why_not(metric, None, named, JointJudge(Words())) for metric in METRICS}
    assert {metric for metric, why in told.items() if why} == {"kl", "chroma"}
    with pytest.raises(InputError, match="no prompt or label names a tempo"):
        run(kept, tunes(0), tunes(40), "tempo")
    with pytest.raises(InputError, match="no metric 'fid'"):
        run(kept, tunes(0), tunes(40), "fid")


def test_two_clips_are_too_few_and_it_says_why(kept):
    with pytest.raises(InputError, match=r"the set to evaluate has 2 clips .* at least 8"):
        run(kept, tunes(0), tunes(40, 2), "frechet")
    assert run(kept, tunes(0, 2), tunes(40, 2), "guards").scores


def test_a_broken_file_is_named_and_left_out(kept, tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    short = Item("short", sound=Clip(np.zeros((1, 100), np.float32), RATE))
    report = run(kept, tunes(0), [*tunes(40, 9), Item("broken", tmp_path / "broken.wav"), short], "frechet")
    assert report.scores[0].n == 9
    assert len(report.left_out) == 2
    assert "broken.wav" in report.left_out[0]
    with pytest.raises(InputError, match=r"none of the clips.*broken\.wav"):
        run(kept, tunes(0), [Item("broken", tmp_path / "broken.wav")], "guards")


def test_different_rates_and_lengths_are_told(kept):
    ours = [Item(f"{k}", sound=Clip(np.tile(tune(k)[:, ::3], 2), RATE // 3)) for k in range(9)]
    notes = " ".join(run(kept, tunes(0), ours, "frechet").notes)
    assert "16 at 24,000 Hz" in notes
    assert "9 at 8,000 Hz" in notes
    assert "3.0 to 3.0 s" in notes
    assert "6.0 to 6.0 s" in notes
    assert "windows in 8 dimensions" not in notes


def test_statistics_stand_for_the_reference_where_the_recipe_is_the_same(kept, tmp_path):
    first = run(kept, tunes(0), tunes(40), "frechet frechet-clips")
    assert first.case.statistics is not None
    save_statistics(tmp_path / "s.npz", first.case.statistics)
    again = run(kept, load_statistics(tmp_path / "s.npz"), tunes(40), "frechet frechet-clips")
    assert scores(again) == scores(first)
    assert "reference's halves" in again.scores[0].controls
    other = Statistics(moments(np.eye(8)), 8, {"embedding": "VGGish", "sample_rate": 16000}, None)
    with pytest.raises(InputError, match="made with embedding VGGish"):
        run(kept, other, tunes(40), "frechet")


def test_the_same_seed_gives_the_same_report(kept):
    one, two = (run(kept, tunes(0), tunes(40), "frechet frechet-infinity structure") for _ in range(2))
    assert one.to_dict() == two.to_dict()


class Tagger(Ear):
    """Tells three labels: how much of the spectrum lies low, in the middle and high."""

    recipe = {"embedding": "thirds"}  # noqa: RUF012

    def hear(self, clip: Clip) -> dict[str, np.ndarray]:
        rows_ND = super().hear(clip)["rows_ND"]
        return {"rows_ND": rows_ND, "logits_V": np.array([part.mean() for part in np.array_split(rows_ND.mean(0), 3)])}


def test_labels_are_those_of_the_labeller_that_is_given(kept):
    same = run(kept, tunes(0), tunes(0), "kl", labeller=Tagger())
    other = run(kept, tunes(0), tunes(0, noise=0.3), "kl frechet", labeller=Tagger())
    assert scores(same)["KL of labels, pairs"] == pytest.approx(0, abs=1e-4)
    assert scores(other)["KL of labels, pairs"] > scores(same)["KL of labels, pairs"]
    one_way, other_way = (scores(other)[f"KL of labels, pairs{way}"] for way in ("", " reversed"))
    assert 0 < one_way != other_way > 0
    assert all("thirds's tags" in score.how for score in same.scores)
    assert why_not("kl", tunes(0, 8), tunes(40, 8), None, Tagger()) is None


def test_what_hears_both_labels_and_embeddings_listens_once(kept, tmp_path, monkeypatch: pytest.MonkeyPatch):
    heard = []
    monkeypatch.setattr(Tagger, "hear", lambda self, clip, hear=Tagger.hear: heard.append(clip) or hear(self, clip))
    evaluate(tunes(0, 8), tunes(40, 8), Tagger(), tmp_path, quietly, ["kl", "frechet"], labeller=Tagger())
    assert len(heard) == 8 + 8 + 2 + 1  # the two silences are one
