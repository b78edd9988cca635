"""Who is asked what: everything equally often, either way round, with checks in between."""

from collections import Counter

import numpy as np
import pytest

from toccata.evaluation.trials import DAMAGED, IDENTICAL, QUESTION, Question, choose, on_the_right, questions, schedule


def test_every_pair_of_sets_is_a_question_of_every_prompt():
    assert len(questions("pairs", 5, 4)) == 5 * 6
    assert questions("mos", 1, 2) == [Question(0, (0,)), Question(0, (1,))]


@pytest.mark.parametrize(("mode", "sets"), [("pairs", 3), ("pairs", 4), ("mos", 3)])
def test_no_question_is_asked_twice_before_all_were_asked_once(mode, sets):
    possible, asked, rng = questions(mode, 6, sets), Counter[Question](), np.random.default_rng(0)
    for _ in range(3):
        for _ in range(len(possible) // 6):
            mine = []
            for _ in range(6):
                question = choose(possible, asked, mine, rng)
                assert question is not None
                mine.append(question)
                asked[question] += 1
            assert len(set(mine)) == 6
            together = Counter(question.sets for question in asked.elements())
            assert max(together.values()) - min(together[sets] for sets in {one.sets for one in possible}) <= 2
        assert len({asked[question] for question in possible}) == 1


def test_a_listener_is_asked_nothing_twice_and_then_nothing_more():
    possible, rng, mine = questions("pairs", 2, 2), np.random.default_rng(0), []
    while question := choose(possible, Counter(mine), mine, rng):
        mine.append(question)
    assert sorted(mine, key=str) == sorted(possible, key=str)


def test_the_order_is_another_for_every_listener():
    possible = questions("pairs", 8, 2)
    orders = set()
    for seed in range(5):
        rng, mine = np.random.default_rng(seed), []
        while question := choose(possible, Counter(), mine, rng):
            mine.append(question)
        orders.add(tuple(mine))
    assert len(orders) == 5


def test_who_rates_single_clips_hears_all_sets_of_a_prompt_one_after_another():
    possible, rng, mine = questions("mos", 4, 3), np.random.default_rng(0), []
    while question := choose(possible, Counter(), mine, rng):
        mine.append(question)
    prompts = [question.prompt for question in mine]
    assert all(len(set(prompts[k : k + 3])) == 1 for k in range(0, 12, 3))


def test_left_and_right_take_turns_by_chance():
    rng, shown = np.random.default_rng(0), []
    for _ in range(101):
        shown.append(on_the_right(shown, rng))
        assert abs(2 * sum(shown) - len(shown)) <= 1
    assert shown[::2].count(True) not in (0, 51)


@pytest.mark.parametrize("trials", [1, 2, 5, 20, 57])
def test_checks_of_both_kinds_lie_among_the_questions_but_never_first(trials):
    for seed in range(20):
        kinds = schedule(trials, [DAMAGED, IDENTICAL], np.random.default_rng(seed))
        assert kinds[0] == QUESTION
        assert kinds.count(QUESTION) == trials
        assert kinds.count(DAMAGED) + kinds.count(IDENTICAL) == max(2, round(trials / 10))
        assert abs(kinds.count(DAMAGED) - kinds.count(IDENTICAL)) <= 1


def test_checks_are_at_other_places_for_other_listeners():
    assert len({tuple(schedule(20, [DAMAGED, IDENTICAL], np.random.default_rng(seed))) for seed in range(9)}) > 5
