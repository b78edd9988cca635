"""Nearest neighbours in the training data: copies are found where they are, and strangers are told from them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.evaluation.test_run import quietly
from toccata.clip import Clip
from toccata.errors import InputError
from toccata.evaluation.ears import JointJudge
from toccata.evaluation.neighbours import Nearness, WindowJudge, compare, nearer_share, nearest, starts
from toccata.evaluation.neighbours_page import page
from toccata.evaluation.sets import Item

RATE = 8000


class Joint:
    """Embeds the shape of a sound's spectrum."""

    name, weights_sha256 = "spectrum", "ab" * 32

    def embed(self, clips: Clip, /) -> torch.Tensor:
        power = np.abs(np.fft.rfft(clips.samples.mean(0), 2 * RATE)) ** 2
        rows = torch.from_numpy(np.sqrt(power[:4000].reshape(400, -1).sum(1)))[None].float()
        return rows / rows.norm()

    def embed_text(self, texts) -> torch.Tensor:
        raise AssertionError("neighbours are looked for by sound, not by words")


JUDGE = WindowJudge(JointJudge(Joint()), 2.0)


def piece(seed: int, seconds: float = 9.0) -> np.ndarray:
    """A tone of its own every second."""
    tones = np.random.default_rng(seed).uniform(100, 3800, round(seconds))
    t = np.arange(RATE) / RATE
    return np.concatenate([0.4 * np.sin(2 * np.pi * tone * t) for tone in tones]).astype(np.float32)[None]


def items(waves: dict[str, np.ndarray]) -> list[Item]:
    return [Item(name, sound=Clip(wave, RATE)) for name, wave in waves.items()]


TRAINING = items({f"piece {k}": piece(k) for k in range(12)})
STRANGERS = items({f"other {k}": piece(100 + k, 4) for k in range(12)})


def found(generated: list[Item], held_out: list[Item] | None, kept: Path) -> Nearness:
    return compare(TRAINING, generated, held_out, JUDGE, kept, quietly)


@pytest.mark.parametrize(("length", "at"), [(1, [0]), (2, [0]), (2.4, [0, 0.4]), (3, [0, 1]), (4.5, [0, 1, 2, 2.5])])
def test_windows_begin_every_half_and_the_last_one_ends_the_sound(length: float, at: list[float]):
    assert starts(length, 2.0) == pytest.approx(at)


def test_a_copied_passage_is_found_where_it_is(tmp_path: Path):
    own = piece(50, 6)
    own[:, 2 * RATE : 4 * RATE] = 0.5 * TRAINING[7].load().samples[:, 3 * RATE : 5 * RATE]
    closest = found(items({"stranger": piece(51, 6), "copy": own}), None, tmp_path).pairs(5)
    assert [pair.clip.name for pair in closest] == ["copy", "stranger"]
    assert closest[0].cosine == pytest.approx(1, abs=1e-4)
    assert (closest[0].piece.name, closest[0].at, closest[0].there) == ("piece 7", 2, 3)
    assert closest[1].cosine < 0.9


def test_strangers_come_as_near_as_held_out_pieces_and_copies_nearer(tmp_path: Path):
    others = items({f"new {k}": piece(200 + k, 4) for k in range(12)})
    value, low, high = found(others, STRANGERS, tmp_path).nearer(np.random.default_rng(0)) or (0, 0, 0)
    assert low < 0.5 < high
    assert low <= value <= high
    copies = items({f"copy {k}": 0.3 * TRAINING[k].load().samples[:, : 4 * RATE] for k in range(12)})
    nearness = found(copies, STRANGERS, tmp_path)
    assert nearness.nearer(np.random.default_rng(0)) == (1, 1, 1)
    assert nearness.held_out is not None
    assert nearness.noise.cosines.max() < nearness.held_out.cosines.max() < nearness.generated.cosines.min()


def test_held_out_pieces_that_were_trained_on_are_no_control(tmp_path: Path):
    nearness = found(STRANGERS[:2], [*STRANGERS[2:], *TRAINING[:3]], tmp_path)
    assert nearness.known == 3
    assert nearness.held_out is not None
    assert {item.name for item in nearness.held_out.hearing.items} == {f"other {k}" for k in range(2, 12)}
    with pytest.raises(InputError, match="none of the clips can be heard; the first"):
        found(items({"short": piece(0)[:, :100]}), None, tmp_path)
    with pytest.raises(InputError, match="held-out pieces are all in the training data"):
        found(STRANGERS[:2], TRAINING[:3], tmp_path)


def test_neighbours_of_thousands_of_pieces_are_those_of_the_whole_table():
    rng = np.random.default_rng(0)

    def rows(count: int) -> np.ndarray:
        made = rng.normal(size=(count, 16))
        return made / np.linalg.norm(made, axis=1, keepdims=True)

    clips, pieces = [rows(n) for n in (1, 3, 2)], [rows(int(n)) for n in rng.integers(1, 6, size=1500)]
    held = 0

    def streamed() -> Iterator[np.ndarray]:
        nonlocal held
        for one in pieces:
            held += 1
            yield one

    neighbours = nearest(clips, streamed())
    assert held == len(pieces)
    for clip, neighbour in zip(clips, neighbours, strict=True):
        cosines = [clip @ one.T for one in pieces]
        assert neighbour.cosine == pytest.approx(max(one.max() for one in cosines))
        assert cosines[neighbour.piece][neighbour.window, neighbour.there] == pytest.approx(neighbour.cosine)


def test_a_share_of_pairs_counts_ties_half():
    assert nearer_share(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == 0.5
    assert nearer_share(np.array([3.0]), np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx(2.5 / 4)


def test_the_page_escapes_names_and_tells_the_control(tmp_path: Path):
    nearness = found(items({"<b>": piece(60, 4)}), STRANGERS, tmp_path)
    told = page(nearness, "a & b", tmp_path, 0, 5)
    assert "<title>a &amp; b</title>" in told
    assert "&lt;b&gt;" in told
    assert "<b>" not in told.replace("<b>", "", 1)  # the share's own
    assert told.count("<svg") == 2
    assert "held out" in told
    assert "held out" not in page(found(items({"x": piece(60, 4)}), None, tmp_path), "x", tmp_path, 0, 5)
