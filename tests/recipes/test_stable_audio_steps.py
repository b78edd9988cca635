"""Distilling Stable Audio: its student says how it is run, lands near its teacher, and a run goes on exactly."""

import json
import re
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

import toccata
from toccata import InputError
from toccata.codecs.autoencoder import Autoencoder, AutoencoderConfig, save_autoencoder
from toccata.models.stable_audio.config import START, TOTAL, DiffusionSampling, mini
from toccata.models.stable_audio.network import StableAudioNetwork
from toccata.models.stable_audio.pipeline import StableAudio, load_pipeline, save_stable_audio
from toccata.recipes import stable_audio, stable_audio_steps
from toccata.recipes.stable_audio_steps import StableAudioStepsRecipe, Told, config_of, examine, loss_of
from toccata.training.state import load_state
from toccata.weights.parts import adopt

CODEC = AutoencoderConfig(sample_rate=4000, channels=2, decoder_channels=2, widths=(1, 2), strides=(8, 8), latent=3)


@pytest.fixture
def recipe(tmp_path):
    """A recipe of a tiny random teacher, whose shards hold two short pieces."""
    torch.manual_seed(0)
    save_autoencoder(tmp_path / "taught" / "autoencoder", Autoencoder(CODEC), name="autoencoder")
    small = replace(mini().dit, latent=3, width=32, layers=1, heads=2, tokens=16, context=32, whole=32)
    sampling = DiffusionSampling(solver="dpm-2m", schedule="even", steps=20, guidance=3.0, rescale=0.5)
    teacher = StableAudioNetwork(replace(mini(), dit=small, window=20, sampling=sampling))
    for parameter in teacher.parameters():
        torch.nn.init.normal_(parameter, std=0.25)
    said = {"name": "small", "codec": "autoencoder", "text": "text-mini"}
    save_stable_audio(tmp_path / "taught" / "model", teacher, **said)
    made = StableAudioStepsRecipe(
        out=tmp_path / "whole", teacher=tmp_path / "taught" / "model", latents=tmp_path / "latents", leaps=2, walk=2,
        steps=3, batch=4, times=2, first_shards=1, steps_per_shard=100,
    )  # fmt: skip
    music, _ = stable_audio_steps.parts_of(made, load_pipeline(made.teacher, "cpu"))
    for seed in (1, stable_audio.HELD_OUT_SEED):
        folder = stable_audio.latent_store(music, seed).folder
        folder.mkdir(parents=True)
        records = [
            {"frames": 25, "captions": [{"text": text}], "tempo": 600, "meter": [2, 4]} for text in ("piano", "drums")
        ]
        latent_TD = torch.randn(50, 3, generator=torch.Generator().manual_seed(seed)).half()
        save_file({"latent": latent_TD}, folder / "000000.safetensors", metadata={"records": json.dumps(records)})
    before = torch.get_num_threads()
    yield made
    torch.set_num_threads(before)


def some(teacher, count):
    """Noise for latents, and what is told of it."""
    words = teacher.text.encode(["piano", "drums"] * (count // 2))
    timing = {name: torch.full((count,), 1.0) for name in (START, TOTAL)}
    latent_BTD = torch.randn(count, 20, 3, generator=torch.Generator().manual_seed(0))
    return Told(latent_BTD, words.tokens_BLD, words.mask_BL, timing)


def test_it_resumes_exactly_and_generate_runs_it_as_its_config_says(recipe, tmp_path):
    stable_audio_steps.train(recipe)
    for step in (1, 2):
        stable_audio_steps.train(replace(recipe, out=tmp_path / "parts", minutes=0))
        assert load_state(tmp_path / "parts/state.safetensors")["step"] == step
    stable_audio_steps.train(replace(recipe, out=tmp_path / "parts"))
    whole, parts = (load_state(tmp_path / run / "state.safetensors") for run in ("whole", "parts"))
    for part in ("learner", "ema"):
        assert all(torch.equal(whole[part][name], parts[part][name]) for name in whole[part])
    model = toccata.load(str(tmp_path / "parts/model"), device="cpu")
    assert isinstance(model, StableAudio)
    sampling = model.config.sampling
    assert (sampling.solver, sampling.steps, sampling.guidance) == ("ddim", 2, 1.0)
    assert model.name == "small-2-steps"
    calls = []
    model.network.register_forward_hook(lambda network, given, made: calls.append(len(made)))
    assert model.generate("slow piano", 1.0, 1).samples.shape == (2, 4000)
    assert set(calls) == {1}  # no second row for guidance
    assert len(calls) % 2 == 0


def test_latents_of_the_teacher_s_training_serve_its_student(recipe):
    """A codec that is copied beside a model, and from there beside its student, is known by the same hash."""
    taught = stable_audio.StableAudioRecipe(latents=recipe.latents, codec=recipe.teacher.parent / "autoencoder")
    _, name = adopt(str(taught.codec), recipe.out / "autoencoder")
    music, card = stable_audio_steps.parts_of(recipe, load_pipeline(recipe.teacher, "cpu"))
    assert card["codec"] == name == "autoencoder"
    folders = {stable_audio.latent_store(replace(taught, codec=codec), 1).folder for codec in (
        taught.codec, music.codec, recipe.out / "autoencoder"
    )}  # fmt: skip
    assert len(folders) == 1


def test_a_student_comes_nearer_to_many_steps_than_its_teacher_in_as_few(recipe):
    teacher = load_pipeline(recipe.teacher, "cpu")
    student = StableAudioNetwork(config_of(teacher.config, recipe.leaps))
    student.load_state_dict(teacher.network.state_dict())
    told = some(teacher, 8)
    judge = examine(teacher, told, recipe)
    optimiser = torch.optim.Adam(student.parameters(), 3e-3)
    for step in range(40):
        optimiser.param_groups[0]["lr"] = 3e-3 * (1 - step / 40)
        optimiser.zero_grad()
        loss_of(student, teacher, told, recipe, torch.Generator().manual_seed(step)).backward()
        optimiser.step()
    off, own = (float(number) for number in re.findall(r"\d\.\d+", judge(student)))
    assert off < 0.7 * own


def test_the_loss_repeats_with_its_chance(recipe):
    teacher = load_pipeline(recipe.teacher, "cpu")
    told = some(teacher, 2)
    losses = [
        loss_of(teacher.network, teacher, told, recipe, torch.Generator().manual_seed(seed)).item()
        for seed in (1, 1, 2)
    ]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("leaps", [0, 9])
def test_more_than_a_few_steps_are_refused(recipe, leaps):
    with pytest.raises(InputError, match="takes 1 to 8 steps"):
        stable_audio_steps.train(replace(recipe, leaps=leaps))
