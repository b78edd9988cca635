"""MusicLM's recipe on a folder of sounds without a word: each stage resumes exactly, and the three make a model."""

import json
from dataclasses import replace

import pytest
import torch

from toccata import hub
from toccata.codecs import soundstream
from toccata.data import meaning
from toccata.encoders import melody as melodies
from toccata.encoders import mulan, semantic, w2vbert
from toccata.encoders.text import load_text_encoder
from toccata.encoders.towers import text_tower
from toccata.encoders.words import WordsConfig
from toccata.errors import InputError
from toccata.models.musiclm.config import Stream, mini
from toccata.models.musiclm.network import StageNetwork
from toccata.models.musiclm.pipeline import load_pipeline
from toccata.recipes import melody as melody_recipe
from toccata.recipes import music, musiclm, musiclm_parts
from toccata.recipes.musiclm_start import hear_tunes
from toccata.training.state import load_state
from toccata.weights import checkpoint
from toccata.weights.compact import expand


@pytest.fixture
def recipe(tmp_path, monkeypatch, manifest):
    """A recipe of tiny stages on tiny encoders, with random weights, and twelve sounds of which nothing is said."""
    torch.manual_seed(0)
    codec = soundstream.SoundStream(replace(soundstream.mini(), levels=6, vocabulary=16)).eval()
    for level in codec.quantiser.levels:
        torch.nn.init.normal_(level.get_buffer("codes_VD"))
    soundstream.save_soundstream(tmp_path / "codec", codec)
    sizes = mulan.mini()
    tower = replace(sizes.audio, bands=32, frames=50, patch=(32, 10), stride=(32, 10), width=48, layers=1)
    sizes = replace(sizes, audio=tower, text=WordsConfig(64, 1, 2), width=16, bands=32, window_seconds=1.0, levels=2,
                    vocabulary=8)  # fmt: skip
    joint = mulan.MuLan(sizes, text_tower(sizes.text, None, load_text_encoder())).eval()
    joint.quantiser.fit(torch.nn.functional.normalize(torch.randn(60, 16), dim=-1), torch.Generator().manual_seed(0))
    mulan.save_mulan(tmp_path / "mulan", joint)
    small = replace(
        w2vbert.mini(), width=32, heads=2, inner=48, contrast_layers=1, prediction_layers=1, layer=1, channels=4,
        n_fft=512, bands=16, window_seconds=1.0, tokens=6,
    )  # fmt: skip
    tokens = semantic.SemanticTokens(w2vbert.W2vBert(small)).eval()
    tokens.fit(torch.randn(100, 32), torch.Generator().manual_seed(0))
    semantic.save_semantic(tmp_path / "w2vbert", tokens)
    size = {"width": 16, "layers": 1, "heads": 2, "inner": 16}
    tiny = mini()
    tiny = replace(
        tiny, semantic=replace(tiny.semantic, **size), coarse=replace(tiny.coarse, **size),
        fine=replace(tiny.fine, **size),
    )  # fmt: skip
    monkeypatch.setitem(musiclm.PRESETS, "mini", lambda: tiny)
    monkeypatch.setattr(music, "PIECES", 2)
    musiclm_parts.parts_at.cache_clear()
    path = manifest(lambda index: 1.5 + 0.1 * (index % 3))
    rows = [{"path": json.loads(line)["path"]} for line in path.read_text().splitlines()]
    path.write_text("\n".join(map(json.dumps, rows)))
    return musiclm.MusicLMRecipe(
        out=tmp_path / "out", tokens=tmp_path / "tokens", mulan=tmp_path / "mulan", w2vbert=tmp_path / "w2vbert",
        codec=tmp_path / "codec", manifest=path, steps=3, batch=3, workers=0, held_out_shards=2, first_shards=2,
    )  # fmt: skip


@pytest.mark.parametrize("stage", musiclm.STAGES)
def test_a_stage_resumes_exactly(recipe, tmp_path, stage, capsys):
    recipe = replace(recipe, stage=stage)
    musiclm.train(replace(recipe, out=tmp_path / "whole"))
    for _ in range(3):
        musiclm.train(replace(recipe, out=tmp_path / "parts", minutes=0))
    whole, parts = (load_state(tmp_path / name / f"{stage}.safetensors") for name in ("whole", "parts"))
    assert whole["step"] == parts["step"] == 3
    assert all(torch.equal(whole["learner"][name], parts["learner"][name]) for name in whole["learner"])
    assert "held out, condition: own" in capsys.readouterr().out


