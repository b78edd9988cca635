"""BERT (Devlin et al. 2018, arXiv 1810.04805) and RoBERTa (Liu et al. 2019, arXiv 1907.11692), which read for CLAP.

The two are one network: post-norm blocks over words with learnt positions. RoBERTa counts positions from 2 and has
one kind of segment; their tokenisers put the first token, which stands for the whole text, and the last one.

Shapes: B texts, L tokens, D width, H heads, E width of a head.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from toccata.encoders.features import TextFeatures, padded, read_tokeniser
from toccata.errors import WeightsError
from toccata.weights import checkpoint, published


@dataclass(frozen=True)
class BertConfig:
    """Sizes of an encoder; texts are cut at ``max_tokens``, positions are counted from ``first_position``.

    Without ``pooled`` the first token stands for the whole text as it is, as in RoBERTa's own weights.
    """

    width: int = 768
    layers: int = 12
    heads: int = 12
    inner: int = 3072
    vocabulary: int = 50265
    positions: int = 514
    first_position: int = 2
    segments: int = 1
    epsilon: float = 1e-5
    max_tokens: int = 512
    pooled: bool = True


def roberta_base(max_tokens: int = 512) -> BertConfig:
    return BertConfig(max_tokens=max_tokens)


def bert_base(max_tokens: int = 512) -> BertConfig:
    return BertConfig(
        vocabulary=30522, positions=512, first_position=0, segments=2, epsilon=1e-12, max_tokens=max_tokens
    )


class Block(nn.Module):
    """Attention of every token to every other, then the feed-forward, each added to its input and normalised."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.norm_attention = nn.LayerNorm(config.width, config.epsilon)
        self.up = nn.Linear(config.width, config.inner)
        self.down = nn.Linear(config.inner, config.width)
        self.norm_inner = nn.LayerNorm(config.width, config.epsilon)

    def forward(self, x_BLD: Tensor, mask_BL: Tensor) -> Tensor:
        q, k, v = self.qkv(x_BLD).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed_BHLE = F.scaled_dot_product_attention(q, k, v, attn_mask=mask_BL[:, None, None])
        x = self.norm_attention(x_BLD + self.out(mixed_BHLE.transpose(1, 2).flatten(2)))
        return self.norm_inner(x + self.down(F.gelu(self.up(x))))


