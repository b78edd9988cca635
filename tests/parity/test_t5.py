"""T5's encoder against transformers' on the same random weights, texts and files."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from toccata.encoders.readers import load_reader
from toccata.encoders.t5 import load_t5

transformers = pytest.importorskip("transformers")

WORDS = ("warm", "lo", "fi", "piano", "over", "a", "slow", "boom", "bap", "beat", "80", "s", "synth", "-", "pop", "!")
TEXTS = ["warm piano", "a slow boom-bap beat over warm lo-fi piano!", "80s synth-pop", "", "🎷 piano " * 60]
SIZES = {"d_model": 32, "d_kv": 6, "d_ff": 40, "num_layers": 3, "num_heads": 4, "dropout_rate": 0.0}


def tokeniser():
    """transformers' own T5 tokeniser over a few words: pieces, scores, and every letter of them."""
    letters = sorted(set("".join(WORDS)))
    pieces = [("▁" + word, -1.0) for word in WORDS] + [(word, -2.0) for word in WORDS if len(word) > 1]
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0), *pieces, *((c, -5.0) for c in letters)]
    vocabulary = list(dict(reversed(vocabulary)).items())[::-1]
    return transformers.T5Tokenizer(vocab=vocabulary, extra_ids=3)


@pytest.fixture(scope="module", params=["relu", "gated-gelu"])
def pair(request, tmp_path_factory):
    theirs = tokeniser()
    config = transformers.T5Config(vocab_size=len(theirs), feed_forward_proj=request.param, **SIZES)
    torch.manual_seed(0)
    model = transformers.T5EncoderModel(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, mean=0.1, std=0.3)
    folder = tmp_path_factory.mktemp("t5")
    model.save_pretrained(folder)
    theirs.save_pretrained(folder)
    return model, theirs, load_t5(folder)


def test_its_folder_opens_as_what_a_model_reads_with(pair, tmp_path):
    model, theirs, ours = pair
    model.save_pretrained(tmp_path)
    theirs.save_pretrained(tmp_path)
    reader = load_reader(tmp_path)
    assert reader.width == ours.width
    assert torch.equal(reader.encode(TEXTS[:2]).tokens_BLD, ours.encode(TEXTS[:2]).tokens_BLD)


def hidden(model, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
    with torch.no_grad():
        return model(input_ids=ids_BL, attention_mask=mask_BL.long()).last_hidden_state


def test_ids_equal_transformers(pair):
    _, theirs, ours = pair
    batch = theirs(TEXTS, padding=True, return_tensors="pt")
    ids_BL, mask_BL = ours.tokenise(TEXTS)
    assert torch.equal(ids_BL, batch["input_ids"])
    assert torch.equal(mask_BL, batch["attention_mask"].bool())
    assert ids_BL.unique().numel() > 15


def test_features_of_a_padded_batch_equal_transformers(pair):
    model, _, ours = pair
    ids_BL, mask_BL = ours.tokenise(TEXTS)
    assert ids_BL.shape[1] > 160  # past the widest bucket's 128
    with torch.no_grad():
        features = ours(ids_BL, mask_BL)
    expected = hidden(model, ids_BL, mask_BL)
    assert expected[mask_BL].std() > 0.1
    assert (features.tokens_BLD - expected)[mask_BL].abs().max() < 1e-5
    assert not features.tokens_BLD[~mask_BL].any()


def test_a_whole_t5_in_shards_gives_the_same_encoder(pair, tmp_path: Path):
    _, theirs, _ = pair
    torch.manual_seed(1)
    whole = transformers.T5ForConditionalGeneration(transformers.T5Config(vocab_size=len(theirs), **SIZES)).eval()
    whole.save_pretrained(tmp_path, max_shard_size="20KB")
    theirs.save_pretrained(tmp_path)
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    features = load_t5(tmp_path).encode(TEXTS)
    ids_BL, mask_BL = load_t5(tmp_path).tokenise(TEXTS)
    expected = hidden(whole.encoder, ids_BL, mask_BL)
    assert (features.tokens_BLD - expected)[mask_BL].abs().max() < 1e-5


def test_the_text_encoder_of_a_published_musicgen_is_read_by_its_prefix(pair, tmp_path: Path):
    _, theirs, _ = pair
    codec = transformers.EncodecConfig(
        num_filters=4, hidden_size=8, codebook_size=8, codebook_dim=8, num_lstm_layers=1, upsampling_ratios=[2, 2]
    )
    text = transformers.T5Config(vocab_size=len(theirs), **SIZES)
    decoder = transformers.MusicgenDecoderConfig(
        vocab_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, ffn_dim=16, num_codebooks=2,
        pad_token_id=8, bos_token_id=8,
    )  # fmt: skip
    config = transformers.MusicgenConfig(
        text_encoder=text.to_dict(), audio_encoder=codec.to_dict(), decoder=decoder.to_dict()
    )
    model = transformers.MusicgenForConditionalGeneration(config).eval()
    model.save_pretrained(tmp_path)
    theirs.save_pretrained(tmp_path)
    ours = load_t5(tmp_path)
    ids_BL, mask_BL = ours.tokenise(TEXTS)
    expected = hidden(model.text_encoder, ids_BL, mask_BL)
    assert (ours.encode(TEXTS).tokens_BLD - expected)[mask_BL].abs().max() < 1e-5
