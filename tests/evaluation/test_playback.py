"""Nothing but the music tells two clips apart: loudness, rate, channels, length, size, tags."""

import io as bytes_io

import numpy as np
import pytest
import soundfile

from tests.evaluation.listeners import PROMPTS, RATE, music, write_sets
from toccata.audio import io
from toccata.audio.loudness import loudness
from toccata.clip import Clip
from toccata.errors import InputError
from toccata.evaluation.matching import Material, read_sets
from toccata.evaluation.playback import prepare
from toccata.evaluation.sets import Item


def decoded(data):
    samples, rate = soundfile.read(bytes_io.BytesIO(data), dtype="float32", always_2d=True)
    return samples.T, rate


def material(*waves, rate=RATE):
    clips = tuple(Item(f"{k}", sound=Clip(wave, rate)) for k, wave in enumerate(waves))
    return Material(tuple(f"set {k}" for k in range(len(waves))), ("a prompt",), (clips,))


def test_clips_of_other_levels_rates_and_lengths_come_out_alike(tmp_path):
    kept, playback, notes = prepare(read_sets(write_sets(tmp_path)), 600)
    for prompt, row in enumerate(kept.clips):
        files = [playback.sound(item, prompt) for item in row]
        assert len({len(data) for data in files}) == 1
        assert len({data[:44] for data in files}) == 1
        levels = [loudness(*decoded(data)) for data in files]
        assert levels[0] == pytest.approx(levels[1], abs=0.1)
        assert levels[0] == pytest.approx(playback.lufs, abs=0.3)
        assert b"ours" not in files[0]
    assert decoded(files[0])[1] == 2 * RATE
    assert any("4 clips are longer" in note for note in notes)


def test_music_that_has_room_is_played_at_musicgens_loudness():
    _, playback, notes = prepare(material(music(0, 1.0), music(3, 1.0, level=0.01)), 600)
    assert playback.lufs == -14
    assert not notes


def test_where_peaks_would_not_fit_all_clips_are_quieter():
    spiky = music(0, 1.0, level=0.02)
    spiky[0, 4000:4040] = 0.9
    kept, playback, notes = prepare(material(music(5, 1.0), spiky), 600)
    assert -30 <= playback.lufs < -14
    assert any("LUFS" in note for note in notes)
    levels = [loudness(*decoded(playback.sound(item, 0))) for item in kept.clips[0]]
    assert levels[0] == pytest.approx(levels[1], abs=0.2)


def test_longest_cuts_and_fades():
    kept, playback, notes = prepare(material(music(0, 2.0), music(1, 3.0)), 1.5)
    samples_CN, rate = decoded(playback.sound(kept.clips[0][0], 0))
    assert samples_CN.shape == (2, round(1.5 * rate))
    assert np.abs(samples_CN[:, -3:]).max() < 0.02 < np.abs(samples_CN).max()
    assert "2 clips are longer" in notes[0]


def test_the_damaged_copy_is_mostly_noise_as_loud_and_as_large():
    kept, playback, _ = prepare(material(music(0, 1.0)), 600)
    clean = playback.sound(kept.clips[0][0], 0)
    spoilt = playback.damaged(kept.clips[0][0], 0, np.random.default_rng(0))
    assert len(clean) == len(spoilt)
    assert spoilt == playback.damaged(kept.clips[0][0], 0, np.random.default_rng(0))
    a, b = decoded(clean)[0][0], decoded(spoilt)[0][0]
    assert loudness(decoded(spoilt)[0], RATE) == pytest.approx(loudness(decoded(clean)[0], RATE), abs=0.3)
    assert 0.05 < np.corrcoef(a, b)[0, 1] < 0.6


def test_noise_and_silence_are_not_taken_to_check_attention_with():
    noise = np.random.default_rng(0).uniform(-0.2, 0.2, (1, RATE)).astype(np.float32)
    rough = np.cumsum(noise, 1)
    rough /= np.float32(2 * np.abs(rough).max())
    _, playback, notes = prepare(material(music(0, 1.0), noise, np.zeros((1, RATE), np.float32)), 600)
    assert playback.plain == ((0, 0),)
    assert any("1 clips are silent" in note for note in notes)
    assert prepare(material(music(0, 1.0), noise + 0.2 * music(0, 1.0)), 600)[1].plain == ((0, 0),)


def test_a_file_that_cannot_be_played_takes_its_prompt_out(tmp_path):
    places = write_sets(tmp_path)
    (tmp_path / "theirs/theirs-2.wav").write_bytes(b"no sound")
    kept, playback, notes = prepare(read_sets(places), 600)
    assert kept.prompts == (*PROMPTS[:2], PROMPTS[3])
    assert len(playback.seconds) == 3
    assert "theirs-2.wav" in notes[0]
    for name in ("0", "1", "3"):
        (tmp_path / f"theirs/theirs-{name}.wav").write_bytes(b"")
    with pytest.raises(InputError, match="none of the prompts"):
        prepare(read_sets(places), 600)


def test_a_single_sample_can_be_played():
    kept, playback, _ = prepare(material(np.full((1, 1), 0.5, np.float32)), 600)
    assert decoded(playback.sound(kept.clips[0][0], 0))[0].shape == (2, 1)
    assert io.FORMATS[".wav"][1] == "PCM_16"
