"""Captions: true of their score, worded like people's prompts, endlessly varied, the same for the same seed."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from toccata.corpus import phrases, players
from toccata.corpus.captions import Caption, describe
from toccata.corpus.composer import compose
from toccata.corpus.english import lower, polish
from toccata.corpus.genres import GENRES
from toccata.corpus.instruments import FAMILIES, INSTRUMENTS
from toccata.corpus.moods import MOODS
from toccata.corpus.score import MODES, Note, Score, Section, Track
from toccata.corpus.traits import traits_of

Pair = tuple[Score, Caption]


def _track(instrument: str, role: str, pitch: int = 60, step: float = 1.0) -> Track:
    notes = tuple(Note(i * step, step, pitch + i % 3, 80) for i in range(int(16 / step)))
    return Track(instrument, role, notes)


def _score(*tracks: Track, **labels) -> Score:
    plain = Score(
        tempo=92.4, meter=(4, 4), tonic=9, mode="minor", genre="lo-fi hip hop", moods=("sad", "warm"), tracks=tracks,
        sections=(Section("intro", 0, 4), Section("verse", 4, 12)), chords=(), beats=16,
    )  # fmt: skip
    return replace(plain, **labels)


PIANO = _score(_track("piano", "melody"), _track("piano", "chords", 48))
TRIO = _score(_track("cello", "melody"), _track("electric piano", "chords"), _track("drums", "drums", 35), tempo=140)
STRANGE = _score(_track("sitar", "melody"), genre="goa dub", moods=("sleepy",), meter=(11, 8), mode="lydian", tempo=55)


@pytest.fixture(scope="module")
def scores() -> list[Score]:
    return [compose(np.random.default_rng(seed), genre=genre) for seed in range(2) for genre in GENRES]


@pytest.fixture(scope="module")
def pairs(scores: list[Score]) -> list[Pair]:
    return [(score, c) for i, score in enumerate(scores) for c in describe(score, np.random.default_rng(i), 42)]


def _texts(score: Score, count: int, seed: int = 0) -> list[str]:
    return [caption.text for caption in describe(score, np.random.default_rng(seed), count)]


def _has_drums(score: Score) -> bool:
    return any(track.is_drums for track in score.tracks)


def _instruments(score: Score) -> set[str]:
    return {track.instrument for track in score.tracks if not track.is_drums}


def _families(score: Score) -> set[str]:
    return {INSTRUMENTS[name].family for name in _instruments(score)}


CHECKS: dict[str, Callable[[Score, object], bool]] = {
    "tempo": lambda score, value: value == round(score.tempo),
    "tempo_range": lambda score, value: isinstance(value, tuple) and value[0] <= score.tempo < value[1],
    "key": lambda score, value: value == (score.tonic, score.mode),
    "mode": lambda score, value: value == score.mode,
    "meter": lambda score, value: value == score.meter,
    "genre": lambda score, value: value == score.genre,
    "moods": lambda score, value: isinstance(value, tuple) and bool(value) and set(value) <= set(score.moods),
    "instruments": lambda score, value: isinstance(value, tuple) and set(value) <= _instruments(score),
    "families": lambda score, value: isinstance(value, tuple) and set(value) <= _families(score) & set(FAMILIES),
    "drums": lambda score, value: value == _has_drums(score),
    "solo": lambda score, value: value == ("solo" in traits_of(score).holds),
}


def test_every_label_that_a_caption_names_is_the_scores(pairs: list[Pair]) -> None:
    for score, caption in pairs:
        assert caption.named, caption.text
        for label, value in caption.named.items():
            assert CHECKS[label](score, value), (caption, score.key, score.genre)


DRUM_WORDS = r"\b(drums?|drum kit|beats?|hand percussion|percussion|congas)\b(?! per m)"
NO_DRUM_WORDS = (
    r"drumless|beatless|percussion-free|\b(no|without|without a|without any|out the) (drums?|drum kit|beat|percussion)"
)


def test_the_words_for_drums_agree_with_the_score_and_with_what_is_named(pairs: list[Pair]) -> None:
    for score, caption in pairs:
        text = caption.text.lower().replace("steel drum", "steelpan")
        absent = re.search(NO_DRUM_WORDS, text)
        present = re.search(DRUM_WORDS, text) and not absent
        if absent or present:
            assert caption.named["drums"] == _has_drums(score) == (not absent), (caption, score.genre)


# A word in a caption, and the instruments of which one at least must play.
INSTRUMENT_CLAIMS = {
    "cello|violoncello": {"cello"}, "violin": {"violin"}, "fiddle": {"fiddle"}, "viola": {"viola"}, "harp": {"harp"},
    "harpsichord": {"harpsichord"}, "flute": {"flute", "pan flute", "piccolo"}, "oboe": {"oboe"}, "tuba": {"tuba"},
    "bassoon": {"bassoon"}, "trumpet": {"trumpet", "muted trumpet"}, "trombone": {"trombone"}, "banjo": {"banjo"},
    "horns?": {"french horn", "brass section", "english horn"}, "clarinet": {"clarinet"}, "sitar": {"sitar"},
    "sax|saxophone": {"soprano sax", "alto sax", "tenor sax", "baritone sax"}, "choir": {"choir", "choir pad"},
    "accordion|squeezebox": {"accordion"}, "harmonica|mouth organ": {"harmonica"}, "koto": {"koto"},
    "vibraphone|vibes": {"vibraphone"}, "music box": {"music box"}, "rhodes": {"electric piano"}, "808": {"drums"},
    "upright bass": {"double bass"}, "distorted guitar": {"distorted guitar"}, "pipe organ": {"church organ"},
    "nylon-string guitar": {"nylon guitar"},
}  # fmt: skip
FAMILY_CLAIMS = {"piano": "piano", "guitar": "guitar", "brass": "brass"}


def test_no_caption_names_an_instrument_that_is_not_playing(pairs: list[Pair]) -> None:
    for score, caption in pairs:
        text = re.sub("the vibe|synth brass|bass guitar|thumb piano|blues harp", "", caption.text.lower())
        playing = {track.instrument for track in score.tracks}
        for word, allowed in INSTRUMENT_CLAIMS.items():
            if re.search(rf"\b({word})\b", text):
                assert playing & allowed, (caption, playing)
        for word, family in FAMILY_CLAIMS.items():
            if re.search(rf"\b{word}\b", text):
                assert family in _families(score), (caption, playing)


def test_the_words_for_tempo_key_meter_and_solo_are_true_and_named(pairs: list[Pair]) -> None:
    for score, caption in pairs:
        named = caption.named
        for number in re.findall(r"(\d+) ?(?:bpm|beats per minute)", caption.text, re.IGNORECASE):
            assert named["tempo"] == float(number) == round(score.tempo), caption
        for mode in re.findall(rf"\b[A-G](?:b|#|[ -]flat|[ -]sharp)? ({'|'.join(MODES)})\b(?![- ]key)", caption.text):
            assert named["key"] == (score.tonic, mode.lower()), caption
        for n, d in re.findall(r"\b(\d+)/(\d)\b", caption.text):
            assert named["meter"] == (int(n), int(d)) == score.meter, caption
        if re.search(r"\b(solo|unaccompanied)\b", caption.text.lower()):
            assert named["solo"] is True, caption
        text = re.sub("not too fast and not too slow|moderately fast|medium-fast", "", caption.text.lower())
        if re.search(r"\bslow\b", text):
            assert score.tempo < 80, caption
        if re.search(r"(?<!ly )(?<!-)\b(fast|upbeat|uptempo)\b", text):
            assert score.tempo >= 125, caption


def test_solo_is_one_player_however_many_hands() -> None:
    assert "solo" in traits_of(PIANO).holds
    assert "solo" not in traits_of(_score(_track("violin", "melody"), _track("violin", "counter"))).holds
    assert "solo" not in traits_of(_score(_track("choir", "melody"))).holds
    assert "trio" in traits_of(TRIO).holds
    assert not any(re.search(r"\b(solo|alone|unaccompanied)\b", text.lower()) for text in _texts(TRIO, 300))


def test_the_same_seed_gives_the_same_captions_and_another_seed_others() -> None:
    assert describe(TRIO, np.random.default_rng(5), 20) == describe(TRIO, np.random.default_rng(5), 20)
    assert describe(TRIO, np.random.default_rng(5), 20) != describe(TRIO, np.random.default_rng(6), 20)


def test_captions_run_from_three_words_to_three_sentences(pairs: list[Pair]) -> None:
    words = [len(caption.text.split()) for _, caption in pairs]
    ends = [len(re.findall(r"[.?!](?= |$)", caption.text)) for _, caption in pairs]
    assert min(words) == 3
    assert max(ends) == 3
    assert np.mean(np.array(words) <= 6) > 0.15
    assert np.mean(np.array(words) >= 20) > 0.1
    assert np.mean(np.array(ends) == 3) > 0.03


def test_a_thousand_captions_are_nearly_all_different(pairs: list[Pair]) -> None:
    texts = [caption.text for _, caption in pairs][::3][:1000]
    assert len(texts) == 1000
    assert len(set(texts)) > 970


def test_one_score_has_thousands_of_captions() -> None:
    assert len(set(_texts(TRIO, 2000))) == 2000


def test_labels_are_named_as_often_as_people_name_them(pairs: list[Pair]) -> None:
    def share(*labels: str) -> float:
        return float(np.mean([any(label in caption.named for label in labels) for _, caption in pairs]))

    expected = {
        ("instruments", "families"): 0.7, ("genre",): 0.6, ("moods",): 0.5, ("tempo", "tempo_range"): 0.55,
        ("tempo",): 0.275, ("key", "mode"): 0.2, ("drums",): 0.45,
    }  # fmt: skip
    for labels, chance in expected.items():
        assert share(*labels) == pytest.approx(chance, abs=0.08), labels


def test_captions_are_clean_english(pairs: list[Pair]) -> None:
    faults = r"  |[{}<>@|~]| [,.]|,,|\.\.|\b[Aa] [aeio]|\b[Aa]n [bcdfgjklmnpqrstvwxyz]|\b(\w+) \1\b|^[\W]|[, ]$"
    for _, caption in pairs:
        text = re.sub(r"\b(in [Aa]|an fm) ", "", caption.text)
        assert not re.search(faults, text), caption.text
        assert text.count("(") == text.count(")")


@pytest.mark.parametrize(("written", "read"), [
    ("@ electric piano", "an electric piano"), ("@ Irish reel", "an Irish reel"), ("@ 808 beat", "an 808 beat"),
    ("@ ukulele", "a ukulele"), ("@ FM electric piano", "an FM electric piano"), ("@ 12-bar blues", "a 12-bar blues"),
    ("slow  piano , at 80 bpm", "slow piano, at 80 bpm"),
])  # fmt: skip
def test_articles_and_spaces_are_put_right(written: str, read: str) -> None:
    assert polish(written) == read


def test_small_letters_keep_the_names_of_keys() -> None:
    assert lower("Slow Piano in A minor, Eb or F#m") == "slow piano in A minor, Eb or F#m"


def test_every_genre_mood_and_instrument_of_the_band_has_paraphrases() -> None:
    assert set(GENRES) == set(phrases.GENRES)
    assert set(MOODS) == set(phrases.MOODS)
    assert set(INSTRUMENTS) - {"drums"} == set(players.INSTRUMENT_WORDS)
    for name, words in phrases.GENRES.items():
        assert len({*words.styles, *words.adjectives, *words.heads}) >= 4, name
        assert any("|" not in style and "?" not in style for style in words.styles), name


def test_a_word_for_a_mood_means_that_mood_alone() -> None:
    words = [word for mood in phrases.MOODS.values() for word in mood.adjectives]
    assert len(words) == len(set(words))


def test_a_genre_or_mood_that_is_not_known_is_called_by_its_name() -> None:
    captions = describe(STRANGE, np.random.default_rng(0), 200)
    assert all(("goa dub" in caption.text.lower()) == ("genre" in caption.named) for caption in captions)
    assert any("sleepy" in caption.text.lower() for caption in captions)
    assert any("11/8" in caption.text for caption in captions)


@pytest.mark.parametrize("score", [_score(_track("drums", "drums", 36)), _score(_track("harp", "melody"), moods=())])
def test_a_score_with_few_labels_has_captions_too(score: Score) -> None:
    for caption in describe(score, np.random.default_rng(1), 200):
        assert all(CHECKS[label](score, value) for label, value in caption.named.items()), caption


def test_forms_are_told_as_they_are() -> None:
    told = [text.lower() for text in _texts(TRIO, 600) if "intro" in text.lower()]
    assert told
    assert not any(word in text for text in told for word in ("chorus", "bridge", "drop", "outro", "breakdown"))
