"""Contrast of pairs and of triplets: the losses, over all ranks, and large batches by gradient caching.

Shapes: B pairs (or rows), D width.
"""

from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor


def pair_loss(audio_BD: Tensor, text_BD: Tensor, log_scale: Tensor, text_log_scale: Tensor | None = None) -> Tensor:
    """Mean cross-entropy of finding each row's partner among all of the other kind, both ways (MuLan, equation 1).

    Rows of unit length; ``log_scale`` is the logarithm of the inverse temperature, of both ways unless texts that look
    for their music have their own, as in CLAP (arXiv 2211.06687, equation 2). The rows of other ranks, in the
    same order in both, count as wrong partners too.
    """
    first = dist.get_rank() * len(audio_BD) if dist.is_initialized() else 0
    targets = torch.arange(first, first + len(audio_BD), device=audio_BD.device)
    scale, text_scale = (
        one.exp().clamp(max=100) for one in (log_scale, log_scale if text_log_scale is None else text_log_scale)
    )
    heard = F.cross_entropy(scale * audio_BD @ gathered(text_BD).T, targets)
    read = F.cross_entropy(text_scale * text_BD @ gathered(audio_BD).T, targets)
    return (heard + read) / 2


def triplet_loss(rows_BD: Tensor, labels_B: Tensor, margin: float = 0.2) -> Tensor:
    """Mean over all pairs of one label of how far the partner is not nearer than a stranger by ``margin``.

    Of the rows of other labels the stranger is the semi-hard one: the nearest of those farther than the partner, or,
    where all are nearer, the farthest of all (FaceNet, arXiv 1503.03832, section 3.2). Rows of unit length; distances
    are squared. Raises ``ValueError`` where no two rows have one label, or all have.
    """
    distance_BB = 2 - 2 * rows_BD @ rows_BD.T
    same_BB = labels_B[:, None] == labels_B
    anchors_P, partners_P = (same_BB & ~torch.eye(len(rows_BD), dtype=torch.bool, device=same_BB.device)).nonzero().T
    if not len(anchors_P) or bool(same_BB.all()):
        raise ValueError("triplets need two rows of one label and one of another")
    near_P, all_PB = distance_BB[anchors_P, partners_P], distance_BB[anchors_P]
    strange_PB = ~same_BB[anchors_P]
    nearest_P = all_PB.masked_fill(~strange_PB | (all_PB <= near_P[:, None]), torch.inf).amin(1)
    farthest_P = all_PB.masked_fill(~strange_PB, -torch.inf).amax(1)
    far_P = torch.where(nearest_P.isfinite(), nearest_P, farthest_P)
    return (near_P - far_P + margin).clamp(min=0).mean()


def gathered(rows_BD: Tensor) -> Tensor:
    """The rows of all ranks in order, with gradients back to each; the same rows where there is one process."""
    if not dist.is_initialized():
        return rows_BD
    from torch.distributed.nn.functional import all_gather

    return torch.cat(all_gather(rows_BD))


def cached_backward(encode: Sequence[Callable[[], Tensor]], loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Gradients of ``loss(rows)`` where ``rows`` are what all of ``encode`` give, end to end, chunk by chunk.

    As if everything had been encoded at once, in the memory of one chunk (gradient caching, arXiv 2101.06983): encode
    without gradients, ask the loss what each row should become, and encode again to pass that on. ``encode`` must give
    the same rows both times; one chunk alone is encoded once. Returns the rows, without gradients.
    """
    if len(encode) == 1:
        rows = encode[0]().float()
        loss(rows).backward()
        return rows.detach()
    with torch.no_grad():
        parts = [chunk() for chunk in encode]
    rows = torch.cat(parts).float().requires_grad_()
    loss(rows).backward()
    assert rows.grad is not None
    for chunk, wanted in zip(encode, rows.grad.split([len(part) for part in parts]), strict=True):
        (chunk().float() * wanted).sum().backward()
    return rows.detach()
