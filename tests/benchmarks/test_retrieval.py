from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks import retrieval
from benchmarks.held_out import HELD_OUT
from benchmarks.retrieval import (
    Listed,
    Made,
    by_bare_tags,
    entrances,
    fits,
    late_caption,
    late_events,
    named_instruments,
    ranks,
    tag_scores,
)
from benchmarks.tagging import agreement
from toccata.corpus.band import sheet
from toccata.corpus.captions import Caption
from toccata.evaluation.musicnn import TAGS

TRUE = {
    "tempo": 99.0, "tonic": 0, "mode": "major", "meter": [4, 4], "genre": "jazz", "moods": ["warm"], "drums": False,
    "instruments": ["piano", "flute"], "families": ["piano", "woodwind"], "seconds": 30.0,
}  # fmt: skip


def piece(whole: int, first: int, caption: Caption) -> Listed:
    made = Made(np.zeros(0, np.int16), (caption,), TRUE)
    tags = np.full(len(TAGS), 0.1)
    tags[TAGS.index("piano")] = 0.9 if whole == 0 else 0.1
    return Listed(torch.eye(12)[whole], torch.eye(12)[first], tags, made)


class Words:
    """Finds the piece whose number the text is."""

    def embed_text(self, texts):
        return torch.stack([torch.eye(12)[int(text.split()[-1])] for text in texts])


def test_ties_score_as_chance_does():
    nothing = ranks(np.zeros((3, 20)))
    assert nothing.within(10) == 0.5
    assert nothing.median() == 10.5
    assert ranks(np.eye(4)).within(1) == 1
    assert ranks(np.array([[0.1, 0.9, 0.5]]), [2]).median() == 2


def test_a_caption_fits_only_where_all_of_it_is_true():
    assert fits({"genre": "jazz", "key": (0, "major"), "instruments": ("flute",), "solo": False}, TRUE)
    assert not fits({"genre": "jazz", "drums": True}, TRUE)
    assert not fits({"tempo_range": (120, 200)}, TRUE)


def test_a_bag_of_tags_finds_a_named_tag_and_knows_nothing_else():
    pool = [piece(i, i, Caption("x", {})) for i in range(3)]
    assert tag_scores("Warm piano", pool).argmax() == 0
    assert tag_scores("pianola in the rain", pool).tolist() == [0.0] * 3


def test_late_events_are_found_by_who_hears_the_whole():
    pool = [piece(i, 11, Caption("x", {})) for i in range(12)]
    (figure,) = late_events(Words(), pool, [f"flute {i}" for i in range(11)])  # type: ignore[arg-type]
    assert figure.value == 1
    assert figure.n == 11
    assert figure.against == pytest.approx(10 / 12, abs=0.08), "of the first 10 s all sound alike"


def test_a_late_caption_names_an_instrument_that_is_not_there_in_the_first_twelve_seconds():
    first, text = next((i, text) for i in range(20_000, 21_000) if (text := late_caption(i)))
    made = sheet(HELD_OUT, first)
    caption = next(c for c in made.captions if c.text == text)
    enters = entrances(made.score)
    assert max(enters[name] for name in named_instruments(caption)) > 12
    assert min(enters.values()) < 4


def test_bare_tags_count_how_many_of_the_first_ten_have_them_all():
    genres = ("jazz", "rock", "waltz")
    pool = []
    for i in range(36):
        one = piece(i % 3, 11, Caption("x", {}))
        pool.append(replace(one, made=replace(one.made, labels=TRUE | {"genre": genres[i % 3]})))

    class Tags:
        def embed_text(self, texts):
            assert texts[0] == "jazz, piano, flute, warm"
            return torch.stack([torch.eye(12)[genres.index(text.split(",")[0])] for text in texts])

    (figure,) = by_bare_tags(Tags(), pool)  # type: ignore[arg-type]
    assert figure.value == 1
    assert figure.control == pytest.approx(1 / 3)


def test_a_piece_is_played_whole():
    made = retrieval._made(retrieval.FIRST)
    assert len(made.wave_N) / 24000 == pytest.approx(made.labels["seconds"], abs=0.1)


def test_agreement_is_1_with_oneself_and_near_0_with_noise():
    draw = np.random.default_rng(0)
    scores = draw.normal(size=(200, 5))
    own, others = agreement(scores, scores)
    assert own == pytest.approx(1)
    assert abs(others) < 0.2
    assert abs(agreement(scores, draw.normal(size=(200, 5)))[0]) < 0.2
