import numpy as np
import pytest

from toccata.evaluation.judges import Key, judge_key, judge_tempo, pace_fits, percussion, tempo_fits
from toccata.evaluation.probe import Probe

RATE = 22050
MAJOR_CADENCE = ((48, 60, 64, 67), (53, 60, 65, 69), (55, 59, 62, 67), (48, 60, 64, 67))
MINOR_CADENCE = ((45, 57, 60, 64), (50, 57, 62, 65), (52, 56, 59, 64), (45, 57, 60, 64))


def tone(pitch: float, seconds: float) -> np.ndarray:
    t = np.arange(int(seconds * RATE)) / RATE
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    wave = np.sum([np.sin(2 * np.pi * hertz * k * t) / k**1.5 for k in range(1, 7)], axis=0)
    return (0.1 * wave * np.minimum(1, np.minimum(t, t[::-1]) / 0.05)).astype(np.float32)


def cadence(chords: tuple[tuple[int, ...], ...], up: int = 0, seconds: float = 1.0) -> np.ndarray:
    return np.concatenate([np.sum([tone(p + up, seconds) for p in pitches], axis=0) for pitches in chords])


def hits(bpm: float, seconds: float, seed: int = 0) -> np.ndarray:
    """A burst of noise on every beat."""
    rng, size = np.random.default_rng(seed), int(0.08 * RATE)
    wave = np.zeros(int(seconds * RATE), np.float32)
    for beat in np.arange(0.1, seconds - 0.1, 60 / bpm):
        at = int(beat * RATE)
        wave[at : at + size] += (rng.normal(size=size) * np.exp(-6 * np.arange(size) / size) * 0.3).astype(np.float32)
    return wave


@pytest.mark.parametrize("bpm", [90, 120, 150])
def test_a_click_track_has_the_tempo_of_its_clicks(bpm: float):
    judged = judge_tempo(hits(bpm, 12), RATE)
    assert judged == pytest.approx(bpm, rel=0.02) or judged == pytest.approx(bpm / 2, rel=0.02)
    assert tempo_fits(judged, bpm)


def test_a_click_track_at_120_is_judged_120():
    assert judge_tempo(hits(120, 12), RATE) == pytest.approx(120, rel=0.02)


def test_tempo_fits_within_8_percent_and_in_octaves_only():
    assert tempo_fits(107, 100)
    assert tempo_fits(53, 100)
    assert tempo_fits(190, 100)
    assert not tempo_fits(110, 100)
    assert not tempo_fits(150, 100)
    assert not tempo_fits(0, 100)


def test_pace_does_not_fit_in_octaves():
    assert pace_fits(70, 0, 80)
    assert pace_fits(85, 0, 80)
    assert not pace_fits(140, 0, 80)
    assert not pace_fits(60, 125, 400)


@pytest.mark.parametrize("up", [0, 3, 7])
def test_a_cadence_is_in_its_key(up: int):
    assert judge_key(cadence(MAJOR_CADENCE, up), RATE) == Key(up, minor=False)
    assert judge_key(cadence(MINOR_CADENCE, up), RATE) == Key((9 + up) % 12, minor=True)


def test_silence_is_judged_without_a_fuss():
    silence = np.zeros(4 * RATE, np.float32)
    assert judge_tempo(silence, RATE) >= 0
    assert judge_key(silence, RATE).tonic in range(12)
    assert np.isfinite(percussion(silence, RATE)).all()


def test_related_keys_are_the_relative_and_the_fifths():
    c_major = Key.of(0, "major")
    assert {key for key in (Key(t, m) for t in range(12) for m in (False, True)) if c_major.related(key)} == {
        Key(0, False), Key(5, False), Key(7, False), Key(9, True),
    }  # fmt: skip
    assert Key.of(9, "minor").related(c_major)
    assert Key.of(2, "dorian") == Key(2, minor=True)
    assert Key.of(7, "mixolydian") == Key(7, minor=False)


def test_drums_and_strings_are_told_apart_alone_and_together():
    def sound(k: int) -> np.ndarray:
        strings = cadence(MINOR_CADENCE if k % 4 else MAJOR_CADENCE, up=k % 7, seconds=0.8)
        drums = hits(80 + 7 * k, 3.2, seed=k)[: len(strings)]
        return drums + (strings if k % 4 == 0 else 0) if k % 2 == 0 else strings

    seen = np.stack([percussion(sound(k), RATE) for k in range(16)])
    probe = Probe(seen[:12], np.arange(12) % 2 == 0)
    assert [probe(row) for row in seen[12:]] == [True, False, True, False]
