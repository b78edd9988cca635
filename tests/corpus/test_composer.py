"""What the rest of toccata relies on when it calls ``compose``: labels that are true of the notes, and variety."""

from collections import Counter

import numpy as np
import pytest

from toccata.corpus.accompaniment import STYLES
from toccata.corpus.bass import PATTERNS
from toccata.corpus.composer import compose
from toccata.corpus.drums import GROOVES
from toccata.corpus.genres import GENRES, Part
from toccata.corpus.harmony import read_bars, starts_on_tonic, voice_chord
from toccata.corpus.instruments import INSTRUMENTS
from toccata.corpus.melody import COUNTERS
from toccata.corpus.moods import MOODS
from toccata.corpus.performance import swing_beat
from toccata.corpus.progressions import CADENCES, PROGRESSIONS
from toccata.corpus.score import Score, Track
from toccata.corpus.theory import MINOR_MODES, NOTE_NAMES, nearest_pitch, roman_chord, scale_classes
from toccata.errors import InputError

ROLES = ("melody", "counter", "chords", "arpeggio", "pad", "bass", "drums")


@pytest.fixture(scope="module")
def pieces() -> list[Score]:
    return [compose(np.random.default_rng(seed)) for seed in range(300)]


def bar_beats(score: Score) -> float:
    return score.meter[0] * 4 / score.meter[1]


def root_of(name: str) -> int:
    """Pitch class of a chord name's bass: after the slash, else its root."""
    name = name.rsplit("/", 1)[-1]
    return NOTE_NAMES.index(name[:2] if name[1:2] in ("#", "b") else name[:1])


def bass_of(score: Score) -> Track | None:
    return next((track for track in score.tracks if track.role == "bass"), None)


def test_same_generator_state_gives_the_same_piece() -> None:
    one, same = (compose(np.random.default_rng(5), 20, "funk") for _ in range(2))
    assert one == same
    assert one != compose(np.random.default_rng(6), 20, "funk")


@pytest.mark.parametrize("genre", GENRES)
@pytest.mark.parametrize("seconds", [0.5, 6.0, 21.0, 90.0])
def test_length_is_met_to_the_nearest_bar(genre: str, seconds: float) -> None:
    score = compose(np.random.default_rng(1), seconds, genre)
    bar = bar_beats(score) * score.seconds_per_beat
    assert score.genre == genre
    assert abs(score.seconds - seconds) < bar
    assert score.beats / bar_beats(score) == pytest.approx(round(score.beats / bar_beats(score)))


def test_free_length_is_a_clip_of_14_to_45_seconds_within_a_bar(pieces: list[Score]) -> None:
    for score in pieces:
        bar = bar_beats(score) * score.seconds_per_beat
        assert 14 - bar < score.seconds < 45 + bar


@pytest.mark.parametrize(
    ("seconds", "genre"), [(0, None), (-3, None), (float("nan"), None), (1e6, None), (10, "polka-core")]
)
def test_impossible_wishes_are_refused_with_a_reason(seconds: float, genre: str | None) -> None:
    with pytest.raises(InputError, match=r"(lasts above 0|is unknown)"):
        compose(np.random.default_rng(0), seconds, genre)


def test_notes_can_be_played(pieces: list[Score]) -> None:
    for score in pieces:
        assert score.tracks
        for track in score.tracks:
            assert track.notes
            assert track.role in ROLES
            sound = INSTRUMENTS[track.instrument]
            sounding: dict[int, float] = {}
            for note in track.notes:
                assert 0 <= note.start < note.start + note.duration <= score.beats + 1e-9
                assert sound.low <= note.pitch <= sound.high
                assert 1 <= note.velocity <= 127
                assert sounding.get(note.pitch, 0.0) <= note.start + 1e-9, "one pitch sounds twice at once"
                sounding[note.pitch] = note.start + note.duration


def test_sections_and_chords_cover_the_piece(pieces: list[Score]) -> None:
    for score in pieces:
        assert score.sections[0].start == 0
        assert score.sections[-1].name == "ending"
        assert sum(section.beats for section in score.sections) == pytest.approx(score.beats)
        beats = [beat for beat, _ in score.chords]
        assert beats[0] == 0
        assert beats == sorted(set(beats))
        assert beats[-1] < score.beats


def test_pieces_begin_and_end_on_their_tonic(pieces: list[Score]) -> None:
    for score in pieces:
        assert root_of(score.chords[0][1]) == score.tonic
        assert root_of(score.chords[-1][1]) == score.tonic
        third = (score.tonic + (3 if score.mode in MINOR_MODES else 4)) % 12
        wrong = (score.tonic + (4 if score.mode in MINOR_MODES else 3)) % 12
        last = score.sections[-1].start
        final = {n.pitch % 12 for t in score.tracks if not t.is_drums for n in t.notes if n.start > last - 0.1}
        assert score.tonic in final
        assert third in final or wrong not in final


def test_notes_lie_in_the_labelled_key(pieces: list[Score]) -> None:
    shares = []
    for score in pieces:
        scale = scale_classes(score.tonic, score.mode)
        notes = [note for track in score.tracks if not track.is_drums for note in track.notes]
        inside = sum(note.duration for note in notes if note.pitch % 12 in scale)
        shares.append(inside / sum(note.duration for note in notes))
    assert min(shares) > 0.6
    assert np.mean(shares) > 0.93


