"""Moments: those of numpy, however far from 0, in whatever portions; statistics survive the disk."""

import tracemalloc

import numpy as np
import pytest

from toccata.errors import InputError
from toccata.evaluation.moments import Moments, Statistics, load_statistics, moments, moments_of, save_statistics
from toccata.evaluation.table import Table


def rows(count: int, width: int = 6, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, width)) @ rng.normal(size=(width, width)) + shift


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_portions_give_what_numpy_gives_of_the_whole(shift: float):
    whole = rows(2000, shift=shift)
    found = moments_of(np.split(whole, [1, 3, 700, 701, 1500]))
    assert found.count == 2000
    np.testing.assert_allclose(found.mean_D, whole.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.covariance_DD, np.cov(whole, rowvar=False), rtol=1e-8)


def test_adding_nothing_changes_nothing():
    found, nothing = moments(rows(5)), Moments(0, np.zeros(0), np.zeros((0, 0)))
    assert found + nothing is found
    assert nothing + found is found


def test_the_root_squared_is_the_covariance_of_few_rows_too():
    for count in (4, 500):
        found = moments(rows(count))
        np.testing.assert_allclose(found.root_DD @ found.root_DD, found.covariance_DD, atol=1e-10)


def test_memory_does_not_grow_with_the_clips():
    def peak(clips: int) -> int:
        tracemalloc.start()
        table = Table(np.random.default_rng(clip).normal(size=(20, 100)).astype(np.float32) for clip in range(clips))
        table.moments()
        table.moments(np.arange(clips))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(10)
    assert peak(1600) < 1.2 * peak(200)


def test_a_table_holds_each_clips_rows_and_any_choice_of_them():
    clips = [rows(count, seed=count).astype(np.float32) for count in (3, 1, 4)]
    table = Table(iter(clips))
    assert (table.clips, table.width) == (3, 6)
    np.testing.assert_array_equal(table.rows(2), clips[2])
    np.testing.assert_allclose(table.mean(0), clips[0].mean(0), rtol=1e-5)
    chosen = table.moments(np.array([2, 0, 2]))
    np.testing.assert_allclose(chosen.mean_D, np.concatenate([clips[2], clips[0], clips[2]]).mean(0), rtol=1e-5)


@pytest.mark.parametrize("bad", [[], [np.zeros((0, 3))], [np.zeros(3)], [np.full((1, 3), np.nan)]])
def test_what_is_no_table_is_refused(bad: list[np.ndarray]):
    with pytest.raises(InputError):
        Table(bad)


def test_statistics_come_back_with_their_recipe(tmp_path):
    made = Statistics(moments(rows(50)), 10, {"embedding": "ear", "sample_rate": 16000}, 1.5)
    save_statistics(tmp_path / "s.npz", made)
    again = load_statistics(tmp_path / "s.npz")
    assert (again.clips, again.recipe, again.halves) == (10, made.recipe, 1.5)
    np.testing.assert_array_equal(again.moments.scatter_DD, made.moments.scatter_DD)
    assert again.moments.count == 50


def test_what_holds_no_statistics_is_refused(tmp_path):
    path = tmp_path / "s.npz"
    with pytest.raises(InputError, match="does not exist"):
        load_statistics(path)
    path.write_bytes(b"PK nothing")
    with pytest.raises(InputError, match="no statistics"):
        load_statistics(path)
    np.savez(path, mean=np.zeros(3))
    with pytest.raises(InputError, match="no statistics"):
        load_statistics(path)
    broken = moments(rows(50))
    save_statistics(path, Statistics(Moments(50, broken.mean_D, broken.scatter_DD[:2]), 10, {}, None))
    with pytest.raises(InputError, match="damaged"):
        load_statistics(path)
