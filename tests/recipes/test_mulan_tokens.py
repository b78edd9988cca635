"""The tokens of a trained MuLan, fitted anew to a folder of sounds without a word."""

import json
from dataclasses import replace

import pytest
import torch

from toccata.encoders.mulan import MuLan, load_mulan, mini, save_mulan
from toccata.encoders.text import load_text_encoder
from toccata.encoders.towers import text_tower
from toccata.encoders.words import WordsConfig
from toccata.errors import InputError
from toccata.recipes import mulan_tokens, music


@pytest.fixture
def recipe(tmp_path, monkeypatch, manifest):
    tower = replace(mini().audio, bands=32, frames=50, patch=(32, 8), stride=(32, 8), width=48, layers=1, heads=3)
    tiny = replace(mini(), audio=tower, text=WordsConfig(64, 1, 2), width=16, bands=32, window_seconds=1.0, levels=2,
                   vocabulary=4)  # fmt: skip
    torch.manual_seed(0)
    joint = MuLan(tiny, text_tower(tiny.text, None, load_text_encoder())).eval()
    joint.quantiser.fit(torch.nn.functional.normalize(torch.randn(60, 16), dim=-1), torch.Generator().manual_seed(0))
    save_mulan(tmp_path / "mulan", joint, name="tiny", steps=7)
    monkeypatch.setattr(music, "PIECES", 2)
    path = manifest(lambda index: 1.5)
    path.write_text("\n".join(json.dumps({"path": json.loads(line)["path"]}) for line in path.read_text().splitlines()))
    return mulan_tokens.MuLanTokensRecipe(
        out=tmp_path / "out", mels=tmp_path / "mels", manifest=path, model=tmp_path / "mulan", workers=0,
        held_out_shards=1,
    )  # fmt: skip


def test_only_the_tokens_change_and_no_word_is_read(recipe, tmp_path, monkeypatch, capsys):
    def refuse(*_: object):
        raise AssertionError("a text was read")

    monkeypatch.setattr(MuLan, "read", refuse)
    mulan_tokens.train(recipe)
    old, new = load_mulan(tmp_path / "mulan"), load_mulan(recipe.out / "model")
    wave_N = torch.randn(24_000)
    assert torch.equal(old.embed_audio([wave_N], 24_000), new.embed_audio([wave_N], 24_000))
    before, after = old.quantiser.state_dict(), new.quantiser.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    kept = float(capsys.readouterr().out.split()[-1])
    assert kept > 0.5
    assert json.loads((recipe.out / "model/config.json").read_text())["name"] == "tiny"


def test_where_there_is_no_mulan_it_says_so(recipe, tmp_path):
    with pytest.raises(InputError, match="there is no MuLan"):
        mulan_tokens.train(replace(recipe, model=tmp_path / "nowhere"))
