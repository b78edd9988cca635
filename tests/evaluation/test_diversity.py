import numpy as np
import pytest

from toccata.evaluation.diversity import nearest_others, vendi_score


def test_a_set_counts_its_different_clips():
    different = np.eye(20)[:7]
    assert vendi_score(different) == pytest.approx(7)
    assert vendi_score(np.repeat(different[:1], 7, axis=0) * np.arange(1, 8)[:, None]) == pytest.approx(1)
    assert vendi_score(np.repeat(different[:2], 5, axis=0)) == pytest.approx(2)


def test_it_is_the_score_of_the_published_matrix():
    rows = np.random.default_rng(0).normal(size=(30, 8))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(unit @ unit.T / 30)
    values = values[values > 1e-12]
    assert vendi_score(rows) == pytest.approx(np.exp(-(values * np.log(values)).sum()), rel=1e-9)


def test_everyones_nearest_other_is_found_in_portions():
    rows = np.random.default_rng(0).normal(size=(600, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    near, where = nearest_others(rows)
    table = rows @ rows.T
    np.fill_diagonal(table, -2)
    np.testing.assert_array_equal(where, table.argmax(1))
    np.testing.assert_allclose(near, table.max(1), rtol=1e-5)
    assert nearest_others(rows[:1])[0][0] == -1
