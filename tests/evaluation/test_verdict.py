"""From answers to a verdict: wins, scores, corrected tests, and who was left out."""

import pytest
from scipy import stats

from tests.evaluation.listeners import attentive, careless, design, listen
from toccata.evaluation.answers import Answers, Said
from toccata.evaluation.trials import DAMAGED, IDENTICAL, QUESTION
from toccata.evaluation.verdict import verdict


@pytest.fixture
def start(tmp_path):
    opened = []

    def start(**changes):
        opened.append(Answers.start(tmp_path / "test.db", design(**changes)))
        return opened[-1]

    yield start
    for answers in opened:
        answers.close()


def mixed(trial):
    """Prefers the first of two sets at prompts 0 to 5 of 8, likes both at 6, the second at 7."""
    if trial.kind != QUESTION:
        return attentive(trial)
    better = {6: 0, 7: -2}.get(trial.prompt, 1)
    return Said(better if trial.swapped else -better, None, None, 1.0, 2.0)


def test_wins_scores_and_tests_are_those_of_the_answers(start):
    answers = start(prompts=8)
    for rater in ("ann", "bob"):
        listen(answers, rater, mixed)
    found = verdict(answers)
    a, b = found.sets
    assert (a["wins"], a["losses"], a["no_preference"], a["answers"]) == (12, 2, 2, 16)
    assert (b["wins"], b["losses"]) == (2, 12)
    assert a["score"] == pytest.approx(-b["score"])
    assert a["low"] < a["score"] < a["high"]
    (pair,) = found.pairs
    scores = [1] * 12 + [0] * 2 + [-2] * 2
    assert pair.p == pytest.approx(stats.wilcoxon(scores)[1])
    assert pair.p_holm == pair.p
    assert pair.difference == pytest.approx(sum(scores) / 16)
    assert pair.missing is not None
    assert pair.missing > 0


def test_p_is_corrected_for_the_number_of_pairs(start):
    answers = start(sets=3, prompts=8, trials=24)
    listen(answers, "ann")
    found = verdict(answers)
    assert found.pairs[0].p is not None
    assert [pair.p_holm for pair in found.pairs] == pytest.approx([3 * found.pairs[0].p] * 3)
    assert all(pair.significant for pair in found.pairs)
    assert [told["set"] for told in found.sets] == ["a", "b", "c"]
    assert any("tie was added" in note for note in found.notes)


def test_raters_who_fail_a_check_are_counted_named_and_left_out(start):
    answers = start(prompts=8)
    listen(answers, "ann")
    listen(answers, "sleepy", careless)
    found = verdict(answers).to_dict()
    assert (found["raters_left_out"], found["left_out"]) == (1, ["sleepy"])
    assert [rater["answers"] for rater in found["raters"]] == [8, 8]
    assert found["sets"][0]["answers"] == 8
    assert any("sleepy was left out" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("kind", "better", "passes"),
    [(DAMAGED, 2, True), (DAMAGED, 1, True), (DAMAGED, 0, False), (DAMAGED, -1, False),
     (IDENTICAL, 0, True), (IDENTICAL, 1, True), (IDENTICAL, 2, False), (IDENTICAL, -2, False)],
)  # fmt: skip
def test_a_check_of_two_clips_is_passed_by_who_hears_the_noise_and_no_strong_difference(start, kind, better, passes):
    def say(trial):
        said = Said(better if trial.swapped else -better, None, None, 1.0, 2.0)
        return said if trial.kind == kind else attentive(trial)

    answers = start()
    listen(answers, "ann", say)
    assert verdict(answers).raters[0].failed == (() if passes else (kind,))


@pytest.mark.parametrize(
    ("kind", "quality", "passes"),
    [(DAMAGED, 59, True), (DAMAGED, 90, False), (IDENTICAL, 40, True), (IDENTICAL, 1, False)],
)
def test_a_check_of_one_clip_is_passed_by_who_rates_as_before_but_for_noise(start, kind, quality, passes):
    def say(trial):
        return Said(None, quality, 50, 1.0, 2.0) if trial.kind == kind else attentive(trial)

    answers = start(mode="mos")
    listen(answers, "ann", say)
    assert verdict(answers).raters[0].failed == (() if passes else (kind,))


def test_opinions_have_means_with_intervals_and_are_compared_by_rater_and_prompt(start):
    answers = start(mode="mos", sets=2, prompts=6, trials=12)

    def say(trial):
        said = attentive(trial)
        return said if trial.kind != QUESTION else Said(None, 40 + trial.prompt - 10 * trial.sets[0], 50, 1.0, 2.0)

    for rater in ("ann", "bob"):
        listen(answers, rater, say)
    found = verdict(answers)
    assert found.raters[0].failed == ()
    assert found.sets[0]["quality"] == pytest.approx(42.5)
    assert found.sets[0]["quality_low"] < 42.5 < found.sets[0]["quality_high"]
    quality, relevance = found.pairs
    assert (quality.about, quality.answers, quality.difference, quality.first_wins) == ("quality", 12, 10.0, 12)
    assert quality.significant
    assert (relevance.difference, relevance.p, relevance.missing) == (0.0, 1.0, None)


def test_a_test_without_answers_has_a_verdict_too(start):
    found = verdict(start()).to_dict()
    assert found["sets"][0]["score"] is None
    assert found["pairs"][0]["p"] is None
    assert "collect more answers" in found["notes"][0]


def test_who_stopped_before_a_check_is_kept_and_told(start):
    answers = start()
    listen(answers, "ann", most=1)
    found = verdict(answers)
    assert not found.raters[0].left_out
    assert "1 raters stopped before" in found.notes[0]
