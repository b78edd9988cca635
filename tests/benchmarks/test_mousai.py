"""Moûsai's benchmark runs on small models, and compares with the paper only what the paper did."""

from dataclasses import replace

import pytest

from benchmarks import mousai as bench
from benchmarks.report import Options
from toccata.codecs import magnitude_config
from toccata.errors import InputError
from toccata.models.mousai import config
from toccata.nn.unet import UNetSizes

UNET = UNetSizes(
    inputs=8, channels=(8, 8), factors=(1, 2), blocks=(1, 1), attentions=(0, 0), crosses=(0, 0), features=8, injected=4,
    inject_depth=1,
)  # fmt: skip
CODEC = magnitude_config.MagnitudeConfig(
    sample_rate=4000, n_fft=63, hop=32, width=8, factors=(2,), blocks=(1,), latent=4, patch=32, filters=4, unet=UNET
)
MODEL = config.MousaiConfig(
    replace(UNET, inputs=4, injected=0, crosses=(1, 1), heads=1, head_width=8, tokens=8), window=64, text_width=8,
    text_tokens=4,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(magnitude_config, "full", lambda: CODEC)
    monkeypatch.setattr(config, "full", lambda: MODEL)
    monkeypatch.setattr(bench, "take_cores", lambda count: None)


def test_every_part_is_timed_and_nothing_that_the_paper_did_not_do_is_held_against_it():
    figures = list(bench.run(Options(quick=True)))
    assert [figure.metric for figure in figures[:3]] == [
        "a step of the text model, 1.0 s of music",
        "a step of the decoder, 1.0 s of music",
        "1 s of music, 2 steps and 1 of the decoder",
    ]
    assert all(figure.value and figure.value > 0 for figure in figures[:3])
    assert not any(figure.against for figure in figures)


def test_the_papers_length_in_its_steps_is_held_against_its_seconds(monkeypatch):
    short = replace(bench.GPU, seconds=1.0, steps=2, decoding=3)
    monkeypatch.setattr(bench, "GPU", short)
    done: list[float] = []
    model = bench.built("cpu")
    decode = model.codec.velocity
    monkeypatch.setattr(model.codec, "velocity", lambda *told: done.append(1) or decode(*told))
    figure = bench.whole(model, "cpu", short)
    assert (figure.against, len(done)) == (49.0, 3)


def test_a_trained_one_is_timed_as_it_is_run(monkeypatch):
    monkeypatch.setattr(bench, "TRAINED", 1.0)
    monkeypatch.setattr(bench.toccata, "load", lambda name, device: bench.built("cpu"))
    compression, speed = bench.run(Options(quick=True, model="runs/mousai/model"))
    assert compression.value == CODEC.stride * 2 / CODEC.latent
    assert (speed.value or 0) > 0


def test_a_model_of_another_family_is_refused():
    with pytest.raises(InputError, match="family mousai"):
        next(bench.run(Options(quick=True, model="musicgen-mini")))
