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

    def summarise(self, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
        """(B, width): the mean of the normalised tokens."""
        device = self.norm.weight.device
        features = self._words[0](ids_BL.cpu(), mask_BL.cpu())
        mask_BL = features.mask_BL.to(device)
        hidden = self.into(features.tokens_BLD.to(device))
        rotary = rotary_table(hidden.shape[1], self.width // self.heads).to(device)
        for block in self.blocks:
            hidden = block(hidden, rotary_2SE=rotary, mask_BS=mask_BL)
        return (self.norm(hidden) * mask_BL[..., None]).sum(1) / mask_BL.sum(1, keepdim=True)
