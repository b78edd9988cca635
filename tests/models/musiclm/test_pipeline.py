"""MusicLM from words to sound: seeds, lengths, streaming, stories, continuation and files, on small random parts."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from toccata import hub
from toccata.clip import Clip
from toccata.codecs import soundstream
from toccata.encoders import melody as melodies
from toccata.encoders import mulan, semantic, w2vbert
from toccata.encoders.text import load_text_encoder
from toccata.encoders.towers import text_tower
from toccata.encoders.words import WordsConfig
from toccata.errors import InputError, WeightsError
from toccata.models.musiclm import pipeline
from toccata.models.musiclm.config import (
    MusicLMConfig,
    StageConfig,
    Stream,
    melody_starts,
    tune_starts,
    without_semantic,
)
from toccata.models.musiclm.network import StageNetwork
from toccata.models.musiclm.writing import Stage
from toccata.prompt import Prompt
from toccata.sampling.tokens import TokenSampling

MULAN, SEMANTIC = Stream("mulan", 2, 8), Stream("semantic", 1, 6, 25.0)
MELODY = Stream("melody", 3, 8, 0.3)
COARSE, FINE = Stream("coarse", 2, 16, 25.0), Stream("fine", 1, 16, 25.0)
SIZES = {"width": 16, "layers": 1, "heads": 2, "inner": 16, "dropout": 0.0, "temperature": 1.0}
CONFIG = MusicLMConfig(
    StageConfig((MULAN, MELODY), SEMANTIC, seconds=2.0, guidance=2.0, condition_dropout=0.1, **SIZES),
    StageConfig((MULAN, SEMANTIC), COARSE, seconds=1.0, **SIZES),
    StageConfig((COARSE,), FINE, seconds=0.4, **SIZES),
    semantic_overlap=1.0,
    coarse_overlap=0.4,
)


def randomised(module, std=0.4):
    for parameter in module.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=std)
    return module.eval()


def parts(config=CONFIG):
    torch.manual_seed(0)
    codec = randomised(soundstream.SoundStream(replace(soundstream.mini(), levels=3, vocabulary=16)), 0.05)
    for level in codec.quantiser.levels:
        torch.nn.init.normal_(level.get_buffer("codes_VD"))
    sizes = mulan.mini()
    tower = replace(sizes.audio, bands=32, frames=50, patch=(32, 10), stride=(32, 10), width=48, layers=1)
    sizes = replace(sizes, audio=tower, text=WordsConfig(64, 1, 2), width=16, bands=32, window_seconds=1.0, levels=2,
                    vocabulary=8)  # fmt: skip
    joint = mulan.MuLan(sizes, text_tower(sizes.text, None, load_text_encoder())).eval()
    joint.quantiser.fit(torch.nn.functional.normalize(torch.randn(60, 16), dim=-1), torch.Generator().manual_seed(0))
    small = replace(
        w2vbert.mini(), width=32, heads=2, inner=48, contrast_layers=1, prediction_layers=1, layer=1, channels=4,
        n_fft=512, bands=16, window_seconds=1.0, tokens=6,
    )  # fmt: skip
    meaning = semantic.SemanticTokens(w2vbert.W2vBert(small)).eval()
    meaning.fit(torch.randn(100, 32), torch.Generator().manual_seed(0))
    networks = {name: randomised(StageNetwork(one)) for name, one in config.stages.items()}
    return networks, joint, meaning, codec


def tunes():
    torch.manual_seed(1)
    small = replace(
        melodies.mini(), width=32, layers=1, heads=2, head_width=8, inner=32, embedding=16, bands=24, per_octave=4,
        n_fft=512, hop=1600, window_seconds=1.0, levels=3, vocabulary=8, back=0,
    )  # fmt: skip
    encoder = melodies.MelodyEncoder(small).eval()
    rising = torch.sin(2 * torch.pi * (100 * 2 ** (torch.arange(10 * 16_000) / 32_000)).cumsum(0) / 16_000)
    encoder.quantiser.fit(encoder.embed(rising, every=0.1), torch.Generator().manual_seed(0))
    return encoder


BESIDE = replace(
    CONFIG, **{name: replace(one, layout="beside", positions="rotary") for name, one in CONFIG.stages.items()}
)


@pytest.fixture(scope="module", params=[CONFIG, BESIDE], ids=["line", "beside"])
def model(request) -> pipeline.MusicLM:
    networks, joint, meaning, codec = parts(request.param)
    stages = {name: Stage.of(network) for name, network in networks.items()}
    return pipeline.MusicLM(request.param, stages, joint, meaning, codec, "tiny", "abc", tunes())


def tune_of(*hertz, rate=16_000, seconds=1.0):
    """Tones one after another."""
    time = np.arange(int(seconds * rate)) / rate
    wave_N = np.concatenate([0.4 * np.sin(2 * np.pi * one * time) for one in hertz])
    return Clip(wave_N[None].astype(np.float32), rate)


def test_the_same_seed_gives_the_same_samples(model):
    first, again = (model.generate("slow piano", 1.0, seed=7) for _ in range(2))
    assert np.array_equal(first.samples, again.samples)
    assert not np.array_equal(first.samples, model.generate("slow piano", 1.0, seed=8).samples)
    assert not np.array_equal(first.samples, model.generate("loud drums", 1.0, seed=7).samples)


def test_a_clip_of_a_list_equals_its_own_single_run(model):
    clips = model.generate(["slow piano", "loud drums"], 1.0, seed=3)
    assert np.array_equal(clips[1].samples, model.generate("loud drums", 1.0, seed=3).samples)


@pytest.mark.parametrize("seconds", [1.0, 1.01, 2.5, 5.3])
def test_a_clip_is_exactly_as_long_as_asked_also_past_every_window(model, seconds):
    clip = model.generate("slow piano", seconds, seed=1)
    assert clip.samples.shape == (1, round(seconds * 24000))
    assert (clip.prompt, clip.model, clip.weights_sha256) == ("slow piano", "tiny", "abc")


def test_without_a_semantic_stage_it_writes_continues_and_tells_stories():
    networks, joint, meaning, codec = parts(config := without_semantic(CONFIG))
    assert list(networks) == ["coarse", "fine"]
    stages = {name: Stage.of(network) for name, network in networks.items()}
    model = pipeline.MusicLM(config, stages, joint, meaning, codec, "tiny", "abc")
    clip = model.generate(Prompt.story({0: "slow piano", 1.5: "loud drums"}), 3.0, seed=1)
    assert clip.samples.shape == (1, 72_000)
    assert not np.array_equal(clip.samples, model.generate("slow piano", 3.0, seed=1).samples)
    assert model.continue_(clip, seconds=1.0, seed=1).samples.shape == (
        1,
        48_000,
    )  # the second that it hears, and the new one


def test_streamed_parts_join_to_the_whole(model):
    parts = list(model.stream("slow piano", 4.2, seed=5))
    assert len(parts) > 2
    assert np.array_equal(Clip.join(parts).samples, model.generate("slow piano", 4.2, seed=5).samples)


def test_a_story_keeps_to_its_first_text_until_the_next_takes_over(model):
    plain = model.generate("calm piano", 5.0, seed=2).samples
    told = model.generate(Prompt.story({0: "calm piano", 3: "loud drums and trumpets"}), 5.0, seed=2).samples
    changed = np.flatnonzero((plain != told).any(0))[0] / 24000
    assert 2.5 < changed < 4.5  # from the coarse window that reaches over the change on


def test_a_text_that_takes_over_between_two_tokens_is_heard(model):
    plain = model.generate("calm piano", 5.0, seed=2, guidance=9.0).samples
    told = model.generate(Prompt.story({0: "calm piano", 2.5: "loud drums"}), 5.0, seed=2, guidance=9.0).samples
    assert not np.array_equal(plain, told)


def test_a_continuation_begins_with_what_it_goes_on_from(model):
    intro = model.generate("slow piano", 1.6, seed=1)
    whole = model.continue_(intro, seconds=2.0, seed=4)
    heard = whole.samples.shape[1] - 2 * 24000
    assert 0.9 * 24000 < heard <= 24000  # no more than long pieces overlap
    codes = model.codec.encode(torch.from_numpy(intro.samples[:, -heard:])[None])
    again = model.codec.decode(codes)[0].numpy()
    assert np.allclose(whole.samples[:, : heard - 480], again[:, : heard - 480], atol=1e-4)
    prompted = model.continue_(intro, "loud drums", seconds=2.0, seed=4)
    assert not np.array_equal(whole.samples, prompted.samples)


def test_too_little_to_go_on_from_is_told(model):
    with pytest.raises(InputError, match=r"shorter than 0\.04 seconds"):
        model.continue_(Clip(np.zeros((1, 500), np.float32), 24000))


def test_temperature_scales_every_stages_own(model):
    cold = model._sampled(pipeline.GenerateOptions(temperature=0.5))
    assert [stage.sampling.temperature for stage in cold.values()] == [0.5] * 3
    assert [stage.sampling.guidance for stage in cold.values()] == [2.0, 1.0, 1.0]
    assert TokenSampling(temperature=(1.0, 0.5)).hotter(2).temperature == (2.0, 1.0)


def test_a_negative_prompt_is_led_away_from_where_there_is_guidance(model):
    plain, away = (
        model.generate(Prompt("slow piano", no), 1.0, seed=3, guidance=9.0).samples for no in (None, "drums")
    )
    assert not np.array_equal(plain, away)
    plain, away = (
        model.generate(Prompt("slow piano", no), 1.0, seed=3, guidance=1.0).samples for no in (None, "drums")
    )
    assert np.array_equal(plain, away)


def test_an_empty_list_and_a_melody_are_told(model):
    with pytest.raises(InputError, match="empty"):
        model.generate([])
    with pytest.raises(InputError, match="one guidance"):
        model.generate("slow piano", guidance=(3.0, 1.0))
    networks, joint, meaning, codec = parts()
    stages = {name: Stage.of(network) for name, network in networks.items()}
    deaf = pipeline.MusicLM(CONFIG, stages, joint, meaning, codec, "deaf")
    with pytest.raises(InputError, match="deaf takes no melody"):
        deaf.generate("slow piano", melody="hum.wav")


def test_a_melody_is_heard_and_streams_as_it_is_made_whole(model):
    plain = model.generate("slow piano", 2.2, seed=3)
    led, other = (model.generate("slow piano", 2.2, seed=3, melody=tune_of(*t)) for t in ((200, 800), (900, 300)))
    assert not np.array_equal(plain.samples, led.samples)
    assert not np.array_equal(other.samples, led.samples)
    parts = list(model.stream("slow piano", 2.2, seed=3, melody=tune_of(200, 800)))
    assert len(parts) > 1
    assert np.array_equal(Clip.join(parts).samples, led.samples)
    whole = model.continue_(plain, "slow piano", seconds=2.2, seed=3, melody=tune_of(200, 800))
    assert not np.array_equal(whole.samples, model.continue_(plain, "slow piano", seconds=2.2, seed=3).samples)


def test_a_melody_goes_round_and_round(model):
    tune_N = model._tune(tune_of(200, 800, 400))
    codes = [model.tokens_of_melody(tune_N, first, 10.0) for first in (0.0, 3.0, -6.0)]
    assert codes[0].shape == (1, 3, 3)
    assert torch.equal(codes[0], codes[1])
    assert torch.equal(codes[0], codes[2])
    assert model.tokens_of_melody(model._tune(tune_of(300, seconds=0.6)), 0.2, 1.0).shape == (1, 3, 1)


def test_windows_of_a_melody_lie_three_seconds_apart_in_each_ten():
    assert melody_starts(10.0) == [0, 3, 6]
    assert melody_starts(30.0) == [0, 3, 6, 10, 13, 16, 20, 23, 26]
    assert melody_starts(0.5) == tune_starts(0.5) == [0]
    assert tune_starts(10.0) == [0, 3, 6]
    assert tune_starts(12.0) == [0, 3, 6, 8]
    assert [len(melody_starts(seconds)) for seconds in (4.0, 6.9, 7.0, 9.9)] == [1, 1, 2, 2]


@pytest.mark.parametrize(
    ("wave", "what"),
    [
        (np.zeros((1, 16_000), np.float32), "silent"),
        (tune_of(440, seconds=0.1).samples, "0.1 seconds"),
    ],
)
def test_a_bad_melody_is_told(model, wave, what):
    with pytest.raises(InputError, match=what):
        model.generate("slow piano", 1.0, melody=Clip(wave, 16_000))


def test_a_melody_that_is_no_sound_is_told(model, tmp_path):
    (tmp_path / "hum.wav").write_text("la la la")
    for path in (tmp_path / "hum.wav", tmp_path / "none.wav"):
        with pytest.raises(InputError):
            model.generate("slow piano", 1.0, melody=path)


def test_what_is_saved_loads_with_its_parts(model, tmp_path):
    networks, joint, meaning, codec = parts()
    pipeline.save_musiclm(tmp_path / "lm", CONFIG, networks, codec="c", mulan="m", w2vbert="w")
    with pytest.raises(WeightsError, match="needs the mulan 'm'"):
        pipeline.load_pipeline(tmp_path / "lm")
    mulan.save_mulan(tmp_path / "m", joint)
    semantic.save_semantic(tmp_path / "w", meaning)
    soundstream.save_soundstream(tmp_path / "c", codec)
    loaded = hub.load(str(tmp_path / "lm"), "cpu")
    assert loaded.generate("slow piano", 1.0, seed=7).samples.shape == (1, 24000)
    assert pipeline.load_pipeline(tmp_path / "lm", "cpu").melody is None
    levels = replace(CONFIG, coarse=replace(CONFIG.coarse, temperature=(1.0, 0.5)))
    pipeline.save_musiclm(tmp_path / "lm", levels, networks, codec="c", mulan="m", w2vbert="w", melody="t")
    melodies.save_melody(tmp_path / "t", tunes())
    with_tunes = pipeline.load_pipeline(tmp_path / "lm", "cpu")
    assert with_tunes.config == levels
    assert with_tunes.melody is not None
    assert with_tunes.melody.config == tunes().config
    with pytest.raises(InputError, match="does not run in 'int8'"):
        hub.load(str(tmp_path / "lm"), precision="int8")


def test_a_folder_of_something_else_is_told(tmp_path):
    *_, codec = parts()
    soundstream.save_soundstream(tmp_path / "c", codec)
    with pytest.raises(WeightsError, match="not MusicLM"):
        pipeline.load_pipeline(tmp_path / "c")
