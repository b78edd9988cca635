"""What answers say: scores against a hand-worked case and a general optimiser, tests against SciPy and tables."""

import numpy as np
import pytest
from scipy import optimize, stats

from toccata.errors import InputError
from toccata.evaluation.listening import answers_needed, bradley_terry, holm, linked, signed_rank


def test_two_sets_have_the_scores_of_a_hand_worked_case():
    found = bradley_terry(np.array([[0, 30], [10, 0]]))
    assert found.bounded
    assert found.scores_S == pytest.approx([np.log(3) / 2, -np.log(3) / 2])
    # The variance of a log odds of 30 in 40 is 1/30 + 1/10; a score is half of it.
    half = 1.959964 * np.sqrt(1 / 30 + 1 / 10) / 2
    assert found.high_S - found.scores_S == pytest.approx([half, half])
    assert found.scores_S - found.low_S == pytest.approx([half, half])


def test_scores_and_intervals_are_those_of_a_general_optimiser():
    wins_SS = np.array([[0, 7.5, 4, 9], [2.5, 0, 6, 5], [4, 3, 0, 8], [1, 2, 1, 0]])

    def loss(free):
        scores = np.append(free, 0.0)
        return (wins_SS * np.log1p(np.exp(scores[None] - scores[:, None]))).sum()

    best = optimize.minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-9})
    theirs = np.append(best.x, 0.0)
    found = bradley_terry(wins_SS)
    assert found.scores_S == pytest.approx(theirs - theirs.mean(), abs=1e-5)
    x, steps = best.x, 1e-4 * np.eye(3)
    curve = np.array([[(loss(x + a + b) - loss(x + a - b) - loss(x - a + b) + loss(x - a - b)) / 4e-8
                       for a in steps] for b in steps])  # fmt: skip
    centre = (np.eye(4) - 0.25)[:, :3]
    spread = np.sqrt(np.diag(centre @ np.linalg.inv(curve) @ centre.T))
    assert (found.high_S - found.low_S) / 2 == pytest.approx(1.959964 * spread, rel=1e-3)


def test_a_set_that_always_wins_gets_a_bound_and_says_so():
    found = bradley_terry(np.array([[0.0, 12, 9], [0, 0, 5], [0, 4, 0]]))
    assert not found.bounded
    assert np.isfinite(found.high_S).all()
    assert found.scores_S[0] > found.scores_S[1] > found.scores_S[2]


def test_sets_that_were_never_compared_have_no_scores():
    apart = np.array([[0, 3, 0, 0], [2, 0, 0, 0], [0, 0, 0, 4], [0, 0, 1, 0]])
    assert not linked(apart + apart.T)
    with pytest.raises(InputError, match="never compared"):
        bradley_terry(apart)


def test_intervals_hold_the_truth_as_often_as_they_promise():
    rng, truth = np.random.default_rng(0), np.array([0.5, 0.0, -0.5])
    chance = 1 / (1 + np.exp(truth[None] - truth[:, None]))
    inside = []
    for _ in range(300):
        upper = np.triu(rng.binomial(60, chance), 1)
        found = bradley_terry(upper + np.tril(60 - upper.T, -1))
        inside.append((found.low_S <= truth) & (truth <= found.high_S))
    assert 0.92 < np.mean(inside) < 0.98


def test_the_signed_rank_test_is_that_of_the_textbook():
    # Nine untied differences, one against: the chance of a rank sum of 1 or less is 2 of 512, on either side.
    assert signed_rank([9, 8, 7, 6, 5, 4, 3, 2, -1]) == pytest.approx(4 / 512)
    answers = np.repeat([-2, -1, 0, 1, 2], [5, 10, 20, 25, 12])
    assert signed_rank(answers) == pytest.approx(stats.wilcoxon(answers)[1])
    assert signed_rank([0, 0, 0]) == 1.0


def test_no_difference_is_found_as_seldom_as_the_level_says():
    rng = np.random.default_rng(1)
    found = [signed_rank(rng.integers(-2, 3, 60)) < 0.05 for _ in range(400)]
    assert 0.025 < np.mean(found) < 0.08


def test_holms_correction_is_that_of_a_worked_example():
    # .005 x 4, .01 x 3, then .03 x 2 carries over to .04 x 1.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(("shares", "tests"), [((10, 22, 30, 23, 15), 1), ((8, 17, 30, 25, 20), 6)])
def test_as_many_answers_as_are_said_to_be_needed_find_the_difference_four_times_in_five(shares, tests):
    scores, rng = np.arange(-2, 3), np.random.default_rng(2)
    needed = answers_needed(np.repeat(scores, shares), tests)
    assert needed is not None
    drawn = rng.choice(scores, (300, needed), p=np.array(shares) / 100)
    assert np.mean([signed_rank(row) < 0.05 / tests for row in drawn]) == pytest.approx(0.8, abs=0.07)


def test_small_effects_need_noethers_sample_size():
    rng = np.random.default_rng(3)
    values = stats.norm.ppf((np.arange(400) + 0.5) / 400) + 0.2
    rng.shuffle(values)
    i, j = np.triu_indices(400, 1)
    above = np.mean(values[i] + values[j] > 0)
    noether = (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) ** 2 / 3 / (above - 0.5) ** 2
    assert answers_needed(values) == pytest.approx(noether, rel=0.05)


def test_no_number_of_answers_shows_what_is_not_there():
    assert answers_needed([0, 0]) is None
    assert answers_needed([1, -1]) is None
