"""The bundled text encoder: a table of word vectors that understands open vocabulary offline, in well under 2 ms.

Every word and word piece has one vector, distilled by ``toccata.recipes.text`` from a sentence encoder, so that words
of like meaning lie close. A prompt's tokens are what cross-attention reads; their weighted mean stands for the prompt.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from toccata.encoders.features import TextFeatures, padded, read_tokeniser
from toccata.errors import InputError, WeightsError
from toccata.weights import checkpoint

BUNDLED = Path(__file__).resolve().parents[1] / "bundled" / "text-mini"
UNKNOWN = "[UNK]"


@dataclass(frozen=True)
class TextConfig:
    """``vocab`` rows of ``width`` dimensions; prompts are cut after ``max_tokens`` tokens."""

    vocab: int
    width: int = 256
    max_tokens: int = 64


class TextEncoder(nn.Module):
    """Looks up a vector for each token and pools them by weight; a text's features never depend on its batch.

    ``rows_VD`` is int8 with one scale a row, about unit RMS a dimension; ``weights_V`` is small for common words such
    as "the", which say little.
    """

    rows_VD: Tensor
    scales_V: Tensor
    weights_V: Tensor

    def __init__(self, config: TextConfig, tokeniser: Tokenizer) -> None:
        super().__init__()
        self.config = config
        self._tokeniser = tokeniser
        self._unknown = tokeniser.token_to_id(UNKNOWN)
        self.register_buffer("rows_VD", torch.zeros(config.vocab, config.width, dtype=torch.int8))
        self.register_buffer("scales_V", torch.zeros(config.vocab, dtype=torch.float16))
        self.register_buffer("weights_V", torch.zeros(config.vocab, dtype=torch.float16))

    @property
    def width(self) -> int:
        return self.config.width

    def tokenise(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """``ids_BL`` (int64) and ``mask_BL`` (True on tokens), padded to the longest text and cut at ``max_tokens``.

        What no word of the vocabulary covers (punctuation, emoji, other scripts) is left out. Raises ``InputError``
        for a text of which nothing is left.
        """
        return padded([self._ids(text) for text in texts])

    def covers(self, text: str) -> bool:
        """Whether any word of it is known."""
        return bool(self._known(text.encode("utf-8", "ignore").decode()))

    def _known(self, text: str) -> list[int]:
        return [i for i in self._tokeniser.encode(text).ids if i != self._unknown]

    def _ids(self, text: str) -> list[int]:
        clean = text.encode("utf-8", "ignore").decode()  # a lone surrogate is no text
        found = self._known(clean)
        if not found:
            shown = clean if len(clean) <= 40 else clean[:40] + "..."
            raise InputError(
                f"the prompt {shown!r} has no word that can be understood; describe the music in English words"
            )
        return found[: self.config.max_tokens]

    def forward(self, ids_BL: Tensor, mask_BL: Tensor) -> TextFeatures:
        """Features of tokens that ``tokenise`` gave, on the module's device."""
        tokens_BLD = self.rows_VD[ids_BL] * (self.scales_V[ids_BL].float() * mask_BL)[..., None]
        weighted_BLD = tokens_BLD * self.weights_V[ids_BL].float()[..., None]
        # A running sum adds in token order, so that padding cannot change the rounding.
        pooled_BD = F.normalize(weighted_BLD.cumsum(1)[:, -1], dim=-1)
        return TextFeatures(tokens_BLD, mask_BL, pooled_BD)

    @torch.no_grad()
    def encode(self, texts: list[str]) -> TextFeatures:
        """Features of ``texts``; raises ``InputError`` as ``tokenise`` does."""
        ids_BL, mask_BL = self.tokenise(texts)
        return self(ids_BL.to(self.rows_VD.device), mask_BL.to(self.rows_VD.device))


def save_text_encoder(encoder: TextEncoder, folder: Path) -> None:
    """Write ``encoder`` to ``folder``: config.json, tokenizer.json and the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    encoder._tokeniser.save(str(folder / "tokenizer.json"), pretty=False)
    checkpoint.save(folder, asdict(encoder.config), encoder.state_dict())


def load_text_encoder(folder: Path | None = None) -> TextEncoder:
    """The encoder in ``folder``, by default the one that ships; raises ``WeightsError`` where it is not whole."""
    folder = folder or BUNDLED
    config, tensors = checkpoint.load(folder)
    encoder = TextEncoder(_config(config, folder), read_tokeniser(folder))
    checkpoint.load_into(encoder, tensors, folder)
    return encoder.eval()


def _config(config: dict[str, Any], folder: Path) -> TextConfig:
    try:
        return TextConfig(**{name: int(config[name]) for name in ("vocab", "width", "max_tokens")})
    except (KeyError, TypeError, ValueError):
        raise WeightsError(
            f"{folder} holds no text encoder: its config.json lacks vocab, width or max_tokens"
        ) from None
