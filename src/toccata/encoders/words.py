"""A small text tower: the bundled word vectors, put into context by a few blocks.

Shapes: B texts, L tokens, D width.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from toccata.encoders.text import TextEncoder
from toccata.nn.attention import rotary_table
from toccata.nn.transformer import Block, Blocks


@dataclass(frozen=True)
class WordsConfig:
    """Sizes of the small text tower."""

    width: int = 256
    layers: int = 2
    heads: int = 4


class WordTower(nn.Module):
    """Word vectors, which stay as they are -> blocks -> the mean token."""

    def __init__(self, words: TextEncoder, width: int = 256, layers: int = 2, heads: int = 4) -> None:
        super().__init__()
        self._words = [words]  # in a list, so that its tables are neither trained nor saved with this tower
        self.width, self.heads = width, heads
        self.into = nn.Linear(words.config.width, width)
        self.blocks = Blocks(Block(width, heads, 2 * width, cross=False, causal=False) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def tokenise(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """``ids_BL`` and ``mask_BL``; raises ``InputError`` for a text without any word that is known."""
        return self._words[0].tokenise(texts)

    def contextualise(self, ids_BL: Tensor, mask_BL: Tensor, without: int = 0) -> Tensor:
        """Each token in its context (B, L, width); the last ``without`` blocks are left out."""
        device = self.norm.weight.device
        hidden = self.into(self._words[0](ids_BL.cpu(), mask_BL.cpu()).tokens_BLD.to(device))
        rotary = rotary_table(hidden.shape[1], self.width // self.heads).to(device)
        for block in list(self.blocks)[: len(self.blocks) - without]:
            hidden = block(hidden, rotary_2SE=rotary, mask_BS=mask_BL.to(device))
        return hidden

    def summarise(self, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
        """(B, width): the mean of the normalised tokens."""
        mask_BL1 = mask_BL.to(self.norm.weight.device)[..., None]
        return (self.norm(self.contextualise(ids_BL, mask_BL)) * mask_BL1).sum(1) / mask_BL1.sum(1)
