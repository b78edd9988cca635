"""T5's encoder: a text's features are its own, sizes are the published ones, wrong folders are told."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from toccata.encoders.t5 import T5Config, T5Encoder, load_t5, t5_base, t5_large, t5_small
from toccata.errors import InputError, WeightsError

WORDS = ("<pad>", "</s>", "<unk>", "slow", "piano", "warm", "drums")
TINY = T5Config(width=16, layers=2, heads=2, head_width=8, inner=24, vocabulary=len(WORDS), max_tokens=200)


def tokeniser() -> Tokenizer:
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    return made


@pytest.fixture(scope="module")
def encoder() -> T5Encoder:
    torch.manual_seed(0)
    made = T5Encoder(TINY, tokeniser()).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a public checkpoint looks like, made by hand."""
    settings = {"model_type": "t5", "d_model": 4, "d_kv": 2, "d_ff": 6, "num_layers": 1, "num_heads": 2}
    (tmp_path / "config.json").write_text(json.dumps(settings | {"vocab_size": len(WORDS)}))
    layer = "encoder.block.0.layer"
    shapes = {"shared": (len(WORDS), 4), "encoder.final_layer_norm": (4,)}
    shapes |= {f"{layer}.0.SelfAttention.{name}": (4, 4) for name in "qkvo"}
    shapes |= {f"{layer}.0.SelfAttention.relative_attention_bias": (32, 2)}
    shapes |= {f"{layer}.{part}.layer_norm": (4,) for part in (0, 1)}
    shapes |= {f"{layer}.1.DenseReluDense.wi": (6, 4), f"{layer}.1.DenseReluDense.wo": (4, 6)}
    save_file({f"{name}.weight": torch.ones(shape) for name, shape in shapes.items()}, tmp_path / "model.safetensors")
    tokeniser().save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_a_text_s_features_depend_neither_on_its_neighbours_nor_on_padding(encoder: T5Encoder):
    texts = ["piano", "slow warm piano " * 40, "drums drums slow", ""]
    batch = encoder.encode(texts)
    for i, text in enumerate(texts):
        alone = encoder.encode([text])
        length = alone.mask_BL.shape[1]
        assert (alone.tokens_BLD[0] - batch.tokens_BLD[i, :length]).abs().max() < 1e-5
        assert (alone.pooled_BD[0] - batch.pooled_BD[i]).abs().max() < 1e-5
        assert not batch.mask_BL[i, length:].any()
        assert not batch.tokens_BLD[i, length:].any()


def test_order_matters_and_pooled_vectors_have_unit_length(encoder: T5Encoder):
    features = encoder.encode(["slow piano warm drums", "slow drums warm piano"])
    assert (features.pooled_BD[0] - features.pooled_BD[1]).abs().max() > 1e-3
    assert torch.allclose(features.pooled_BD.norm(dim=-1), torch.ones(2), atol=1e-5)


def test_every_text_ends_with_the_end_token_however_long(encoder: T5Encoder):
    ids_BL, mask_BL = encoder.tokenise(["piano", "slow " * 1000, "\ud800"])
    assert mask_BL.sum(-1).tolist() == [2, TINY.max_tokens, 1]
    assert all(row[mask][-1] == TINY.end for row, mask in zip(ids_BL, mask_BL, strict=True))
    with pytest.raises(InputError, match="no text"):
        encoder.encode([])


@pytest.mark.parametrize(
    ("config", "millions"),
    [(t5_small(), 35.3), (t5_base(), 109.6), (t5_large(), 334.9), (replace(t5_base(), gated=True, inner=2048), 109.6)],
)
def test_presets_have_the_published_number_of_parameters(config: T5Config, millions: float):
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in T5Encoder(config, tokeniser()).parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.1)


def test_a_folder_made_by_hand_is_read(folder: Path):
    assert load_t5(folder).encode(["slow piano"]).tokens_BLD.shape == (1, 3, 4)


def test_tensors_of_half_precision_are_read_as_float32(folder: Path):
    path = folder / "model.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(path).items()}, path)
    assert load_t5(folder).encode(["slow piano"]).tokens_BLD.dtype == torch.float32


def change(folder: Path, name: str, tensor: torch.Tensor | None) -> None:
    path = folder / "model.safetensors"
    tensors = {**load_file(path), name: tensor}
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def index(folder: Path, text: str) -> None:
    """Make of the folder one in shards: its weights under another name, and ``text`` as the index."""
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    (folder / "model.safetensors.index.json").write_text(text)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda f: (f / "config.json").unlink(), r"config\.json is missing"),
        (lambda f: (f / "config.json").write_text("[]"), "no configuration"),
        (lambda f: (f / "config.json").write_text('{"model_type": "bert"}'), "no T5 .* a bert model"),
        (lambda f: (f / "config.json").write_text('{"model_type": "t5"}'), "lacks 'd_model'"),
        (lambda f: (f / "tokenizer.json").unlink(), r"tokenizer\.json cannot be read"),
        (lambda f: (f / "model.safetensors").unlink(), r"no model\.safetensors; fetch"),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "toccata models convert"),
        (lambda f: (f / "model.safetensors").write_bytes(b"no"), "damaged or incomplete"),
        (lambda f: truncate(f / "model.safetensors"), "damaged or incomplete"),
        (lambda f: change(f, "shared.weight", None), r"lack 'embedding\.weight'"),
        (lambda f: change(f, "shared.weight", torch.ones(3, 4)), r"another shape for 'embedding\.weight'"),
        (lambda f: change(f, "adapter.weight", torch.ones(3)), r"unknown 'adapter\.weight'"),
        (lambda f: index(f, "{}"), "names no weights"),
        (lambda f: index(f, '{"weight_map": {"shared.weight": "b.safetensors"}}'), r"b\.safetensors is missing"),
        (lambda f: index(f, '{"weight_map": {"other.weight": "a.safetensors"}}'), r"lacks 'other\.weight'"),
    ],
)
def test_a_folder_that_is_not_whole_or_of_another_model_is_one_sentence(folder: Path, damage, sentence: str):
    damage(folder)
    with pytest.raises(WeightsError, match=sentence) as caught:
        load_t5(folder)
    assert "\n" not in str(caught.value)
