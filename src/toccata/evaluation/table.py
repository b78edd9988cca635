"""Embeddings of many clips, on disk and not in memory. Shapes: N rows of a clip, D dimensions."""

import tempfile
from collections.abc import Iterable

import numpy as np

from toccata.errors import InputError
from toccata.evaluation.moments import Moments, moments_of


class Table:
    """Rows of any number of clips, in a nameless temporary file that is mapped: memory does not grow with it."""

    def __init__(self, tables: Iterable[np.ndarray]) -> None:
        """From each clip's rows (N, D) of finite numbers, at least one, else ``InputError``."""
        starts, width = [0], 0
        with tempfile.TemporaryFile() as file:
            for rows_ND in tables:
                width = width or rows_ND.shape[-1]
                if rows_ND.ndim != 2 or rows_ND.shape[1] != width or not len(rows_ND) or not np.isfinite(rows_ND).all():
                    raise InputError("each clip must have a table of finite embeddings, all of one width")
                file.write(np.ascontiguousarray(rows_ND, np.float32).data)
                starts.append(starts[-1] + len(rows_ND))
            if len(starts) == 1:
                raise InputError("there are no embeddings; give at least one clip")
            file.flush()
            # The mapping outlives the file's name and handle.
            self._rows_ND = np.memmap(file, np.float32, "r", shape=(starts[-1], width))
        self._starts = np.array(starts)

    @property
    def clips(self) -> int:
        return len(self._starts) - 1

    @property
    def width(self) -> int:
        return self._rows_ND.shape[1]

    def rows(self, clip: int) -> np.ndarray:
        """(N, D) of one clip."""
        return self._rows_ND[self._starts[clip] : self._starts[clip + 1]]

    def moments(self, chosen: np.ndarray | None = None) -> Moments:
        """Of all clips, or of those ``chosen``, which may come more than once."""
        return moments_of(self.rows(int(clip)) for clip in (range(self.clips) if chosen is None else chosen))

    def mean(self, clip: int) -> np.ndarray:
        """The mean of one clip's rows, in float64: (D,)."""
        return self.rows(clip).mean(0, dtype=np.float64)
