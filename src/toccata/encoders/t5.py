"""T5's encoder (Raffel et al. 2020, arXiv 1910.10683), which the published MusicGen and Stable Audio read texts with.

Pre-norm blocks with RMS norms, attention without the usual scale, and no positions but a learnt bias for every bucket
of distances. Version 1.0 has a ReLU in its feed-forward, 1.1 (and Flan) a gated GELU (arXiv 2002.05202).

Shapes: B texts, L tokens, D width, H heads, E width of a head.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from toccata.encoders.features import TextFeatures, padded, read_tokeniser
from toccata.errors import WeightsError
from toccata.nn.attention import distance_buckets
from toccata.weights import checkpoint, published


@dataclass(frozen=True)
class T5Config:
    """Sizes of an encoder; ``gated`` chooses version 1.1's feed-forward.

    ``max_tokens`` is where texts are cut, ``end`` the id of the token that closes each; distances of
    ``max_distance`` tokens and more share the last of ``buckets`` buckets.
    """

    width: int = 768
    layers: int = 12
    heads: int = 12
    head_width: int = 64
    inner: int = 3072
    vocabulary: int = 32128
    gated: bool = False
    buckets: int = 32
    max_distance: int = 128
    epsilon: float = 1e-6
    end: int = 1
    max_tokens: int = 512


def t5_small() -> T5Config:
    return T5Config(width=512, layers=6, heads=8, inner=2048)


def t5_base() -> T5Config:
    return T5Config()


def t5_large() -> T5Config:
    return T5Config(width=1024, layers=24, heads=16, inner=4096)


class Attention(nn.Module):
    """Attention of every token to every other, scores unscaled and biased by distance."""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.heads = config.heads
        inside = config.heads * config.head_width
        self.query, self.key, self.value = (nn.Linear(config.width, inside, bias=False) for _ in range(3))
        self.out = nn.Linear(inside, config.width, bias=False)

    def forward(self, x_BLD: Tensor, bias_BHLL: Tensor) -> Tensor:
        q, k, v = (
            project(x_BLD).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        mixed_BHLE = F.scaled_dot_product_attention(q, k, v, attn_mask=bias_BHLL, scale=1.0)
        return self.out(mixed_BHLE.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """ReLU between two projections, or a GELU that gates a third."""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.up = nn.Linear(config.width, config.inner, bias=False)
        self.gate = nn.Linear(config.width, config.inner, bias=False) if config.gated else None
        self.down = nn.Linear(config.inner, config.width, bias=False)

    def forward(self, x_BLD: Tensor) -> Tensor:
        if self.gate is None:
            return self.down(F.relu(self.up(x_BLD)))
        return self.down(F.gelu(self.gate(x_BLD), approximate="tanh") * self.up(x_BLD))


class Block(nn.Module):
    """Attention, then the feed-forward, each after an RMS norm and added to its input."""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.norm_attention = nn.RMSNorm(config.width, config.epsilon)
        self.attention = Attention(config)
        self.norm_inner = nn.RMSNorm(config.width, config.epsilon)
        self.inner = FeedForward(config)

    def forward(self, x_BLD: Tensor, bias_BHLL: Tensor) -> Tensor:
        x = x_BLD + self.attention(self.norm_attention(x_BLD), bias_BHLL)
        return x + self.inner(self.norm_inner(x))


class T5Encoder(nn.Module):
    """Reads texts in context; a text's features depend neither on the texts beside it nor on its padding."""

    def __init__(self, config: T5Config, tokeniser: Tokenizer) -> None:
        super().__init__()
        self.config = config
        tokeniser.no_padding()
        tokeniser.no_truncation()
        self._tokeniser = tokeniser
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.distances = nn.Embedding(config.buckets, config.heads)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.width, config.epsilon)

    @property
    def width(self) -> int:
        return self.config.width

    def tokenise(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """``ids_BL`` (int64), each text's closed by the end token, and ``mask_BL`` (True on tokens).

        Texts are cut at ``max_tokens``. Raises ``InputError`` for no texts at all; an empty text is its end token.
        """
        return padded([self._ids(text) for text in texts])

    def _ids(self, text: str) -> list[int]:
        ids = self._tokeniser.encode(text.encode("utf-8", "ignore").decode()).ids  # a lone surrogate is no text
        body = ids[:-1] if ids and ids[-1] == self.config.end else ids
        return [*body[: self.config.max_tokens - 1], self.config.end]

    def forward(self, ids_BL: Tensor, mask_BL: Tensor) -> TextFeatures:
        """Features of tokens that ``tokenise`` gave, on the module's device."""
        place_L = torch.arange(ids_BL.shape[1], device=ids_BL.device)
        ahead_LL = place_L - place_L[:, None]
        buckets_LL = distance_buckets(ahead_LL, self.config.buckets, self.config.max_distance, both_ways=True)
        bias_HLL = self.distances(buckets_LL).permute(2, 0, 1)
        bias_BHLL = bias_HLL.masked_fill(~mask_BL[:, None, None], float("-inf"))
        x = self.embedding(ids_BL)
        for block in self.blocks:
            x = block(x, bias_BHLL)
        tokens_BLD = self.norm(x) * mask_BL[..., None]
        return TextFeatures(tokens_BLD, mask_BL, F.normalize(tokens_BLD.sum(1), dim=-1))

    def summarise(self, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
        """The mean of the tokens, at unit length: (B, D)."""
        return self(ids_BL, mask_BL).pooled_BD

    @torch.no_grad()
    def encode(self, texts: list[str]) -> TextFeatures:
        """Features of ``texts``; raises ``InputError`` as ``tokenise`` does."""
        ids_BL, mask_BL = self.tokenise(texts)
        device = self.embedding.weight.device
        return self(ids_BL.to(device), mask_BL.to(device))


def load_t5(folder: Path) -> T5Encoder:
    """The encoder in a folder as transformers writes it: config.json, tokenizer.json, model.safetensors or its shards.

    The folder may be T5's own or that of a model which carries T5 as its ``text_encoder``, such as MusicGen's.
    Float32, in evaluation mode. Raises ``WeightsError`` where a file is missing, damaged or of another model.
    """
    settings, prefix = published.read_settings(folder), ""
    if isinstance(settings.get("text_encoder"), dict):
        settings, prefix = settings["text_encoder"], "text_encoder."
    config = t5_config(settings, folder)
    tokeniser = read_tokeniser(folder)
    return t5_from_tensors(config, published.read_tensors(folder, prefix), tokeniser, folder)


def t5_from_tensors(config: T5Config, tensors: dict[str, Tensor], tokeniser: Tokenizer, source: Path) -> T5Encoder:
    """An encoder from ``tensors`` named as transformers names them; what belongs to T5's decoder is left out.

    ``source`` is for the sentence of the ``WeightsError`` where they don't fit.
    """
    encoder = T5Encoder(config, tokeniser)
    checkpoint.load_into(encoder, _renamed(tensors), source)
    return encoder.eval()


def t5_config(settings: dict[str, Any], source: Path) -> T5Config:
    """The sizes that transformers' configuration of a T5 states; raises ``WeightsError`` where it is none."""
    kind, forward = settings.get("model_type"), settings.get("feed_forward_proj", "relu")
    if kind != "t5" or forward not in ("relu", "gated-gelu"):
        raise WeightsError(f"{source} holds no T5 that toccata can read: a {kind} model with {forward} feed-forward")
    try:
        return T5Config(
            width=int(settings["d_model"]),
            layers=int(settings["num_layers"]),
            heads=int(settings["num_heads"]),
            head_width=int(settings["d_kv"]),
            inner=int(settings["d_ff"]),
            vocabulary=int(settings["vocab_size"]),
            gated=forward == "gated-gelu",
            buckets=int(settings.get("relative_attention_num_buckets", 32)),
            max_distance=int(settings.get("relative_attention_max_distance", 128)),
            epsilon=float(settings.get("layer_norm_epsilon", 1e-6)),
            end=int(settings.get("eos_token_id", 1)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{source} holds no T5 that toccata can read: its config.json lacks {error}") from None


_BLOCK = re.compile(r"encoder\.block\.(\d+)\.layer\.(.+)\.weight")
_IN_BLOCK = {
    "0.SelfAttention.q": "attention.query",
    "0.SelfAttention.k": "attention.key",
    "0.SelfAttention.v": "attention.value",
    "0.SelfAttention.o": "attention.out",
    "0.layer_norm": "norm_attention",
    "1.DenseReluDense.wi": "inner.up",
    "1.DenseReluDense.wi_0": "inner.gate",
    "1.DenseReluDense.wi_1": "inner.up",
    "1.DenseReluDense.wo": "inner.down",
    "1.layer_norm": "norm_inner",
}
_OUTSIDE = {
    "shared.weight": "embedding.weight",
    "encoder.embed_tokens.weight": "embedding.weight",
    "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": "distances.weight",
    "encoder.final_layer_norm.weight": "norm.weight",
}


def _renamed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """From transformers' names to ours; a name that neither knows is kept, to be told."""
    ours: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        block = _BLOCK.fullmatch(name)
        if name in _OUTSIDE:
            ours[_OUTSIDE[name]] = tensor
        elif block and block[2] in _IN_BLOCK:
            ours[f"blocks.{block[1]}.{_IN_BLOCK[block[2]]}.weight"] = tensor
        elif not name.startswith(("decoder.", "lm_head.")):
            ours[name] = tensor
    return ours
