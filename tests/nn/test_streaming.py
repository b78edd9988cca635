"""Networks with a finite view, in parts: outputs join to those of the whole, and no more is read than must be."""

import pytest
import torch
from torch.nn.functional import conv1d, pad

from toccata.nn.streaming import in_chunks, in_parts, overlap_add


def looking(before, after, stride):
    """A network that sees so far and gives ``stride`` outputs a frame."""
    weight = torch.randn(stride, 1, before + 1 + after, generator=torch.Generator().manual_seed(0))

    def network(x_BCT):
        return conv1d(pad(x_BCT, (before, after)), weight).transpose(1, 2).flatten(1)[:, None]

    return network


@pytest.mark.parametrize("sizes", [[40], [1] * 40, [3, 0, 17, 1, 1, 0, 18], [2], [0, 5, 0]], ids=str)
@pytest.mark.parametrize(("before", "after", "stride"), [(0, 0, 1), (5, 0, 2), (0, 4, 1), (3, 2, 3)])
def test_parts_join_to_the_whole(sizes, before, after, stride):
    x_BCT = torch.randn(2, 1, sum(sizes))
    network = looking(before, after, stride)
    parts = list(in_parts(x_BCT.split(sizes, dim=-1), network, before, after, stride))
    assert torch.allclose(torch.cat(parts, dim=-1), network(x_BCT), atol=1e-5)


def test_memory_stays_constant():
    seen = []

    def network(x_BCT):
        seen.append(x_BCT.shape[-1])
        return x_BCT

    list(in_parts(torch.zeros(1, 1, 1000).split(10, dim=-1), network, before=7, after=3))
    assert max(seen) == 20


def test_chunks_fade_into_each_other_in_a_straight_line():
    chunks = [torch.full((1, 1, length), value) for length, value in ((100, 1.0), (100, 3.0), (50, 2.0))]
    wave = torch.cat(list(overlap_add(chunks, length=100, hop=80)), dim=-1)[0, 0]
    assert wave.shape == (210,)
    assert torch.allclose(wave[:80], torch.tensor(1.0))
    assert torch.allclose(wave[80:100], 1 + 2 * torch.arange(1, 21) / 21)
    assert torch.allclose(wave[180:], torch.tensor(2.0))


def test_chunks_are_the_same_sequence_cut_anew():
    x_CT = torch.arange(25)[None]
    assert [part.tolist()[0] for part in in_chunks(x_CT.split([3, 20, 2], dim=-1), 10)] == [
        list(range(10)), list(range(10, 20)), list(range(20, 25)),
    ]  # fmt: skip
    assert [part.shape[-1] for part in in_chunks([x_CT[:, :20]], 10)] == [10, 10]
