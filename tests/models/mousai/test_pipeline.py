"""Moûsai whole, on small random weights: exact lengths, seeds, streams, continuation, bad input, files."""

from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

import toccata
from toccata import Clip, InputError, Prompt, WeightsError, cli
from toccata.audio.io import read
from toccata.codecs.magnitude import MagnitudeAutoencoder, save_magnitude
from toccata.codecs.magnitude_config import MagnitudeConfig
from toccata.encoders.text import load_text_encoder
from toccata.models.mousai.config import MousaiConfig, MousaiSampling
from toccata.models.mousai.network import MousaiNetwork
from toccata.models.mousai.pipeline import Mousai, load_pipeline, save_mousai
from toccata.nn.unet import UNetSizes

RATE = 4000  # a window of latents is 1.6 s, one of sound 0.8 s
CODEC = MagnitudeConfig(
    sample_rate=RATE, n_fft=63, hop=32, width=16, factors=(2,), blocks=(1,), latent=4, patch=16, filters=4,
    unet=UNetSizes(
        inputs=8, channels=(8, 16, 16), factors=(1, 2, 2), blocks=(1, 1, 1), attentions=(0,) * 3, crosses=(0,) * 3,
        features=16, injected=4, inject_depth=2,
    ),
    window=50, steps=2,
)  # fmt: skip
CONFIG = MousaiConfig(
    unet=UNetSizes(
        inputs=4, channels=(16, 16), factors=(1, 4), blocks=(1, 1), attentions=(0, 1), crosses=(1, 1), heads=2,
        head_width=8, tokens=16, features=16,
    ),
    window=100, text_width=256, text_tokens=8, sampling=MousaiSampling(steps=3, guidance=3.0),
)  # fmt: skip


def parts():
    torch.manual_seed(0)
    network, codec = MousaiNetwork(CONFIG), MagnitudeAutoencoder(CODEC)
    for name, parameter in [*network.named_parameters(), *codec.named_parameters()]:
        if "norm" not in name:  # in a new network, words and latents hardly say anything yet
            torch.nn.init.normal_(parameter, std=0.2)
    return network, codec


@pytest.fixture(scope="module")
def model():
    return Mousai(*parts(), load_text_encoder(), "small", "ab" * 32)


def hum(seconds, seed=0):
    samples = np.random.default_rng(seed).uniform(-0.3, 0.3, (2, round(seconds * RATE))).astype(np.float32)
    return Clip(samples, RATE)


@pytest.mark.parametrize("seconds", [1.0, 1.2345, 1.6, 1.7, 4.03])
def test_a_clip_is_as_long_as_asked_to_the_sample(model, seconds):
    clip = model.generate("calm piano", seconds, 7)
    assert clip.samples.shape == (2, round(seconds * RATE))
    assert (clip.prompt, clip.seed, clip.model, clip.weights_sha256) == ("calm piano", 7, "small", "ab" * 32)


def test_the_same_seed_gives_the_same_samples_alone_or_in_a_list(model):
    one, other = model.generate(["calm piano", "fast drums"], 1.0, 7)
    assert np.array_equal(one.samples, model.generate("calm piano", 1.0, 7).samples)
    assert np.array_equal(other.samples, model.generate("fast drums", 1.0, 7).samples)
    assert not np.allclose(one.samples, other.samples, atol=1e-4)
    assert not np.allclose(one.samples, model.generate("calm piano", 1.0, 8).samples, atol=1e-3)


def test_the_global_seed_is_neither_read_nor_moved(model):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    clip = model.generate("calm piano", 1.0, 7)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert np.array_equal(model.generate("calm piano", 1.0, 7).samples, clip.samples)


def test_without_a_seed_one_is_drawn_and_told(model):
    clip = model.generate("calm piano", 1.0)
    assert np.array_equal(model.generate("calm piano", 1.0, clip.seed).samples, clip.samples)


def test_streamed_it_is_the_same_in_parts_and_tells_every_step(model):
    done: list[float] = []
    clips = list(model.stream("calm piano", 4.0, 7, progress=lambda made, total: done.append(made)))
    assert len(clips) > 2
    assert np.array_equal(Clip.join(clips).samples, model.generate("calm piano", 4.0, 7).samples)
    assert done == sorted(done)
    assert done[-1] == 4.0
    assert len(done) == 3 * 3 + 2 * len(clips)


def test_long_prompts_are_read_as_far_as_there_is_room(model):
    words = "calm slow piano with soft strings and a warm bass under it all " * 20
    clips = [model.generate(words + end, 1.0, 7) for end in ("drums", "flute")]
    assert np.array_equal(clips[0].samples, clips[1].samples)


@pytest.mark.parametrize("options", [{"steps": 6}, {"guidance": 1.0}, {"guidance": 6.0}])
def test_numbers_that_are_asked_for_matter(model, options):
    assert not np.allclose(
        model.generate("calm piano", 1.0, 7, **options).samples, model.generate("calm piano", 1.0, 7).samples, atol=1e-4
    )


def test_a_negative_prompt_matters_where_guidance_is(model):
    asked = Prompt("calm piano", negative="loud drums")
    plain = {g: model.generate("calm piano", 1.0, 7, guidance=g).samples for g in (1.0, 3.0)}
    assert not np.allclose(model.generate(asked, 1.0, 7).samples, plain[3.0], atol=1e-4)
    assert np.array_equal(model.generate(asked, 1.0, 7, guidance=1.0).samples, plain[1.0])


