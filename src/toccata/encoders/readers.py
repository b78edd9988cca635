"""Text encoders of several kinds behind one door, so that a model reads with whichever its folder names.

Shapes: B texts, L tokens, D width.
"""

from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from toccata.encoders.clap import load_clap, load_trained_clap
from toccata.encoders.features import TextFeatures
from toccata.encoders.joint import checked_texts
from toccata.encoders.t5 import load_t5
from toccata.encoders.text import load_text_encoder
from toccata.errors import WeightsError
from toccata.weights import published


class TextReader(Protocol):
    """What a model that is told words needs of a text encoder."""

    @property
    def width(self) -> int: ...

    def encode(self, texts: list[str]) -> TextFeatures: ...


class ContextTower(Protocol):
    """A text tower that gives its tokens too, without its last layers where that is asked."""

    @property
    def width(self) -> int: ...

    def tokenise(self, texts: list[str]) -> tuple[Tensor, Tensor]: ...

    def contextualise(self, ids_BL: Tensor, mask_BL: Tensor, without: int = 0) -> Tensor: ...


class CLAPReader:
    """A CLAP's text tower without its last layer, as Stable Audio reads with it (arXiv 2402.04825, section 3.2).

    What the last layer makes of a text is its place in the joint space; the one before still tells words apart.
    """

    def __init__(self, tower: ContextTower) -> None:
        self.tower = tower

    @property
    def width(self) -> int:
        return self.tower.width

    @torch.no_grad()
    def encode(self, texts: list[str]) -> TextFeatures:
        """Features of ``texts``, on the CPU; raises ``InputError`` for no texts, or an empty one."""
        ids_BL, mask_BL = self.tower.tokenise(checked_texts(texts))
        tokens_BLD = self.tower.contextualise(ids_BL, mask_BL, without=1) * mask_BL[..., None]
        return TextFeatures(tokens_BLD, mask_BL, F.normalize(tokens_BLD.sum(1), dim=-1))


def load_reader(folder: Path) -> TextReader:
    """The text encoder in ``folder``: one like text-mini, a T5, or what a CLAP reads with; in evaluation mode.

    Raises ``WeightsError`` where it is of another kind, damaged or incomplete.
    """
    settings = published.read_settings(folder)
    match settings.get("family", settings.get("model_type")):
        case None:
            return load_text_encoder(folder)
        case "t5":
            return load_t5(folder)
        case "clap":
            clap = load_clap(folder) if published.wrote(folder) else load_trained_clap(folder)
            return CLAPReader(clap.text)  # type: ignore[arg-type] - every text tower of a CLAP gives its tokens
        case kind:
            raise WeightsError(f"{folder} holds a {kind} model, which reads no texts; name text-mini, a T5 or a CLAP")
