"""Does what a model makes sound like a piece of its training data? Nearest neighbours by a joint encoder's embedding.

Clips and pieces are compared in windows, for what is copied may be a part. A near neighbour proves nothing alone, since
music of one kind lies close together: so beside it stands how near music comes that the model never heard.

Shapes: N windows of a clip, or clips; M windows of a piece; D dimensions.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from toccata.clip import Clip
from toccata.errors import InputError
from toccata.evaluation.ears import JointJudge
from toccata.evaluation.hearing import Found, Hearing, listen
from toccata.evaluation.run import Progress, controls
from toccata.evaluation.sets import Item

_ROWS_AT_ONCE, _DRAWS = 512, 1000


class WindowJudge:
    """``rows_ND``: a joint encoder's embedding of windows, one every half; ``starts_N``: where they begin, in seconds.

    The last window ends with the clip. A clip that is shorter than a window is one.
    """

    def __init__(self, judge: JointJudge, seconds: float) -> None:
        self._judge, self.seconds = judge, seconds
        self.recipe: dict[str, Any] = judge.recipe | {
            "judge": "windows", "window_seconds": seconds, "hop_seconds": seconds / 2,
        }  # fmt: skip

    def hear(self, clip: Clip) -> Found:
        starts_N = starts(clip.seconds, self.seconds)
        rows = [self._judge.hear(self._part(clip, start))["rows_ND"] for start in starts_N]
        return {"rows_ND": np.concatenate(rows), "starts_N": starts_N}

    def _part(self, clip: Clip, start: float) -> Clip:
        first, length = round(start * clip.sample_rate), round(self.seconds * clip.sample_rate)
        return Clip(clip.samples[:, first : first + length], clip.sample_rate)


def starts(length: float, window: float) -> np.ndarray:
    """Where windows begin in a sound of so many seconds: one every half window, the last one at its end."""
    last = max(length - window, 0.0)
    return np.append(np.arange(0, last - 1e-3, window / 2), last)


@dataclass(frozen=True)
class Neighbour:
    """What comes nearest to a clip: window ``there`` of the training's ``piece``, to the clip's own ``window``."""

    cosine: float
    window: int
    piece: int
    there: int


def nearest(clips: Iterable[np.ndarray], pieces: Iterable[np.ndarray]) -> list[Neighbour]:
    """Each clip's nearest neighbour among the pieces: rows (N, D) and (M, D) of unit length each.

    The clips are held in memory, the pieces go by, some hundreds of windows at a time.
    """
    tables = list(clips)
    rows_ND = np.concatenate(tables)
    best_N = np.full(len(rows_ND), -np.inf)
    where_N2 = np.zeros((len(rows_ND), 2), np.int64)
    for rows_MD, names_M2 in _together(pieces):
        cosine_NM = rows_ND @ rows_MD.T
        there_N = cosine_NM.argmax(1)
        cosine_N = cosine_NM[np.arange(len(rows_ND)), there_N]
        nearer = cosine_N > best_N
        best_N[nearer], where_N2[nearer] = cosine_N[nearer], names_M2[there_N[nearer]]
    ends = np.cumsum([len(table) for table in tables])
    found = []
    for first, end in zip([0, *ends[:-1]], ends, strict=True):
        row = first + int(best_N[first:end].argmax())
        found.append(Neighbour(float(best_N[row]), row - first, *(int(place) for place in where_N2[row])))
    return found


def _together(pieces: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Some hundreds of rows of several pieces, and for each (piece, row)."""
    waiting, names, rows = [], [], 0
    for piece, rows_MD in enumerate(pieces):
        waiting.append(rows_MD)
        names += [(piece, row) for row in range(len(rows_MD))]
        rows += len(rows_MD)
        if rows >= _ROWS_AT_ONCE:
            yield np.concatenate(waiting), np.array(names)
            waiting, names, rows = [], [], 0
    if waiting:
        yield np.concatenate(waiting), np.array(names)


@dataclass(frozen=True)
class Set:
    """Clips that were heard, with each one's nearest neighbour in the training data."""

    hearing: Hearing
    found: tuple[Neighbour, ...]

    @property
    def cosines(self) -> np.ndarray:
        return np.array([neighbour.cosine for neighbour in self.found])


@dataclass(frozen=True)
class Pair:
    """A clip and a training piece, and where in each the windows begin that are so alike, in seconds."""

    cosine: float
    clip: Item
    at: float
    piece: Item
    there: float


