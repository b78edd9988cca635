"""Mean and covariance of any number of embeddings in constant memory, and as files that can be shipped.

Shapes: N embeddings, D dimensions.
"""

import io
import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from toccata.audio.io import write_whole
from toccata.errors import InputError

_ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class Moments:
    """Of ``count`` embeddings: their mean, and the sum of the outer products of what they are away from it.

    All in float64. Two of them add up to the moments of both sets (Chan et al. 1983), which stays exact where a sum of
    squares would cancel.
    """

    count: int
    mean_D: np.ndarray
    scatter_DD: np.ndarray

    @property
    def covariance_DD(self) -> np.ndarray:
        """Unbiased: over ``count - 1``, as in the published tools."""
        return self.scatter_DD / (self.count - 1)

    @cached_property
    def root_DD(self) -> np.ndarray:
        """The symmetric square root of the covariance; what is no more than rounding counts as 0."""
        values_D, vectors_DD = np.linalg.eigh(self.covariance_DD)
        rounding = len(values_D) * np.finfo(np.float64).eps * max(values_D[-1], 0.0)
        values_D = np.where(values_D > rounding, values_D, 0.0)
        return (vectors_DD * np.sqrt(values_D)) @ vectors_DD.T

    def __add__(self, other: "Moments") -> "Moments":
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        apart_D = other.mean_D - self.mean_D
        between_DD = np.outer(apart_D, apart_D) * (self.count * other.count / count)
        mean_D = self.mean_D + apart_D * (other.count / count)
        return Moments(count, mean_D, self.scatter_DD + other.scatter_DD + between_DD)


def moments(rows_ND: np.ndarray) -> Moments:
    """Of one table, at least one row; raises ``InputError`` for what is no table of finite numbers."""
    if rows_ND.ndim != 2 or not len(rows_ND) or not np.isfinite(rows_ND).all():
        raise InputError("embeddings must be a table of finite numbers with at least one row")
    rows_ND = rows_ND.astype(np.float64)
    mean_D = rows_ND.mean(0)
    away_ND = rows_ND - mean_D
    return Moments(len(rows_ND), mean_D, away_ND.T @ away_ND)


def moments_of(tables: Iterable[np.ndarray]) -> Moments:
    """Of many tables of equal width, one after another; no more than some hundreds of rows are held."""
    total, waiting, rows = Moments(0, np.zeros(0), np.zeros((0, 0))), [], 0
    for table_ND in tables:
        waiting.append(table_ND)
        rows += len(table_ND)
        if rows >= _ROWS_AT_ONCE:
            total, waiting, rows = total + moments(np.concatenate(waiting)), [], 0
    return total + moments(np.concatenate(waiting)) if waiting else total


@dataclass(frozen=True)
class Statistics:
    """Moments of a set of ``clips``, and the recipe that they were made by: a plain dictionary.

    ``halves`` is the Fréchet distance of the set's one half from the other: what a perfect model could score.
    """

    moments: Moments
    clips: int
    recipe: dict[str, Any]
    halves: float | None = None


def save_statistics(path: Path, statistics: Statistics) -> None:
    """Write an .npz of plain arrays, whole or not at all; raises ``OutputError``."""
    told = {"clips": statistics.clips, "halves": statistics.halves, "recipe": statistics.recipe}
    buffer, found = io.BytesIO(), statistics.moments
    np.savez_compressed(
        buffer, count=np.array(found.count), mean=found.mean_D, scatter=found.scatter_DD,
        made=np.array(json.dumps(told, sort_keys=True)),
    )  # fmt: skip
    write_whole(path, buffer.getvalue())


def load_statistics(path: Path) -> Statistics:
    """What ``save_statistics`` wrote; raises ``InputError`` for anything else."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            count, mean_D, scatter_DD = int(file["count"]), file["mean"], file["scatter"]
            told = json.loads(str(file["made"]))
            statistics = Statistics(
                Moments(count, mean_D, scatter_DD), int(told["clips"]), dict(told["recipe"]), told["halves"]
            )
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; give a folder, a manifest or statistics") from None
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        raise InputError(f"{path} holds no statistics of toccata; make them with --save-statistics") from None
    width = len(mean_D) if mean_D.ndim == 1 else 0
    finite = np.isfinite(mean_D).all() and np.isfinite(scatter_DD).all()
    if count < 2 or scatter_DD.shape != (width, width) or not finite:
        raise InputError(f"{path} holds damaged statistics; make them again with --save-statistics")
    return statistics