def test_three_stages_make_a_model_that_hears_no_text_until_it_is_asked(recipe, monkeypatch):
    def refuse(*_: object):
        raise AssertionError("a text was read in training")

    with monkeypatch.context() as training:
        training.setattr("toccata.data.mels._captions", refuse)
        training.setattr(mulan.MuLan, "read", refuse)
        for stage in musiclm.STAGES:
            assert not (recipe.out / "model").exists()
            musiclm.train(replace(recipe, stage=stage))
    clip = hub.load(str(recipe.out / "model"), "cpu").generate("slow piano", 1.0, seed=1)
    assert clip.samples.shape == (1, 24000)


def test_the_ablation_has_no_semantic_stage(recipe):
    recipe = replace(recipe, semantic=False, steps=1)
    for stage in ("coarse", "fine"):
        musiclm.train(replace(recipe, stage=stage))
    model = load_pipeline(recipe.out / "model", "cpu")
    assert [stream.name for stream in model.config.coarse.reads] == ["mulan", "melody"]
    assert model.generate("slow piano", 1.0, seed=1).samples.shape == (1, 24000)
    with pytest.raises(InputError, match="train coarse and fine"):
        musiclm.train(recipe)


def test_a_stage_begins_as_that_of_another_model(recipe, tmp_path, monkeypatch):
    for stage in musiclm.STAGES:
        musiclm.train(replace(recipe, stage=stage, steps=1))
    further = replace(recipe, out=tmp_path / "further", start=recipe.out / "model", steps=1, muon_rate=0, adam_rate=0)
    musiclm.train(further)
    _, first = checkpoint.load(recipe.out / "semantic")
    _, second = checkpoint.load(further.out / "semantic")
    assert all(torch.allclose(expand(first)[name], expand(second)[name], atol=2e-2) for name in expand(first))
    preset = musiclm.PRESETS["mini"]()
    deeper = replace(preset, semantic=replace(preset.semantic, layers=2))
    with monkeypatch.context() as patch:
        patch.setitem(musiclm.PRESETS, "mini", lambda: deeper)
        with pytest.raises(InputError, match="no semantic stage like this one"):
            musiclm.train(replace(further, out=tmp_path / "deeper"))
    tokens = semantic.load_semantic(recipe.w2vbert)
    tokens.fit(torch.randn(100, 32), torch.Generator().manual_seed(1))
    semantic.save_semantic(recipe.w2vbert, tokens)
    musiclm_parts.parts_at.cache_clear()
    with pytest.raises(InputError, match="other encoders' tokens"):
        musiclm.train(replace(further, out=tmp_path / "other"))


def test_crops_are_the_same_stretch_in_every_kind_of_token():
    along = torch.arange(40, dtype=torch.int16)
    piece = meaning.MeaningPiece(
        along.repeat_interleave(2)[None], along[None], torch.arange(4, dtype=torch.int16)[None]
    )
    for seed in range(20):
        one = meaning.crop(piece, 20, 2, torch.Generator().manual_seed(seed))
        assert one is not None
        assert torch.equal(one.codes_KT[0], one.semantic_KT[0].repeat_interleave(2))
        assert one.mulan_KT[0, 0] == int((one.semantic_KT[0, 0] + 5) / 10)
    assert meaning.crop(piece, 82, 2, torch.Generator()) is None


def test_endings_are_not_learnt(recipe):
    wave_N = torch.randn(3 * 24_000)
    record = {"sections": [{"name": "ending", "start": 2.0}], "seconds": 3.0}
    _, records = musiclm_parts.tokens_of(iter([(wave_N, record)]), recipe.mulan, recipe.w2vbert, recipe.codec)
    assert [one["codes"] for one in records] == [50]


@pytest.fixture
def tuneful(recipe, tmp_path):
    """The same with a melody encoder, with random weights."""
    small = replace(
        melodies.mini(), width=32, layers=1, heads=2, head_width=8, inner=32, embedding=16, bands=24, per_octave=4,
        n_fft=512, hop=1600, window_seconds=1.0, levels=2, vocabulary=8, back=0,
    )  # fmt: skip
    encoder = melodies.MelodyEncoder(small).eval()
    encoder.quantiser.fit(torch.nn.functional.normalize(torch.randn(60, 16), dim=-1), torch.Generator().manual_seed(0))
    melodies.save_melody(tmp_path / "tunes", encoder)
    return replace(recipe, melody=tmp_path / "tunes")


