"""Shards are pure functions of their index, whoever makes them and however often the run is stopped."""

import functools
import os

import pytest
import torch

from toccata.data.shards import ShardStore, made_ahead
from toccata.data.tokens import crop, encode_shard, pieces


def numbers(index, seed):
    generator = torch.Generator().manual_seed(seed * 1000 + index)
    return {"x": torch.randint(0, 100, (8,), generator=generator)}, [{"index": index}]


def store(folder):
    return ShardStore(folder, functools.partial(numbers, seed=3))


def test_a_shard_is_made_once_and_read_again(tmp_path):
    kept = store(tmp_path)
    tensors, records = kept.read(2)
    stamp = os.stat(kept.path(2)).st_mtime_ns
    again, _ = kept.read(2)
    assert torch.equal(tensors["x"], again["x"])
    assert records == [{"index": 2}]
    assert os.stat(kept.path(2)).st_mtime_ns == stamp
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_make_the_same_shards(tmp_path, workers):
    with made_ahead(store(tmp_path), 0, 5, workers) as read:
        for index in range(5):
            assert torch.equal(read(index)[0]["x"], numbers(index, 3)[0]["x"])


def fails_at_two(index):
    if index == 2:
        raise ValueError("a damaged file")
    return numbers(index, 3)


def test_what_stops_one_of_many_workers_is_told_and_not_waited_for(tmp_path, capfd):
    with made_ahead(ShardStore(tmp_path, fails_at_two), 0, 10, workers=2, ahead=1) as read:
        for index in (0, 1):
            read(index)
        with pytest.raises(ValueError, match="a damaged file"):
            read(2)
    assert "a damaged file" in capfd.readouterr().err


def test_tokens_keep_pieces_apart():
    wave = torch.arange(10, dtype=torch.int16)
    records = [{"samples": 4, "frames": 2, "captions": ["a"]}, {"samples": 6, "frames": 6, "captions": ["b"]}]
    audio = {"wave": wave, "roll": torch.arange(8)[:, None]}, records
    shard = encode_shard(audio, lambda w: (w[:, :, ::2] * 32767).round().long().expand(-1, 3, -1))
    first, second = pieces(shard)
    assert first.codes_KT.tolist() == [[0, 2]] * 3
    assert second.codes_KT.tolist() == [[4, 6, 8]] * 3
    assert first.roll_TR.tolist() == [[0], [1]]
    assert second.roll_TR.tolist() == [[2], [4], [6]], "the roll is read at the codes' rate"
    assert second.record["captions"] == ["b"]


def test_a_crop_stops_before_the_ending_of_its_piece():
    codes = torch.arange(20, dtype=torch.int16).view(1, 20)
    sections = [{"name": "intro", "start": 0.0, "end": 6.0}, {"name": "ending", "start": 6.0, "end": 9.0}]
    record = {"frames": 20, "seconds": 10.0, "sections": sections}
    (piece,) = pieces(({"codes": codes, "roll": torch.arange(20)[:, None]}, [record]))
    found = {int(crop(piece, 8, 99, torch.Generator().manual_seed(s)).codes_KT.max()) for s in range(40)}
    assert found == set(range(7, 12))
    too_long = crop(piece, 16, 99, torch.Generator().manual_seed(0)).codes_KT[0]
    assert too_long.tolist() == [*range(12), 99, 99, 99, 99]


def test_a_crop_has_its_length_and_marks_what_is_missing():
    codes = torch.arange(12, dtype=torch.int16).view(2, 6)
    (piece,) = pieces(({"codes": codes, "roll": torch.arange(6)[:, None]}, [{"frames": 6}]))
    short, roll, start = crop(piece, 4, 99, torch.Generator().manual_seed(0))
    assert short.shape == (2, 4)
    assert (short[1] - short[0]).tolist() == [6] * 4
    assert roll[:, 0].tolist() == short[0].tolist() == list(range(start, start + 4)), "all are of the same frames"
    long, roll, _ = crop(piece, 8, 99, torch.Generator().manual_seed(0))
    assert long[:, 6:].tolist() == [[99, 99]] * 2
    assert roll[6:].tolist() == [[0]] * 2