@dataclass(frozen=True)
class Nearness:
    """How near the ``generated`` clips come to the ``training`` data, and how near ``held_out`` pieces and noise do.

    ``known`` held-out pieces were in the training data and are left out of it; ``left_out`` could not be heard.
    """

    judge: WindowJudge
    training: Hearing
    generated: Set
    noise: Set
    held_out: Set | None
    known: int
    left_out: tuple[str, ...]

    def pairs(self, count: int) -> list[Pair]:
        """The closest ones, nearest first, a clip once."""
        order = np.argsort(-self.generated.cosines, kind="stable")[:count]
        return [self._pair(int(clip)) for clip in order]

    def _pair(self, clip: int) -> Pair:
        found, heard = self.generated.found[clip], self.generated.hearing
        at, there = (
            float(hearing.of(self.judge, place)["starts_N"][window])
            for hearing, place, window in (
                (heard, clip, found.window),
                (self.training, found.piece, found.there),
            )
        )
        return Pair(found.cosine, heard.items[clip], at, self.training.items[found.piece], there)

    def nearer(self, rng: np.random.Generator) -> tuple[float, float, float] | None:
        """``nearer_share`` of the generated clips with its 95 % interval; None without held-out pieces."""
        if self.held_out is None:
            return None
        ours_N, theirs_N = self.generated.cosines, self.held_out.cosines
        draws = [nearer_share(rng.choice(ours_N, len(ours_N)), rng.choice(theirs_N, len(theirs_N)))
                 for _ in range(_DRAWS)]  # fmt: skip
        low, high = np.percentile(draws, (2.5, 97.5))
        return nearer_share(ours_N, theirs_N), float(low), float(high)


def nearer_share(ours_N: np.ndarray, theirs_N: np.ndarray) -> float:
    """How often one of ours is higher than one of theirs, a tie counting half: .5 where they are alike."""
    order_N = np.sort(theirs_N)
    below_N, upto_N = (np.searchsorted(order_N, ours_N, side) for side in ("left", "right"))
    return float((below_N + upto_N).mean() / (2 * len(order_N)))


def compare(
    training: Sequence[Item],
    generated: Sequence[Item],
    held_out: Sequence[Item] | None,
    judge: WindowJudge,
    kept: Path,
    progress: Progress,
) -> Nearness:
    """Hear all sets, each file once (what was heard is kept in the folder ``kept``), and look for neighbours.

    A held-out piece that is a file of the training data itself is no control and is left out. Raises ``InputError``
    where nothing of a set is left.
    """
    sets = {"training data": training, "clips": generated} | ({} if held_out is None else {"held-out pieces": held_out})
    heard = {}
    for what, items in sets.items():
        with progress(f"listening to the {what}") as tell:
            heard[what] = listen(items, [judge], kept, tell)
        if not len(heard[what]):
            raise InputError(f"none of the {what} can be heard; the first: {heard[what].left_out[0]}")
    trained, made, *others = heard.values()
    control = [foreign(hearing, trained) for hearing in others]
    noise = listen(controls()[0], [judge], kept)
    with progress("looking for neighbours") as tell:
        found = _neighbours([made, noise, *control], trained, judge, tell)
    known = sum(map(len, others)) - sum(map(len, control))
    left_out = tuple(line for hearing in heard.values() for line in hearing.left_out)
    return Nearness(judge, trained, found[0], found[1], found[2] if control else None, known, left_out)


def _neighbours(asked: Sequence[Hearing], trained: Hearing, judge: WindowJudge, tell: Any) -> list[Set]:
    """Of each set, in one pass over the training data."""
    tables = [table for hearing in asked for table in hearing.found(judge, "rows_ND")]

    def pieces() -> Iterator[np.ndarray]:
        for done, rows_MD in enumerate(trained.found(judge, "rows_ND"), 1):
            yield rows_MD
            tell(done, len(trained))

    found = iter(nearest(tables, pieces()))
    return [Set(hearing, tuple(next(found) for _ in range(len(hearing)))) for hearing in asked]


def foreign(hearing: Hearing, trained: Hearing) -> Hearing:
    """The clips whose files are none of the training data's; raises ``InputError`` where there is none."""
    known = set(trained.digests)
    kept = [place for place, digest in enumerate(hearing.digests) if digest not in known]
    if not kept:
        raise InputError("the held-out pieces are all in the training data; give some that the model never heard")
    items, digests = (tuple(each[place] for place in kept) for each in (hearing.items, hearing.digests))
    return replace(hearing, items=items, digests=digests)
