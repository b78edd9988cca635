"""Contrast of pairs: the loss is the textbook's, and large batches cost no accuracy."""

import math
import socket

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.multiprocessing.spawn import spawn

from toccata.training.contrastive import cached_backward, pair_loss, triplet_loss

LOG_SCALE = torch.tensor(math.log(10.0))


def rows(count, seed=0):
    return F.normalize(torch.randn(count, 8, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_the_loss_is_the_mean_of_both_ways_to_find_a_partner():
    a, b = rows(5, 1), rows(5, 2)
    expected = 0.0
    for i in range(5):
        there, back = (10 * a[i] @ b.T).exp(), (10 * b[i] @ a.T).exp()
        expected -= 0.5 * float((there[i] / there.sum()).log() + (back[i] / back.sum()).log()) / 5
    assert pair_loss(a, b, LOG_SCALE) == pytest.approx(expected, rel=1e-5)


def test_partners_that_are_alike_cost_less_than_strangers():
    a = rows(6)
    assert pair_loss(a, a, LOG_SCALE) < pair_loss(a, a.roll(1, 0), LOG_SCALE)


@pytest.mark.parametrize("chunk", [1, 3, 8])
def test_cached_gradients_are_those_of_the_whole_batch(chunk):
    torch.manual_seed(0)
    tower, log_scale = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8)), nn.Parameter(LOG_SCALE.clone())
    x, text = torch.randn(8, 4), rows(8)

    def loss(audio):
        return pair_loss(F.normalize(audio, dim=-1), text, log_scale)

    loss(tower(x)).backward()
    expected = [p.grad.clone() for p in (*tower.parameters(), log_scale) if p.grad is not None]
    for p in (*tower.parameters(), log_scale):
        p.grad = None
    found = cached_backward([lambda part=part: tower(part) for part in x.split(chunk)], loss)
    torch.testing.assert_close(found, tower(x))
    for p, gradient in zip((*tower.parameters(), log_scale), expected, strict=True):
        torch.testing.assert_close(p.grad, gradient, atol=1e-6, rtol=1e-5)


def rank(index, port, folder):
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=index, world_size=2)
    a, b = rows(4, 1).chunk(2)[index].requires_grad_(), rows(4, 2).chunk(2)[index]
    loss = pair_loss(a, b, LOG_SCALE)
    loss.backward()
    torch.save({"loss": loss.detach(), "gradient": a.grad}, f"{folder}/{index}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_ranks_contrast_against_each_others_rows(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spawn(rank, (port, str(tmp_path)), nprocs=2)
    parts = [torch.load(tmp_path / f"{i}.pt") for i in range(2)]
    a = rows(4, 1).requires_grad_()
    whole = pair_loss(a, rows(4, 2), LOG_SCALE)
    whole.backward()
    assert torch.stack([p["loss"] for p in parts]).mean() == pytest.approx(whole.item(), rel=1e-5)
    # Each rank's loss is a mean over its own half, and gradients of ranks add up.
    torch.testing.assert_close(torch.cat([p["gradient"] for p in parts]) / 2, a.grad, atol=1e-6, rtol=1e-5)


def slow_triplet_loss(a, labels, margin):
    """Pair by pair and stranger by stranger."""
    losses = []
    for i in range(len(a)):
        strange = [float((a[i] - a[k]).square().sum()) for k in range(len(a)) if labels[k] != labels[i]]
        for j in range(len(a)):
            if j == i or labels[j] != labels[i]:
                continue
            near = float((a[i] - a[j]).square().sum())
            farther = [far for far in strange if far > near]
            losses.append(max(near - (min(farther) if farther else max(strange)) + margin, 0.0))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("seed", range(4))
def test_triplets_are_those_of_a_slow_loop(seed):
    a, labels = rows(12, seed), torch.randint(4, (12,), generator=torch.Generator().manual_seed(seed))
    assert triplet_loss(a, labels, 0.3) == pytest.approx(slow_triplet_loss(a, labels.tolist(), 0.3), rel=1e-4)


def test_triplets_far_enough_apart_cost_nothing():
    a = torch.eye(8)[[0, 0, 1, 1]]
    assert triplet_loss(a, torch.tensor([0, 0, 1, 1])) == 0
    assert triplet_loss(a, torch.tensor([0, 1, 0, 1])) == pytest.approx(0.2)  # no stranger is farther
    for labels in ([0, 1, 2, 3], [0, 0, 0, 0]):
        with pytest.raises(ValueError, match="two rows of one label"):
            triplet_loss(a, torch.tensor(labels))
