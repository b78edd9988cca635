from collections import Counter

import pytest

from benchmarks.captions import Case, cases, facets
from benchmarks.held_out import HELD_OUT
from toccata.corpus.band import sheet
from toccata.corpus.instruments import INSTRUMENTS


@pytest.fixture(scope="module")
def asked() -> list[Case]:
    return cases(120)


def test_the_list_is_the_same_every_time_and_the_short_one_begins_it(asked: list[Case]):
    assert cases(30) == asked[:30]


def test_every_prompt_is_of_a_piece_of_its_own_and_asks_something_that_can_be_judged(asked: list[Case]):
    assert len({case.index for case in asked}) == len({case.text for case in asked}) == 120
    assert all(case.asks for case in asked)


def test_each_judge_has_prompts_enough(asked: list[Case]):
    count = Counter(facet for case in asked for facet in case.asks)
    assert min(count[facet] for facet in ("tempo", "key", "drums", "families")) >= 25
    wanted = Counter(case.asks["drums"] for case in asked if "drums" in case.asks)
    assert min(wanted[True], wanted[False]) >= 12


def test_what_is_asked_is_true_of_the_piece(asked: list[Case]):
    for case in asked:
        score = sheet(HELD_OUT, case.index).score
        families = {INSTRUMENTS[track.instrument].family for track in score.tracks}
        assert case.asks.get("families", set()) <= families
        assert case.asks.get("drums", "drums" in families) == ("drums" in families)
        assert case.asks.get("tempo", score.tempo) == pytest.approx(score.tempo, rel=0.02)
        assert tuple(case.asks.get("key", (score.tonic, score.mode))) == (score.tonic, score.mode)


def test_facets_are_what_can_be_heard():
    assert facets({"genre": "jazz", "moods": ("sad",)}) == {}
    assert facets({"tempo": 90, "tempo_range": (80, 115)}) == {"tempo": 90}
    assert facets({"instruments": ("violin", "drums"), "families": ("brass",)}) == {"families": {"strings", "brass"}}
    assert facets({"drums": False}) == {"drums": False}
