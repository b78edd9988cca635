import numpy as np

from toccata.evaluation.probe import Probe


def test_accuracy_is_1_where_the_label_shows_and_a_half_where_it_does_not():
    rng = np.random.default_rng(0)
    truth = np.arange(80) % 4 == 0
    clear, blind = rng.normal(size=(80, 30)), rng.normal(size=(80, 30))
    clear[:, 0] += 12 * truth
    clear[:, 1] -= 12 * truth
    assert Probe(clear, truth).accuracy > 0.95
    assert abs(Probe(blind, truth).accuracy - 0.5) < 0.2