def test_a_story_begins_as_its_first_text_and_changes(model):
    told, plain = (
        model.generate(prompt, 3.0, 7).samples
        for prompt in (Prompt.story({0: "calm piano", 2: "loud drums"}), "calm piano")
    )
    assert told.shape == plain.shape
    assert not np.allclose(told[:, int(2.2 * RATE) :], plain[:, int(2.2 * RATE) :], atol=1e-3)


@pytest.mark.parametrize("before", [0.5, 3.0123])
def test_a_continuation_keeps_the_recording_and_goes_on(model, before):
    old = hum(before)
    made = model.continue_(old, "calm piano", 2.0, seed=7)
    length = old.samples.shape[1]
    assert made.samples.shape == (2, length + 2 * RATE)
    assert np.array_equal(made.samples[:, :length], old.samples)
    other = model.continue_(hum(before, seed=5), "calm piano", 2.0, seed=7)
    assert not np.allclose(made.samples[:, length : length + 400], other.samples[:, length : length + 400], atol=1e-4)


def test_a_recording_may_have_any_rate_and_channels(model, tmp_path):
    Clip(np.random.default_rng(0).uniform(-0.3, 0.3, (1, 8000)).astype(np.float32), 8000).save(tmp_path / "a.wav")
    assert model.continue_(tmp_path / "a.wav", "calm piano", 1.0, 7).samples.shape == (2, 8000)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda m: m.generate([]), "list of prompts is empty"),
        (lambda m: m.generate("piano", 0.5), "seconds must be"),
        (lambda m: m.generate("piano", 1.0, top_k=5), "chooses no tokens"),
        (lambda m: m.generate("piano", 1.0, guidance=(3.0, 1.0)), "one guidance"),
        (lambda m: m.generate("piano", 1.0, melody="hum.wav"), "takes no melody"),
        (lambda m: m.generate("piano", 1.0, steps=0), "steps must be"),
        (lambda m: m.generate("\u266b\u266b"), "no letter or digit"),
        (lambda m: m.continue_(hum(1.0)), "by a prompt only"),
        (lambda m: m.continue_(hum(0.01), "piano"), "shorter than"),
    ],
)
def test_bad_input_is_one_sentence(model, call: Callable, says):
    with pytest.raises(InputError, match=says):
        call(model)


@pytest.fixture
def folder(tmp_path):
    network, codec = parts()
    save_magnitude(tmp_path / "magnitude-small", codec)
    save_mousai(tmp_path / "model", network, name="small", codec="magnitude-small", text="text-mini")
    return tmp_path / "model"


def test_saved_and_loaded_by_its_folder_it_is_the_same_model(folder):
    ours = toccata.load(str(folder), device="cpu")
    assert isinstance(ours, Mousai)
    assert (ours.name, ours.config) == ("small", CONFIG)
    clip = ours.generate("calm piano", 1.0, 7)
    assert np.array_equal(clip.samples, load_pipeline(folder, "cpu").generate("calm piano", 1.0, 7).samples)
    assert len(clip.weights_sha256) == 64


def test_the_command_line_plays_it_with_its_steps(folder, tmp_path, capfd):
    sound = tmp_path / "out.wav"
    asked = ["generate", "calm piano", "--model", str(folder), "--seconds", "1", "--seed", "7", "--steps", "2"]
    assert cli.main([*asked, "--device", "cpu", "-o", str(sound)]) == 0
    samples, rate = read(sound)
    assert (samples.shape, rate) == ((2, RATE), RATE)
    assert cli.main([*asked, "--init", str(sound), "-o", str(tmp_path / "b.wav")]) == 2
    assert "takes no --init" in capfd.readouterr().err


def test_in_half_the_bits_it_is_nearly_the_same(folder):
    full, half = (
        load_pipeline(folder, "cpu", each).generate("calm piano", 1.0, 7).samples for each in ("fp32", "bf16")
    )
    assert 0 < np.abs(full - half).mean() < 0.1 * np.abs(full).mean()


def test_wrong_folders_and_precisions_are_told(folder):
    with pytest.raises(InputError, match="Moûsai does not run in 'int8'"):
        load_pipeline(folder, "cpu", "int8")
    network, _ = parts()
    save_mousai(folder, network, codec="nowhere", text="text-mini")
    with pytest.raises(WeightsError, match="needs the codec 'nowhere'"):
        load_pipeline(folder)
    save_mousai(folder, network, codec="magnitude-small", text="google-t5/t5-base")
    with pytest.raises(WeightsError, match="toccata models pull google-t5/t5-base"):
        load_pipeline(folder)
    save_mousai(folder, network, codec="magnitude-small", text="text-mini", mousai={"window": 3})
    with pytest.raises(WeightsError, match="does not describe a Moûsai"):
        load_pipeline(folder)
    longer = asdict(replace(CONFIG, text_tokens=9))
    save_mousai(folder, network, codec="magnitude-small", text="text-mini", mousai=longer)
    with pytest.raises(WeightsError, match="of another model"):
        load_pipeline(folder)