def test_bass_plays_the_root_when_a_chord_arrives(pieces: list[Score]) -> None:
    hits = []
    for score in pieces:
        bass = bass_of(score)
        for beat, name in score.chords if bass else ():
            assert bass is not None
            near = [note.pitch for note in bass.notes if abs(note.start - beat) < 0.1]
            hits += [min(near) % 12 == root_of(name)] if near else []
    assert len(hits) > 500
    assert np.mean(hits) > 0.97


def test_drums_keep_the_downbeat(pieces: list[Score]) -> None:
    for score in pieces:
        for track in score.tracks:
            if track.is_drums:
                hits = [note.start / bar_beats(score) for note in track.notes]
                downbeats = {round(hit) for hit in hits if abs(hit - round(hit)) < 0.02}
                assert len(downbeats) > 0.6 * score.beats / bar_beats(score)


def test_three_hundred_pieces_are_various(pieces: list[Score]) -> None:
    assert len({score.genre for score in pieces}) == len(GENRES) >= 18
    assert {score.tonic for score in pieces} == set(range(12))
    assert len({track.instrument for score in pieces for track in score.tracks}) > 60
    assert {(4, 4), (3, 4), (6, 8)} <= {score.meter for score in pieces}
    assert {"major", "minor", "dorian", "mixolydian"} <= {score.mode for score in pieces}
    tempos = [score.tempo for score in pieces]
    assert min(tempos) < 60
    assert max(tempos) > 165
    drums = np.mean([any(track.is_drums for track in score.tracks) for score in pieces])
    solo = np.mean([len({track.instrument for track in score.tracks}) == 1 for score in pieces])
    assert 0.35 < drums < 0.65
    assert 0.1 < solo < 0.3


def test_moods_are_words_of_the_list_and_follow_the_music(pieces: list[Score]) -> None:
    words = Counter(word for score in pieces for word in score.moods)
    assert set(words) <= set(MOODS)
    assert len(words) >= 18
    assert all(1 <= len(score.moods) <= 3 for score in pieces)
    assert all(score.mode in MINOR_MODES for score in pieces if "sad" in score.moods)
    assert all(score.mode not in MINOR_MODES for score in pieces if "happy" in score.moods)

    def mean_tempo(word: str) -> float:
        return float(np.mean([score.tempo for score in pieces if word in score.moods]))

    assert mean_tempo("energetic") > 1.3 * mean_tempo("sad")
    assert mean_tempo("happy") > mean_tempo("peaceful")


def _tables(part: Part) -> tuple[set[str], dict]:
    if part.role == "bass":
        return {"walking"}, PATTERNS
    if part.role == "counter":
        return set(COUNTERS), {}
    return set(), GROOVES if part.role == "drums" else {name: style.patterns for name, style in STYLES.items()}


@pytest.mark.parametrize("genre", GENRES.values(), ids=GENRES)
def test_every_seat_can_be_taken_in_every_metre(genre) -> None:
    for part in (part for band in genre.bands for part in band):
        assert set(part.instruments) <= set(INSTRUMENTS)
        free, table = _tables(part)
        for style in set(part.styles) - free:
            assert all(meter[0] in table[style] for meter, _ in genre.meters), (style, genre.meters)


def test_every_progression_can_be_read_and_each_mode_has_a_tonic_opening() -> None:
    for modes in PROGRESSIONS.values():
        for mode, progressions in modes.items():
            assert any(starts_on_tonic(text) for text in progressions)
            for symbol in (symbol for text in progressions for bar in read_bars(text) for symbol in bar):
                assert roman_chord(symbol, 0, mode).name
    for sides in CADENCES.values():
        assert all(
            roman_chord(s, 0, mode).name for mode, texts in sides.items() for text in texts for s in text.split()
        )


@pytest.mark.parametrize(
    ("symbol", "tonic", "mode", "name"),
    [("ii7", 0, "major", "Dm7"), ("VI", 9, "minor", "F"), ("V7/V", 0, "major", "D7"), ("bVII", 7, "major", "F"),
     ("I/3", 0, "major", "C/E"), ("iim7b5", 9, "minor", "Bm7b5"),
     ("#ivdim7", 0, "major", "F#dim7"), ("i5", 4, "minor", "E5")],
)  # fmt: skip
def test_roman_numerals_name_the_chords_of_the_textbooks(symbol: str, tonic: int, mode: str, name: str) -> None:
    assert roman_chord(symbol, tonic, mode).name == name


def test_voices_move_little_between_chords() -> None:
    first = voice_chord(roman_chord("I", 0, "major"), 3, 60)
    second = voice_chord(roman_chord("IV", 0, "major"), 3, 60, first)
    assert sum(abs(a - b) for a, b in zip(first, second, strict=True)) <= 6
    assert {p % 12 for p in second} == {5, 9, 0}


def test_swing_moves_the_offbeat_and_keeps_the_beat() -> None:
    assert swing_beat(3.0, 0.66, 1.0) == pytest.approx(3.0)
    assert swing_beat(3.5, 0.66, 1.0) == pytest.approx(3.66)
    assert swing_beat(3.25, 0.6, 0.5) == pytest.approx(3.3)


def test_nearest_pitch_stays_in_range() -> None:
    assert nearest_pitch(0, 61) == 60
    assert nearest_pitch(0, 61, low=62) == 72
    assert nearest_pitch(11, 60, high=58) == 47


def test_no_piece_begins_with_a_long_silence():
    for seed in range(400):
        score = compose(np.random.default_rng(seed))
        first = min(note.start for track in score.tracks for note in track.notes)
        assert score.seconds_at(first) < 1.5, (seed, score.genre)