def test_the_semantic_stage_is_told_melodies_and_resumes_exactly(tuneful, tmp_path, capsys):
    musiclm.train(replace(tuneful, out=tmp_path / "whole"))
    for _ in range(3):
        musiclm.train(replace(tuneful, out=tmp_path / "parts", minutes=0))
    whole, parts = (load_state(tmp_path / name / "semantic.safetensors")["learner"] for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert "own with another's melody" in capsys.readouterr().out
    for stage in ("coarse", "fine"):
        musiclm.train(replace(tuneful, out=tmp_path / "whole", stage=stage, steps=1))
    model = load_pipeline(tmp_path / "whole/model", "cpu")
    hum = model.generate("slow piano", 1.0, seed=1)
    assert model.generate("slow piano", 1.0, seed=1, melody=hum).samples.shape == (1, 24000)


@pytest.fixture
def unrolled(tuneful):
    """The same with an encoder that gives tunes back."""
    encoder = melodies.load_melody(tuneful.melody)
    giving = melodies.MelodyEncoder(replace(encoder.config, back=8, per_octave=12)).eval()
    giving.load_state_dict({**giving.state_dict(), **encoder.state_dict()})
    melodies.save_melody(tuneful.melody, giving)
    return tuneful


def test_a_tune_that_is_given_back_is_told_frame_by_frame(unrolled):
    parts = musiclm_parts.parts_at(unrolled.mulan, unrolled.w2vbert, unrolled.codec, unrolled.melody)
    stream = musiclm.fitted(musiclm.PRESETS["mini"](), parts).semantic.reads[1]
    assert (stream.levels, stream.vocabulary, stream.rate) == (1, 13, 10.0)
    for stage in musiclm.STAGES:
        musiclm.train(replace(unrolled, stage=stage, steps=1))
    model = load_pipeline(unrolled.out / "model", "cpu")
    hum = model.generate("slow piano", 1.0, seed=1)
    assert model.generate("slow piano", 1.0, seed=1, melody=hum).samples.shape == (1, 24000)
    assert model.tokens_of_melody(model._tune(hum), 0.3, 4.5).shape == (1, 1, 45)


def test_tokens_of_a_tune_begin_as_the_semantic_tokens_that_sound_with_them():
    config = replace(mini().semantic, reads=(Stream("melody", 1, 3, 12.5),), writes=Stream("semantic", 1, 6, 25.0),
                     width=16, layers=1, heads=2, inner=16)  # fmt: skip
    torch.manual_seed(0)
    network = StageNetwork(config)
    tune_T = torch.tensor([0, 1, 2] * 20)
    piece = meaning.MeaningPiece(tune_T[None], (2 * tune_T).repeat_interleave(2)[None], tune_T[None], tune_T[None])
    hear_tunes(network, [piece])
    rows_MD = network.embedding.weight[:3] - network.embedding.weight[network.untold["melody"]]
    known_MD = network.embedding.weight[[3, 5, 7]]
    apart_MD = known_MD - known_MD.mean(0)
    assert torch.nn.functional.cosine_similarity(rows_MD, apart_MD).min() > 0.999


def test_crops_are_told_the_tune_of_their_own_frames():
    along = torch.arange(400, dtype=torch.int16)
    piece = meaning.MeaningPiece(along[None], along[None], along[None, :2], along[None, : 400 * 16 // 25 - 2])
    for seed in range(20):
        one = meaning.crop(piece, 200, 1, torch.Generator().manual_seed(seed), [0.0], 25.0, 16.0)
        assert one is not None
        assert one.melody_KT is not None
        begin = int(one.semantic_KT[0, 0]) / 25
        assert one.melody_KT.shape == (1, 128)
        assert one.melody_KT[0].tolist() == [min(round(begin * 16) + i, 253) for i in range(128)]


def test_a_stage_that_reads_no_melody_may_be_older_than_its_encoder(recipe, tuneful):
    musiclm.train(replace(recipe, stage="fine", steps=1))
    for stage in ("semantic", "coarse"):
        musiclm.train(replace(tuneful, stage=stage, steps=1))
    assert load_pipeline(recipe.out / "model", "cpu").melody is not None
    with pytest.raises(InputError, match="tokens of other encoders"):  # it would lose the melody
        musiclm.train(replace(recipe, stage="coarse", steps=2))


def test_a_melody_that_is_new_to_a_stage_begins_as_what_its_tokens_stand_for(recipe, tuneful, tmp_path, monkeypatch):
    preset = musiclm.PRESETS["mini"]()
    told = replace(preset.semantic, reads=(preset.semantic.reads[0], Stream("melody", 2, 8, 0.3)))
    monkeypatch.setitem(musiclm.PRESETS, "mini", lambda: replace(preset, semantic=told))
    for stage in musiclm.STAGES:
        musiclm.train(replace(recipe, stage=stage, steps=1))
    further = replace(tuneful, out=tmp_path / "further", start=recipe.out / "model", steps=1, muon_rate=0, adam_rate=0)
    musiclm.train(further)
    before, after = (
        expand(checkpoint.load(out / "semantic")[1])["embedding.weight"] for out in (recipe.out, further.out)
    )
    tunes = slice(16, 32)  # after MuLan's two levels of eight
    assert torch.allclose(before[:16], after[:16], atol=2e-2)
    assert torch.allclose(before[32:], after[32:], atol=2e-2)
    assert torch.allclose(after[tunes].mean(0), before[-1], atol=0.2)  # nearly as if nothing were told
    codes_VD = melodies.load_melody(further.melody).quantiser.levels[0].get_buffer("codes_VD")
    distances = [torch.pdist(rows) for rows in (codes_VD, after[tunes][:8], before[tunes][:8])]
    alike, chance = (torch.corrcoef(torch.stack([distances[0], one]))[0, 1] for one in distances[1:])
    assert alike > chance + 0.2


def test_a_share_of_the_steps_is_told_no_melody(tuneful):
    whole = musiclm.fitted(
        musiclm.PRESETS["mini"](), musiclm_parts.parts_at(tuneful.mulan, tuneful.w2vbert, tuneful.codec, tuneful.melody)
    )
    assert whole.semantic.reads[1].levels == 2
    source = music.shards_of(replace(tuneful, mels=tuneful.tokens), musiclm.front_of(tuneful), captioned=False)
    draw = musiclm.sampler(tuneful, whole, source, source.train.read)
    told = ["melody" in draw(step).read for step in range(40)]
    assert 10 < sum(told) < 30
    assert draw(told.index(True)).read["melody"].shape == (3, 2, 1)


def test_crops_are_told_the_melody_of_windows_that_begin_in_them():
    along = torch.arange(400, dtype=torch.int16)
    piece = meaning.MeaningPiece(along[None], along[None], along[None, :2], along[None, :13])
    for seed in range(20):
        one = meaning.crop(piece, 200, 1, torch.Generator().manual_seed(seed), [0.0, 3.0], 25.0)
        assert one is not None
        assert one.melody_KT is not None
        begin = int(one.semantic_KT[0, 0]) / 25
        assert one.melody_KT[0, 0] == round(begin)
        assert one.melody_KT[0, 1] == min(round(begin + 3), 12)


def test_melodies_come_to_a_model_that_was_trained_without_and_change_nothing_untold(recipe, unrolled, tmp_path):
    for stage in musiclm.STAGES:
        musiclm.train(replace(recipe, melody=None, out=tmp_path / "deaf", stage=stage, steps=1))
    start = tmp_path / "deaf/model"
    for stage in musiclm.STAGES:
        musiclm.train(replace(unrolled, stage=stage, start=start, melody_share=0, steps=0))
    card = checkpoint.read_config(unrolled.out / "model")
    assert card["steps"] == {"semantic": 1, "coarse": 1, "fine": 1}
    deaf, led = (load_pipeline(folder, "cpu") for folder in (start, unrolled.out / "model"))
    told, plain = (model.generate("slow piano", 1.0, seed=1).samples for model in (led, deaf))
    assert (told == plain).all()
    hum = deaf.generate("slow piano", 1.0, seed=2)
    assert (led.generate("slow piano", 1.0, seed=1, melody=hum).samples == plain).all()  # not taught yet


def test_the_stage_melody_trains_its_encoder(recipe, monkeypatch):
    asked = []
    monkeypatch.setattr(melody_recipe, "train", asked.append)
    musiclm.train(replace(recipe, stage="melody", manifest=None, steps=7))
    assert (asked[0].out, asked[0].steps, asked[0].preset) == (recipe.out / "melody", 7, "mini")
    assert asked[0].steps_per_shard == melody_recipe.MelodyRecipe().steps_per_shard


def test_stages_of_other_encoders_are_not_joined(recipe):
    musiclm.train(replace(recipe, steps=1))
    torch.manual_seed(5)
    tokens = semantic.load_semantic(recipe.w2vbert)
    tokens.fit(torch.randn(100, 32), torch.Generator().manual_seed(1))
    semantic.save_semantic(recipe.w2vbert, tokens)
    musiclm_parts.parts_at.cache_clear()
    with pytest.raises(InputError, match="tokens of other encoders"):
        musiclm.train(replace(recipe, stage="coarse", steps=1))


@pytest.mark.parametrize("what", ["stage", "preset"])
def test_an_unknown_choice_is_told(recipe, what):
    with pytest.raises(InputError, match=f"unknown {what} 'huge'"):
        musiclm.train(replace(recipe, **{what: "huge"}))
