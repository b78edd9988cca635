"""Semantic tokens that know pitch, fitted to a folder of sounds without a word."""

import json
from dataclasses import replace

import pytest
import torch

from toccata.encoders import semantic, w2vbert
from toccata.encoders.pitched import Pitched
from toccata.errors import InputError
from toccata.recipes import music, semantic_tokens


@pytest.fixture
def recipe(tmp_path, monkeypatch, manifest):
    small = replace(
        w2vbert.mini(), width=32, heads=2, inner=48, contrast_layers=1, prediction_layers=1, layer=1, channels=4,
        n_fft=512, bands=16, window_seconds=1.0, tokens=6,
    )  # fmt: skip
    torch.manual_seed(0)
    tokens = semantic.SemanticTokens(w2vbert.W2vBert(small)).eval()
    tokens.fit(torch.randn(100, 32), torch.Generator().manual_seed(0))
    semantic.save_semantic(tmp_path / "w2vbert", tokens, name="tiny", steps=7)
    monkeypatch.setattr(music, "PIECES", 2)
    semantic_tokens.encoder_at.cache_clear()
    path = manifest(lambda index: 1.5)
    path.write_text("\n".join(json.dumps({"path": json.loads(line)["path"]}) for line in path.read_text().splitlines()))
    return semantic_tokens.SemanticTokensRecipe(
        out=tmp_path / "out", mels=tmp_path / "mels", manifest=path, features=tmp_path / "w2vbert", workers=0,
        components=3,
    )  # fmt: skip


def test_the_encoder_stays_and_its_tokens_know_pitch(recipe, tmp_path, capsys):
    semantic_tokens.train(recipe)
    old, new = semantic.load_semantic(tmp_path / "w2vbert"), semantic.load_semantic(recipe.out / "model")
    assert isinstance(new.encoder, Pitched)
    assert new.encoder.config.width == 27
    mine, its = new.encoder.encoder.state_dict(), old.encoder.state_dict()  # type: ignore[attr-defined]
    assert all(torch.equal(mine[name], its[name]) for name in its)
    assert json.loads((recipe.out / "model/config.json").read_text())["steps"] == 7
    assert "held out, use" in capsys.readouterr().out
    assert new.tokens(torch.randn(1, 16_000)).shape == (1, 25)


def test_fitted_again_from_what_it_wrote_it_is_the_same(recipe, tmp_path):
    semantic_tokens.train(recipe)
    semantic_tokens.encoder_at.cache_clear()
    semantic_tokens.train(replace(recipe, features=recipe.out / "model", out=tmp_path / "again"))
    wave_BN = torch.randn(1, 32_000)
    first, second = (
        semantic.load_semantic(folder / "model").tokens(wave_BN) for folder in (recipe.out, tmp_path / "again")
    )
    assert (first == second).float().mean() > 0.8


def test_bad_settings_are_told(recipe, tmp_path):
    with pytest.raises(InputError, match="between 1 and 32"):
        semantic_tokens.train(replace(recipe, components=33))
    semantic_tokens.encoder_at.cache_clear()
    with pytest.raises(InputError, match="no trained encoder"):
        semantic_tokens.train(replace(recipe, features=tmp_path / "nowhere"))
