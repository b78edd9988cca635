"""A clip plays, joins, and never loses its origin."""

import base64
import io
import json
import re
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
import soundfile

from toccata import Clip, InputError

RATE = 8_000


def clip(samples: int = RATE, channels: int = 2, rate: int = RATE, prompt: str = "piano") -> Clip:
    sound = np.random.default_rng(samples).uniform(-0.5, 0.5, (channels, samples)).astype(np.float32)
    return Clip(sound, rate, prompt, seed=7, model="a-model", weights_sha256="ab" * 32)


def test_it_knows_its_length_and_does_not_change():
    assert clip(samples=RATE // 2).seconds == 0.5
    with pytest.raises(FrozenInstanceError):
        clip().seed = 8  # type: ignore[misc]


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(10, np.float32),
        np.zeros((1, 10)),
        np.full((1, 10), 1.1, np.float32),
        np.full((1, 10), np.nan, np.float32),
    ],
    ids=["no channels", "float64", "too loud", "nan"],
)
def test_sound_that_breaks_the_contract_is_refused(samples: np.ndarray):
    with pytest.raises(ValueError, match="samples must be"):
        Clip(samples, RATE, "piano", 7, "a-model", "")


def test_a_saved_file_tells_where_it_came_from(tmp_path: Path):
    long_prompt = "piano “und” 🎹 " * 100
    clip(prompt=long_prompt).save(tmp_path / "a.flac")
    with soundfile.SoundFile(tmp_path / "a.flac") as file:
        origin = json.loads(file.copy_metadata()["comment"])
    assert origin["prompt"] == long_prompt
    assert origin["seed"] == 7
    assert origin["model"] == "a-model"
    assert origin["weights_sha256"] == "ab" * 32


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_sound_that_no_prompt_made_is_saved_too(tmp_path: Path, suffix: str):
    clip(prompt="").save(tmp_path / f"a{suffix}")
    with soundfile.SoundFile(tmp_path / f"a{suffix}") as file:
        assert file.title == ""
        assert json.loads(file.comment)["prompt"] == ""


def test_a_notebook_shows_a_player_and_the_prompt_as_text():
    page = clip(prompt='<script>"piano"')._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    sound = re.search(r'src="data:audio/wav;base64,([^"]+)"', page)
    assert sound
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(sound[1])))
    assert rate == RATE
    np.testing.assert_allclose(samples.T, clip().samples, atol=1e-4)


def test_parts_join_without_a_seam():
    parts = [clip(100), clip(200), clip(300)]
    whole = Clip.join(iter(parts))
    np.testing.assert_array_equal(whole.samples, np.concatenate([part.samples for part in parts], axis=1))
    np.testing.assert_array_equal((parts[0] + parts[1] + parts[2]).samples, whole.samples)
    assert (whole.prompt, whole.seed) == ("piano", 7)


@pytest.mark.parametrize("parts", [[], [clip(), clip(rate=RATE * 2)], [clip(), clip(channels=1)]])
def test_parts_that_do_not_fit_are_refused(parts: list[Clip]):
    with pytest.raises(InputError):
        Clip.join(parts)


def test_a_clip_draws_itself(tmp_path: Path):
    clip(prompt="$piano").plot(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_its_description_does_not_print_samples():
    assert repr(clip()) == "Clip(1.00 s, 2 x 8000 Hz, prompt='piano', seed=7, model='a-model')"
