"""Whatever reads texts is opened by its folder: text-mini, a T5, a CLAP of either layout; parts go with their model."""

import json
from pathlib import Path

import pytest
import torch

from toccata.encoders import text
from toccata.encoders.bert import BertConfig
from toccata.encoders.clap import CLAPConfig, build, save_clap
from toccata.encoders.clap_pictures import Pictures
from toccata.encoders.htsat import HTSATConfig
from toccata.encoders.readers import CLAPReader, load_reader
from toccata.encoders.words import WordsConfig
from toccata.errors import InputError, WeightsError
from toccata.weights import store
from toccata.weights.parts import adopt, find_part

AUDIO = HTSATConfig(width=8, depths=(2, 2), heads=(2, 4), bands=16, side=32, window=4)
PICTURES = Pictures(8000, window=256, hop=160, bands=16, low=50, high=4000, seconds=1)
TEXTS = ["warm piano", "slow strings over a beat"]


@pytest.fixture
def clap(tmp_path) -> Path:
    torch.manual_seed(0)
    config = CLAPConfig(AUDIO, WordsConfig(width=32, layers=2, heads=2), PICTURES, width=12)
    save_clap(tmp_path / "clap", build(config), config)
    return tmp_path / "clap"


def test_a_clap_reads_without_its_last_layer(clap):
    reader = load_reader(clap)
    assert isinstance(reader, CLAPReader)
    found, tower = reader.encode(TEXTS), reader.tower
    assert found.tokens_BLD.shape == (2, found.mask_BL.shape[1], reader.width)
    assert not found.tokens_BLD[~found.mask_BL].any()
    ids_BL, mask_BL = tower.tokenise(TEXTS)
    first, second = (tower.contextualise(ids_BL, mask_BL, without) for without in (1, 0))
    assert torch.allclose(found.tokens_BLD[mask_BL], first[mask_BL], atol=1e-5)
    assert not torch.allclose(first[mask_BL], second[mask_BL], atol=1e-3)


def test_a_text_s_features_do_not_depend_on_the_texts_beside_it(clap):
    reader = load_reader(clap)
    alone, both = reader.encode(TEXTS[:1]), reader.encode(TEXTS)
    count = alone.mask_BL.sum()
    assert torch.allclose(alone.tokens_BLD[0], both.tokens_BLD[0, :count], atol=1e-5)


def test_the_text_tower_leaves_no_trace_of_a_layer_that_is_left_out(clap):
    reader = load_reader(clap)
    assert isinstance(reader, CLAPReader)
    before = reader.encode(TEXTS).tokens_BLD
    for parameter in list(reader.tower.blocks)[-1].parameters():  # type: ignore[attr-defined]
        parameter.data.zero_()
    assert torch.equal(reader.encode(TEXTS).tokens_BLD, before)


def test_text_mini_is_a_reader_as_any_other():
    reader, plain = load_reader(text.BUNDLED), text.load_text_encoder()
    assert reader.width == plain.config.width
    assert torch.equal(reader.encode(TEXTS).tokens_BLD, plain.encode(TEXTS).tokens_BLD)


def test_what_reads_no_texts_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"family": "soundstream"}))
    with pytest.raises(WeightsError, match="holds a soundstream model, which reads no texts"):
        load_reader(tmp_path)


def test_no_text_at_all_is_refused(clap):
    with pytest.raises(InputError, match="text 2 is empty"):
        load_reader(clap).encode(["piano", " "])


def test_a_folder_is_copied_beside_the_model_and_found_there(clap, tmp_path):
    place, name = adopt(str(clap), tmp_path / "out" / "text")
    assert (place, name) == (tmp_path / "out" / "text", "text")
    (clap / "config.json").write_text("gone")
    assert find_part(tmp_path / "out" / "model", {"text": name}, "text") == place
    assert isinstance(load_reader(place), CLAPReader)
    assert adopt(str(place), place) == (place, "text")  # again, from what lies there
    assert sorted(path.name for path in place.parent.iterdir()) == ["text"]


def test_what_ships_and_what_is_public_keep_their_names(tmp_path, monkeypatch):
    assert adopt("text-mini", tmp_path / "text") == (text.BUNDLED, "text-mini")
    name = "laion/clap-htsat-unfused"
    found = store.Fetched(name, "c0ffee", tmp_path / "hub", (), ())
    monkeypatch.setattr(store, "fetched", lambda model: found if model.name == name else None)
    assert adopt(name, tmp_path / "text") == (tmp_path / "hub", name)
    assert find_part(tmp_path / "model", {"text": name}, "text") == tmp_path / "hub"
    monkeypatch.setattr(store, "fetched", lambda model: None)
    for asked in (lambda: adopt(name, tmp_path / "text"), lambda: find_part(tmp_path, {"text": name}, "text")):
        with pytest.raises(WeightsError, match="run: toccata models pull laion/clap-htsat-unfused"):
            asked()
    with pytest.raises(InputError, match="no part of toccata"):
        adopt("nowhere", tmp_path / "text")
    assert not list(tmp_path.iterdir())


def test_a_bert_and_its_tokeniser_come_back(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({"<unk>": 0, "piano": 1, "warm": 2}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    sizes = BertConfig(width=16, layers=2, heads=2, inner=24, vocabulary=3, positions=20, max_tokens=10)
    config = CLAPConfig(AUDIO, sizes, PICTURES, width=12)
    made = build(config, words).eval()
    save_clap(tmp_path / "clap", made, config)
    again = load_reader(tmp_path / "clap")
    expected = CLAPReader(made.text).encode(TEXTS).tokens_BLD  # type: ignore[arg-type]
    assert torch.allclose(again.encode(TEXTS).tokens_BLD, expected, atol=0.05)  # saved in compact form