class BertEncoder(nn.Module):
    """Reads texts in context; a text's features depend neither on the texts beside it nor on its padding."""

    def __init__(self, config: BertConfig, tokeniser: Tokenizer) -> None:
        super().__init__()
        self.config = config
        tokeniser.no_padding()
        tokeniser.enable_truncation(config.max_tokens)
        self._tokeniser = tokeniser
        self.words = nn.Embedding(config.vocabulary, config.width)
        self.positions = nn.Embedding(config.positions, config.width)
        self.segments = nn.Embedding(config.segments, config.width)
        self.norm = nn.LayerNorm(config.width, config.epsilon)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.pooler = nn.Linear(config.width, config.width) if config.pooled else None

    @property
    def width(self) -> int:
        return self.config.width

    def tokenise(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """``ids_BL`` (int64), first and last token included, and ``mask_BL`` (True on tokens).

        Texts are cut at ``max_tokens``, the last token kept. Raises ``InputError`` for no texts at all.
        """
        clean = [text.encode("utf-8", "ignore").decode() for text in texts]  # a lone surrogate is no text
        return padded([encoding.ids for encoding in self._tokeniser.encode_batch(clean)])

    def contextualise(self, ids_BL: Tensor, mask_BL: Tensor, without: int = 0) -> Tensor:
        """Each token in its context (B, L, D), whatever it is where ``mask_BL`` is False.

        The last ``without`` layers are left out.
        """
        place_L = torch.arange(ids_BL.shape[1], device=ids_BL.device) + self.config.first_position
        x = self.norm(self.words(ids_BL) + self.positions(place_L) + self.segments.weight[0])
        for block in self.blocks[: len(self.blocks) - without]:
            x = block(x, mask_BL)
        return x

    def summarise(self, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
        """The first token, through the pooler where there is one: (B, D)."""
        first_BD = self.contextualise(ids_BL, mask_BL)[:, 0]
        return first_BD if self.pooler is None else torch.tanh(self.pooler(first_BD))

    def forward(self, ids_BL: Tensor, mask_BL: Tensor) -> TextFeatures:
        """Features of tokens that ``tokenise`` gave, on the module's device; pooled is the mean of the tokens."""
        tokens_BLD = self.contextualise(ids_BL, mask_BL) * mask_BL[..., None]
        return TextFeatures(tokens_BLD, mask_BL, F.normalize(tokens_BLD.sum(1), dim=-1))

    @torch.no_grad()
    def encode(self, texts: list[str]) -> TextFeatures:
        """Features of ``texts``; raises ``InputError`` as ``tokenise`` does."""
        ids_BL, mask_BL = self.tokenise(texts)
        device = self.words.weight.device
        return self(ids_BL.to(device), mask_BL.to(device))


def load_bert(folder: Path) -> BertEncoder:
    """The BERT or RoBERTa in a folder as transformers writes it: config.json, tokenizer.json, model.safetensors.

    Float32, in evaluation mode. Raises ``WeightsError`` where a file is missing, damaged or of another model.
    """
    settings = published.read_settings(folder)
    kind = settings.get("model_type")
    if kind not in ("bert", "roberta"):
        raise WeightsError(f"{folder} holds no BERT that toccata can read: a {kind} model")
    tensors = published.read_tensors(folder, dtype=torch.float32)
    ours = bert_names({name.removeprefix(f"{kind}."): tensor for name, tensor in tensors.items()})
    config = replace(bert_config(settings, folder), pooled="pooler.weight" in ours)
    encoder = BertEncoder(config, read_tokeniser(folder))
    checkpoint.load_into(encoder, ours, folder)
    return encoder.eval()


_FIXED = {"hidden_act": "gelu", "position_embedding_type": "absolute"}


def bert_config(settings: Mapping[str, Any], source: Path, max_tokens: int = 512) -> BertConfig:
    """The sizes that transformers' configuration of a BERT, a RoBERTa or CLAP's text model states.

    What it leaves out is as transformers has it by default. Raises ``WeightsError`` for what toccata cannot build.
    """
    for name, value in _FIXED.items():
        if settings.get(name, value) != value:
            raise WeightsError(f"{source} has a BERT with {name} {settings[name]}; toccata knows {value} only")
    bert = settings.get("model_type") == "bert"
    default = bert_base() if bert else roberta_base()
    first = 0 if bert else int(settings.get("pad_token_id", 1)) + 1
    try:
        positions = int(settings.get("max_position_embeddings", default.positions))
        return BertConfig(
            width=int(settings.get("hidden_size", default.width)),
            layers=int(settings.get("num_hidden_layers", default.layers)),
            heads=int(settings.get("num_attention_heads", default.heads)),
            inner=int(settings.get("intermediate_size", default.inner)),
            vocabulary=int(settings.get("vocab_size", default.vocabulary)),
            positions=positions,
            first_position=first,
            segments=int(settings.get("type_vocab_size", default.segments)),
            epsilon=float(settings.get("layer_norm_eps", 1e-12)),
            max_tokens=min(max_tokens, positions - first),
        )
    except (TypeError, ValueError) as error:
        raise WeightsError(f"{source / 'config.json'} does not describe a BERT ({error}); fetch it again") from None


_OUTSIDE = {
    "embeddings.word_embeddings": "words",
    "embeddings.position_embeddings": "positions",
    "embeddings.token_type_embeddings": "segments",
    "embeddings.LayerNorm": "norm",
    "pooler.dense": "pooler",
}
_IN_BLOCK = {
    "attention.output.dense": "out",
    "attention.output.LayerNorm": "norm_attention",
    "intermediate.dense": "up",
    "output.dense": "down",
    "output.LayerNorm": "norm_inner",
}
_NAME = re.compile(r"(?:encoder\.layer\.(\d+)\.)?(.+)\.(weight|bias)")
_BESIDE = ("cls.", "lm_head.", "embeddings.position_ids", "embeddings.token_type_ids")


def bert_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """From transformers' names to ours, without what predicts words; a name that neither knows is kept, to be told."""
    ours: dict[str, Tensor] = {}
    for name, tensor in join_qkv(tensors, "attention.self.{}", "qkv").items():
        name = name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
        found = _NAME.fullmatch(name)
        layer, part, kind = found.groups() if found else (None, name, "")
        if layer is not None and part in (*_IN_BLOCK, "qkv"):
            ours[f"blocks.{layer}.{_IN_BLOCK.get(part, part)}.{kind}"] = tensor
        elif layer is None and part in _OUTSIDE:
            ours[f"{_OUTSIDE[part]}.{kind}"] = tensor
        elif not name.startswith(_BESIDE):
            ours[name] = tensor
    return ours


def join_qkv(tensors: Mapping[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    """``tensors`` with query, key and value, wherever all three are, stacked as one under the name ``ours``."""
    joined = dict(tensors)
    for name in tensors:
        start, found, end = name.partition(theirs.format("query") + ".")
        three = [f"{start}{theirs.format(part)}.{end}" for part in ("query", "key", "value")]
        if found and all(each in tensors for each in three):
            joined[f"{start}{ours}.{end}"] = torch.cat([joined.pop(each) for each in three])
    return joined
