"""What the band plays is what the score says: on time, in tune, at an even loudness, and the same every time."""

from dataclasses import replace
from pathlib import Path

import librosa
import numpy as np
import pyloudnorm
import pytest

from toccata.corpus import render as render_module
from toccata.corpus.render import Rendering, render
from toccata.corpus.sampler import Sampler, Sound
from toccata.corpus.score import Note, Score, Section, Track
from toccata.corpus.sf2 import SoundFont
from toccata.corpus.soundfonts import FONTS, soundfont
from toccata.errors import InputError

RATE = 24000


def score_of(*tracks: Track, beats: float = 8, tempo: float = 120, meter: tuple[int, int] = (4, 4)) -> Score:
    return Score(
        tempo=tempo, meter=meter, tonic=0, mode="major", genre="pop", moods=("calm",), tracks=tracks,
        sections=(Section("verse", 0, beats),), chords=((0, "C"),), beats=beats,
    )  # fmt: skip


def tune(instrument: str, *pitches: int, role: str = "melody", velocity: int = 90) -> Track:
    return Track(instrument, role, tuple(Note(i, 0.9, pitch, velocity) for i, pitch in enumerate(pitches)))


def beat(*keys: int) -> Track:
    return Track("drums", "drums", tuple(Note(i / 2, 0.25, key, 100) for i, key in enumerate(keys)))


BAND = score_of(
    tune("flute", 72, 74, 76, 79, 76, 74, 72),
    tune("piano", 60, 60, 60, 60, 57, 57, 57, role="chords"),
    tune("bass guitar", 36, 36, 36, 36, 33, 33, 33, role="bass"),
    beat(36, 42, 38, 42, 36, 46, 38, 42),
)


def played(score: Score, seed: int = 0, font: str = "musescore-general", rate: int = RATE) -> Rendering:
    return render(score, np.random.default_rng(seed), rate, font)


@pytest.mark.parametrize("font", list(FONTS))
def test_a_mix_is_as_loud_as_promised_and_never_clips(fonts: tuple[str, ...], font: str):
    mix_CN = played(BAND, font=font).mix_CN
    assert mix_CN.dtype == np.float32
    assert np.isfinite(mix_CN).all()
    assert np.abs(mix_CN).max() < 0.98
    assert -21 < pyloudnorm.Meter(RATE).integrated_loudness(mix_CN.T) < -15


def test_stems_and_room_add_up_to_the_mix(fonts: tuple[str, ...]):
    made = played(BAND)
    assert list(made.stems) == ["0 melody flute", "1 chords piano", "2 bass bass guitar", "3 drums drums"]
    np.testing.assert_allclose(sum(made.stems.values()) + made.room_CN, made.mix_CN, atol=1e-5)


def test_the_same_seed_sounds_the_same_whatever_was_played_before(fonts: tuple[str, ...]):
    render_module._players.cache_clear()
    first = played(BAND, seed=3)
    played(score_of(tune("harp", 60, 64, 67), tune("piano", 50, 61, role="pad", velocity=40)), seed=4)
    assert np.array_equal(played(BAND, seed=3).mix_CN, first.mix_CN)
    assert not np.array_equal(played(BAND, seed=5).mix_CN, first.mix_CN)


