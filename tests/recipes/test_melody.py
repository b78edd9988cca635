"""The melody encoder's recipe on covers of sines: it resumes exactly, learns melodies apart, and its model loads."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from toccata.corpus.covers import Cover
from toccata.encoders.melody import load_melody, mini
from toccata.errors import InputError, WeightsError
from toccata.recipes import melody
from toccata.training.state import load_state

RATE = 16_000
TINY = replace(
    mini(), width=32, layers=1, heads=2, head_width=16, inner=48, embedding=16, levels=2, vocabulary=8, n_fft=1024,
    bands=60, per_octave=12, low=110.0, window_seconds=2.0, narrow=4,
)  # fmt: skip


def cover(steps, key, tempo, sound):
    """A note every quarter of a second at tempo 1."""
    onsets = np.arange(len(steps)) * 0.25 / tempo
    size = round(0.25 / tempo * RATE)
    tones = [np.sin(2 * np.pi * 220 * 2 ** ((key + step) / 12) * np.arange(size) / RATE) for step in steps]
    return Cover((0.3 * np.concatenate(tones)).astype(np.float32), onsets, sound)


def band_of_sines(seed, index, sample_rate):
    assert sample_rate == RATE
    rng = np.random.default_rng([seed, index])
    steps = rng.integers(0, 12, 12)
    sounds = ("band", "band", "flute", "hum")
    true = tuple(cover(steps, int(rng.integers(0, 6)), rng.uniform(0.9, 1.1), sound) for sound in sounds)
    false = tuple(cover(11 - steps, int(rng.integers(0, 6)), rng.uniform(0.9, 1.1), sound) for sound in sounds[2:])
    return [true, false]


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.setitem(melody.PRESETS, "mini", lambda: TINY)
    monkeypatch.setattr(melody, "PIECES", 4)
    monkeypatch.setattr(melody.band, "covers", band_of_sines)
    return melody.MelodyRecipe(
        out=tmp_path / "out", mels=tmp_path / "mels", steps=4, batch=3, workers=0, held_out_shards=2, first_shards=2,
    )  # fmt: skip


def test_it_resumes_exactly_and_its_model_loads(recipe, tmp_path, capsys):
    melody.train(replace(recipe, out=tmp_path / "whole"))
    melody.train(replace(recipe, out=tmp_path / "parts", minutes=0))
    assert load_state(tmp_path / "parts/state.safetensors")["step"] == 1
    with pytest.raises(WeightsError, match="no tokens yet"):
        load_melody(tmp_path / "parts/model").quantise(torch.zeros(1, 16))
    melody.train(replace(recipe, out=tmp_path / "parts"))
    whole, parts = (load_state(tmp_path / name / "state.safetensors")["learner"] for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole if not name.startswith("quantiser"))
    assert load_melody(tmp_path / "whole/model").quantise(torch.ones(1, 16)).shape == (1, 2)
    told = capsys.readouterr().out
    assert "played by an instrument R@1" in told
    assert "cosine to what they keep" in told


def test_a_batch_holds_covers_of_different_melodies_with_their_impostors(recipe):
    source = melody.source_of(recipe, TINY)
    draw = melody.sampler(recipe, TINY, source, source.train.read)
    drawn = draw(5)
    assert drawn.labels_B.tolist() == [0, 0, 0, 3, 3, 5, 5, 5, 8, 8, 10, 10, 10, 13, 13]
    assert drawn.mel_BTM.shape == (15, TINY.frames, TINY.bands)
    assert torch.equal(drawn.mel_BTM, draw(5).mel_BTM)
    assert not torch.equal(drawn.mel_BTM, draw(6).mel_BTM)


def test_melodies_and_their_contours_are_learnt_apart(recipe, capsys):
    told = []
    for steps in (1, 120):
        melody.train(
            replace(
                recipe, out=recipe.out / str(steps), batch=6, steps=steps, first_shards=5, held_out_shards=10, ema=0.8
            )
        )
        found = re.search(r"of 40: .*an instrument R@1 ([\d.]+).* contour ([\d.]+)", capsys.readouterr().out)
        assert found is not None
        told.append([float(share) for share in found.groups()])
    (found_first, contour_first), (found_last, contour_last) = told
    assert found_last > found_first + 0.1
    assert contour_last > contour_first


def test_pictures_move_by_bands_and_nothing_comes_round():
    mel_TM = torch.arange(1.0, 6.0).expand(2, 5)
    assert melody.moved(mel_TM, 2)[0].tolist() == [1, 1, 1, 2, 3]
    assert melody.moved(mel_TM, -2)[0].tolist() == [3, 4, 5, 1, 1]
    assert torch.equal(melody.moved(mel_TM, 0), mel_TM)


def test_an_unknown_preset_and_a_manifest_are_told(recipe):
    with pytest.raises(InputError, match="unknown preset"):
        melody.train(replace(recipe, preset="huge"))
    with pytest.raises(InputError, match="not from a manifest"):
        melody.train(replace(recipe, manifest=Path("m.jsonl")))
