from benchmarks.families import figures
from toccata.evaluation.case import Score


def test_a_score_stands_beside_the_reference_and_what_is_shuffled():
    controls = {"shuffled": 0.1, "noise": 0.0, "reference": 0.8}
    value, spread = figures("m", Score("fit", 0.4, 7, "higher", "", "share", 0.3, 0.6, controls))
    assert (value.metric, value.value, value.against, value.ratio, value.control) == ("fit: m", 0.4, 0.8, 0.5, 0.1)
    assert (round(spread.value or 0, 6), spread.n) == (0.15, 7)


def test_a_distance_stands_beside_the_references_halves_and_noise():
    controls = {"reference's halves": 2.0, "noise": 90.0}
    (value,) = figures("m", Score("distance", 4.0, 7, "lower", "", controls=controls))
    assert (value.against, value.ratio, value.control) == (2.0, 2.0, 90.0)
