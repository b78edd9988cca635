"""BERT and RoBERTa: a text's features are its own, sizes are the published ones, wrong folders are told."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from toccata.encoders.bert import BertConfig, BertEncoder, bert_base, load_bert, roberta_base
from toccata.errors import InputError, WeightsError

WORDS = ("<s>", "<pad>", "</s>", "<unk>", "slow", "piano", "warm", "drums")
TINY = BertConfig(width=16, layers=2, heads=2, inner=24, vocabulary=len(WORDS), positions=60, max_tokens=50)


def tokeniser() -> Tokenizer:
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))  # type: ignore[assignment]
    return made


@pytest.fixture(scope="module")
def encoder() -> BertEncoder:
    torch.manual_seed(0)
    made = BertEncoder(TINY, tokeniser()).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return made


def test_a_text_s_features_depend_neither_on_its_neighbours_nor_on_padding(encoder: BertEncoder):
    texts = ["piano", "slow warm piano " * 40, "drums drums slow", ""]
    batch = encoder.encode(texts)
    summaries_BD = encoder.summarise(*encoder.tokenise(texts))
    for i, text in enumerate(texts):
        alone = encoder.encode([text])
        length = alone.mask_BL.shape[1]
        assert (alone.tokens_BLD[0] - batch.tokens_BLD[i, :length]).abs().max() < 1e-5
        assert (alone.pooled_BD[0] - batch.pooled_BD[i]).abs().max() < 1e-5
        assert (encoder.summarise(*encoder.tokenise([text]))[0] - summaries_BD[i]).abs().max() < 1e-5
        assert not batch.tokens_BLD[i, length:].any()


def test_texts_keep_their_first_and_last_token_however_long(encoder: BertEncoder):
    ids_BL, mask_BL = encoder.tokenise(["piano", "slow " * 1000, "\ud800"])
    assert mask_BL.sum(-1).tolist() == [3, TINY.max_tokens, 2]
    assert all(row[mask][[0, -1]].tolist() == [0, 2] for row, mask in zip(ids_BL, mask_BL, strict=True))
    with pytest.raises(InputError, match="no text"):
        encoder.encode([])


@pytest.mark.parametrize(("config", "millions"), [(roberta_base(), 124.6), (bert_base(), 109.5)])
def test_presets_have_the_published_number_of_parameters(config: BertConfig, millions: float):
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in BertEncoder(config, tokeniser()).parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a public checkpoint looks like, made by hand: with a head that predicts words, and no pooler."""
    settings = {"model_type": "roberta", "hidden_size": 4, "num_hidden_layers": 0, "num_attention_heads": 1}
    (tmp_path / "config.json").write_text(json.dumps(settings | {"vocab_size": len(WORDS), "type_vocab_size": 1}))
    shapes = {"word": len(WORDS), "position": 512, "token_type": 1}
    tensors = {f"roberta.embeddings.{name}_embeddings.weight": torch.ones(rows, 4) for name, rows in shapes.items()}
    tensors |= {f"roberta.embeddings.LayerNorm.{name}": torch.ones(4) for name in ("gamma", "beta")}
    save_file(tensors | {"lm_head.bias": torch.ones(3)}, tmp_path / "model.safetensors")
    tokeniser().save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_a_folder_with_old_names_and_without_a_pooler_is_read(folder: Path):
    settings = json.loads((folder / "config.json").read_text()) | {"max_position_embeddings": 512}
    (folder / "config.json").write_text(json.dumps(settings))
    encoder = load_bert(folder)
    assert not encoder.config.pooled
    assert encoder.summarise(*encoder.tokenise(["slow piano"])).shape == (1, 4)


@pytest.mark.parametrize(
    ("settings", "name", "sentence"),
    [
        ({"model_type": "gpt2"}, "", "no BERT .* a gpt2 model"),
        ({"hidden_act": "relu"}, "", "hidden_act relu; toccata knows gelu only"),
        ({"hidden_size": []}, "", "does not describe a BERT"),
        ({}, "roberta.embeddings.extra.weight", r"unknown 'embeddings\.extra\.weight'"),
        ({"max_position_embeddings": 9}, "", r"another shape for 'positions\.weight'"),
    ],
)
def test_a_folder_of_another_model_is_one_sentence(folder: Path, settings: dict, name: str, sentence: str):
    said = json.loads((folder / "config.json").read_text()) | {"max_position_embeddings": 512} | settings
    (folder / "config.json").write_text(json.dumps(said))
    if name:
        save_file({**load_file(folder / "model.safetensors"), name: torch.ones(1)}, folder / "model.safetensors")
    with pytest.raises(WeightsError, match=sentence):
        load_bert(folder)