@pytest.mark.parametrize(("meter", "second"), [((4, 4), 1.5), ((6, 8), 1.0)])
def test_a_note_sounds_when_the_score_says(fonts: tuple[str, ...], meter: tuple[int, int], second: float):
    late = score_of(Track("marimba", "melody", (Note(3, 1, 69, 100),)), meter=meter)
    stem = np.abs(played(late).stems["0 melody marimba"]).max(0)
    onset = round(second * RATE)
    assert stem[: onset - 1].max() == 0
    assert stem[onset : onset + RATE // 50].max() > 0.3 * stem.max()


@pytest.mark.parametrize("font", list(FONTS))
@pytest.mark.parametrize("instrument", ["flute", "violin", "piano", "trumpet", "nylon guitar"])
@pytest.mark.parametrize("pitch", [62, 69, 77])
def test_instruments_are_in_tune(fonts: tuple[str, ...], font: str, instrument: str, pitch: int):
    whole = score_of(Track(instrument, "melody", (Note(0, 4, pitch, 90),)), beats=4)
    sound = next(iter(played(whole, font=font).stems.values())).mean(0)[RATE // 4 : RATE]
    found = np.median(librosa.yin(sound, fmin=150, fmax=1500, sr=RATE))
    assert abs(12 * np.log2(found / (440 * 2 ** ((pitch - 69) / 12)))) < 0.25


def test_a_harder_stroke_is_louder(fonts: tuple[str, ...]):
    players = Sampler(SoundFont(soundfont("fluidr3-mono")), RATE)
    soft, hard = (np.abs(players.play([Sound(0, 0.5, 60, v)], 0, RATE)).max() for v in (40, 110))
    assert hard > 3 * soft


def test_a_closed_hat_cuts_an_open_one(fonts: tuple[str, ...]):
    players = Sampler(SoundFont(soundfont("musescore-general")), RATE)
    rings = players.play([Sound(0, 0.1, 46, 100)], 0, RATE, drums=True)
    cut = players.play([Sound(0, 0.1, 46, 100), Sound(0.2, 0.1, 42, 1)], 0, RATE, drums=True)
    before, after = slice(0, RATE // 5), slice(RATE * 3 // 10, RATE // 2)
    np.testing.assert_allclose(np.abs(cut[:, before]).max(), np.abs(rings[:, before]).max())
    assert np.abs(cut[:, after]).max() < 0.01 * np.abs(rings[:, after]).max()


def test_drum_kits_differ(fonts: tuple[str, ...]):
    acoustic, electronic = (played(score_of(replace(beat(36, 38, 42), kit=kit))).mix_CN for kit in (0, 25))
    assert not np.allclose(acoustic, electronic, atol=0.01)


@pytest.mark.parametrize("rate", [8000, 44100])
def test_a_piece_lasts_as_long_as_its_score_and_rings_out(fonts: tuple[str, ...], rate: int):
    mix_CN = played(BAND, rate=rate).mix_CN
    assert mix_CN.shape[0] == 2
    assert BAND.seconds < mix_CN.shape[1] / rate <= BAND.seconds + 1.5 + 1 / rate
    assert np.abs(mix_CN[:, -1]).max() < 1e-4


def test_players_who_rest_are_silent(fonts: tuple[str, ...]):
    made = played(score_of(tune("flute", 72, 74), Track("piano", "chords", ())))
    assert not made.stems["1 chords piano"].any()
    assert not played(score_of(Track("piano", "chords", ()))).mix_CN.any()


def test_what_cannot_be_played_is_said_plainly(fonts: tuple[str, ...]):
    with pytest.raises(InputError, match="theremin"):
        played(score_of(tune("theremin", 60)))
    with pytest.raises(InputError, match="4000 Hz"):
        played(BAND, rate=4000)
    with pytest.raises(InputError, match="musescore-general, fluidr3-mono"):
        played(BAND, font="steinway")


def test_only_the_soundfont_that_is_meant_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "FluidR3Mono_GM.sf3").write_bytes(b"RIFF another font")
    monkeypatch.setenv("TOCCATA_SOUNDFONTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("toccata.corpus.soundfonts._DISTRIBUTION_FOLDERS", ())
    soundfont.cache_clear()
    try:
        with pytest.raises(InputError, match="npm"):
            soundfont("fluidr3-mono")
    finally:
        soundfont.cache_clear()


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF\x04\0\0\0WAVE", bytes(5000), b"RIFF\xff\xff\xff\xffsfbk" * 9])
def test_a_file_that_is_no_soundfont_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "font.sf3"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a SoundFont"):
        SoundFont(path)
