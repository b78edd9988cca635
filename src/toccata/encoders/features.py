"""What every text encoder gives: features of each token, and one vector for the whole text.

Shapes: B texts, L tokens, D width.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from toccata.errors import InputError, WeightsError


@dataclass(frozen=True)
class TextFeatures:
    """``tokens_BLD``, 0 where ``mask_BL`` is False, for cross-attention; ``pooled_BD`` of unit length, to compare."""

    tokens_BLD: Tensor
    mask_BL: Tensor
    pooled_BD: Tensor


def padded(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Token ids of each text -> ``ids_BL`` (int64, 0 after a text's end) and ``mask_BL`` (True on tokens)."""
    if not rows:
        raise InputError("there is no text to encode; give at least one")
    mask_BL = torch.arange(max(map(len, rows))) < torch.tensor([len(row) for row in rows])[:, None]
    ids_BL = torch.zeros(mask_BL.shape, dtype=torch.int64)
    ids_BL[mask_BL] = torch.tensor([i for row in rows for i in row])
    return ids_BL, mask_BL


def read_tokeniser(folder: Path) -> Tokenizer:
    """The tokeniser that ``folder`` holds as tokenizer.json; raises ``WeightsError`` where there is none."""
    path = folder / "tokenizer.json"
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise WeightsError(f"{path} cannot be read ({error}); fetch or train it again") from None
