"""Covers of a melody: its notes begin where they say, in another key and tempo, and are the same for the same seed."""

import librosa
import numpy as np
import pytest

from toccata.corpus.band import sheet
from toccata.corpus.covers import (
    _SOLOISTS,
    SECONDS,
    by_band,
    by_voice,
    covers,
    melody_line,
    mirrored,
    passage,
    performed,
)
from toccata.corpus.humming import VOICES
from toccata.corpus.score import Note

RATE = 16_000
TUNE = [(0.5 * i, 0.5 * i + 0.4, 60.0 + step) for i, step in enumerate((0, 2, 4, 0, 7, 5))]


def test_a_melody_is_one_note_at_a_time():
    notes = [Note(0, 2, 60, 90), Note(0, 1, 64, 90), Note(1, 1, 62, 90), Note(1.5, 1, 65, 90)]
    assert [(n.start, n.duration, n.pitch) for n in melody_line(notes)] == [(0, 1, 64), (1, 0.5, 62), (1.5, 1, 65)]


def test_an_impostor_has_the_rhythm_and_the_opposite_contour():
    opposite = mirrored(TUNE)
    assert [note[:2] for note in opposite] == [note[:2] for note in TUNE]
    assert np.array_equal(np.diff([n[2] for n in opposite]), -np.diff([n[2] for n in TUNE]))


def test_a_performance_keeps_order_and_contour_in_another_key_and_tempo():
    for seed in range(5):
        moved = performed(TUNE, np.random.default_rng(seed))
        assert np.all(np.diff([start for start, *_ in moved]) > 0)
        assert all(start < end for start, end, _ in moved)
        assert np.array_equal(np.diff([n[2] for n in moved]), np.diff([n[2] for n in TUNE]))
        assert 0.65 < moved[-1][0] / TUNE[-1][0] < 1.55


def test_a_voices_notes_begin_where_they_say():
    cover = by_voice(TUNE, np.random.default_rng(2), RATE, "whistle")
    assert cover.sound == "whistle"
    hertz, *_ = librosa.pyin(cover.wave_N, fmin=350, fmax=2400, sr=RATE, hop_length=512, resolution=0.2)
    at = librosa.times_like(hertz, sr=RATE, hop_length=512)
    heard = [
        np.nanmedian(hertz[(at > start + 0.1) & (at < stop)])
        for start, stop in zip(cover.onsets_J, [*cover.onsets_J[1:], cover.onsets_J[-1] + 0.3], strict=True)
    ]
    steps = np.diff(librosa.hz_to_midi(np.array(heard)))
    assert np.abs(steps - np.diff([n[2] for n in TUNE])).max() < 0.9


def test_a_piece_without_a_melody_has_no_covers_and_one_with_has_six():
    with_melody = next(i for i in range(20) if passage(sheet(1, i), np.random.default_rng(0)))
    without = next(i for i in range(20) if not any(t.role == "melody" for t in sheet(1, i).score.tracks))
    assert covers(1, without, RATE) == []
    true, false = covers(1, with_melody, RATE)
    again = covers(1, with_melody, RATE)[0]
    assert (len(true), len(false)) == (4, 2)
    assert [one.sound for one in true[:2]] == ["band", "band"]
    assert all(np.array_equal(a.wave_N, b.wave_N) for a, b in zip(true, again, strict=True))
    for one in (*true, *false):
        assert one.wave_N.dtype == np.float32
        assert np.abs(one.wave_N).max() <= 1
        assert np.isfinite(one.wave_N).all()
        assert 0 <= one.onsets_J[0] < one.onsets_J[-1] < len(one.wave_N) / RATE
    assert len({len(one.onsets_J) for one in true}) == 1
    assert [one.sound in VOICES for one in (*true, *false)] == [False, False, False, True, False, True]
    assert not {one.name for one in _SOLOISTS} & VOICES.keys()


def test_the_band_plays_it_in_another_key_and_tempo():
    found = next(p for i in range(20) if (p := passage(sheet(1, i), np.random.default_rng(0))))
    assert 0 < found.tune[-1][0] < SECONDS
    rng = np.random.default_rng
    own, other = by_band(found, rng(0), RATE, 0, 1.0, None), by_band(found, rng(0), RATE, 3, 1.25, "flute")
    assert other.onsets_J == pytest.approx(own.onsets_J / 1.25)
    classes = [librosa.feature.chroma_stft(y=one.wave_N, sr=RATE).mean(1) for one in (own, other)]
    best = max(range(12), key=lambda k: np.corrcoef(np.roll(classes[0], k), classes[1])[0, 1])
    assert best == 3
