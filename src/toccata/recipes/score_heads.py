"""What training asks of a model besides codes: the labels of the piece, and what its score plays next.

Codes are mostly texture; a score is all metre, harmony and instruments. Linear heads on the model's hidden states that
must name them (and are thrown away after training) pull these into the states long before the codes' losses would.

Shapes: N rows, D width, B batch, T frames, R columns of a score roll.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toccata.corpus.band import ROLL_WIDTH
from toccata.corpus.genres import GENRES
from toccata.corpus.instruments import FAMILIES, INSTRUMENTS
from toccata.corpus.moods import MOODS
from toccata.corpus.theory import SCALES

LOWEST_TEMPO, TEMPO_STEP, TEMPO_BINS = 45.0, math.log(1.03), 52
TRAITS = ("3/4", "6/8", *FAMILIES, *INSTRUMENTS, *MOODS)
AHEAD = (0, 3, 8, 20)


class LabelTargets(NamedTuple):
    """Of N pieces: soft tempo classes (N, bins), tonic, mode and genre (N,), the ``TRAITS`` that hold (N, traits)."""

    tempo: Tensor
    tonic: Tensor
    mode: Tensor
    genre: Tensor
    traits: Tensor

    def to(self, device: torch.device | str) -> "LabelTargets":
        return LabelTargets(*(tensor.to(device) for tensor in self))


def label_targets(records: Sequence[Mapping[str, Any]]) -> LabelTargets:
    """Targets of pieces' labels (see ``band.labels``)."""
    bins = (torch.tensor([float(r["tempo"]) for r in records]) / LOWEST_TEMPO).log() / TEMPO_STEP
    near = (-0.5 * (bins[:, None] - torch.arange(TEMPO_BINS)).square()).softmax(-1)
    held = [{*r["families"], *r["instruments"], *r["moods"], "/".join(map(str, r["meter"]))} for r in records]
    traits = [[trait in names for trait in TRAITS] for names in held]
    return LabelTargets(
        near,
        torch.tensor([int(r["tonic"]) for r in records]),
        torch.tensor([list(SCALES).index(r["mode"]) for r in records]),
        torch.tensor([list(GENRES).index(r["genre"]) for r in records]),
        torch.tensor(traits, dtype=torch.float32),
    )


class LabelHead(nn.Module):
    """States (..., D) of N pieces -> how badly they tell each piece's labels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.sizes = [TEMPO_BINS, 12, len(SCALES), len(GENRES), len(TRAITS)]
        self.project = nn.Linear(width, sum(self.sizes))
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def guesses(self, x_ND: Tensor) -> LabelTargets:
        """Logits in the shapes of the targets."""
        return LabelTargets(*self.project(x_ND).float().split(self.sizes, dim=-1))

    def forward(self, x_ND: Tensor, targets: LabelTargets) -> Tensor:
        """Mean over rows of: cross-entropies of tempo, tonic, mode and genre, and a quarter of the traits' summed."""
        guess = self.guesses(x_ND)
        classes = zip(guess[:4], targets[:4], strict=True)
        loss = torch.stack([F.cross_entropy(logits, target) for logits, target in classes]).sum()
        traits = F.binary_cross_entropy_with_logits(guess.traits, targets.traits, reduction="none").sum(-1).mean()
        return loss + traits / 4


class RollHead(nn.Module):
    """Hidden states (B, T, D) -> how badly they foretell the score: in the frame to come and ``AHEAD`` frames later."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(width, len(AHEAD) * ROLL_WIDTH)
        nn.init.zeros_(self.project.weight)
        nn.init.constant_(self.project.bias, -2.0)  # most of a score is silence

    def forward(self, hidden_BTD: Tensor, roll_BTR: Tensor) -> Tensor:
        """Cross-entropy in nats a frame, mean over the distances. State t has heard what comes before frame t."""
        T = roll_BTR.shape[1]
        logits = self.project(hidden_BTD).float().unflatten(-1, (len(AHEAD), ROLL_WIDTH))
        losses = []
        for index, ahead in enumerate(AHEAD):
            if ahead < T:
                guess, truth = logits[:, : T - ahead, index], roll_BTR[:, ahead:].float()
                losses.append(F.binary_cross_entropy_with_logits(guess, truth, reduction="none").sum(-1).mean())
        return torch.stack(losses).mean()
