"""Published Stable Audio on disk: text in, the same sound out as diffusers makes of the same files and noise."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import toccata
from tests.parity.test_autoencoder import tools_names
from toccata.errors import InputError, WeightsError
from toccata.models.stable_audio.canvas import empty
from toccata.models.stable_audio.pipeline import Asked, StableAudio
from toccata.weights import catalogue, device, store

diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
WORDS = ("warm", "piano", "slow", "beat", "pop")
RATE, WINDOW, LATENT, TOKENS, STRIDE = 4000, 24, 4, 9, 32
PROMPT, SECONDS = "slow warm piano", WINDOW * STRIDE / RATE


def tokeniser():
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0), *(("▁" + word, -1.0) for word in WORDS)]
    return transformers.T5Tokenizer(vocab=pieces, extra_ids=2, model_max_length=TOKENS)


class Scheduler(diffusers.EDMDPMSolverMultistepScheduler):
    """diffusers' CosineDPMSolverMultistepScheduler without its Brownian tree, which needs one more package."""

    def precondition_noise(self, sigma):
        return torch.as_tensor(sigma).atan() / torch.pi * 2


def build():
    """A small random pipeline of diffusers, 24 frames of 32 samples."""
    from diffusers.pipelines.stable_audio.modeling_stable_audio import StableAudioProjectionModel

    torch.manual_seed(0)
    text = transformers.T5EncoderModel(
        transformers.T5Config(vocab_size=len(tokeniser()), d_model=20, d_kv=5, d_ff=24, num_layers=2, num_heads=4)
    )
    dit = diffusers.StableAudioDiTModel(
        sample_size=WINDOW, in_channels=LATENT, out_channels=LATENT, num_layers=2, attention_head_dim=16,
        num_attention_heads=4, num_key_value_attention_heads=2, cross_attention_dim=32, cross_attention_input_dim=24,
        global_states_input_dim=48,
    )  # fmt: skip
    told = StableAudioProjectionModel(text_encoder_dim=20, conditioning_dim=24, min_value=0, max_value=512)
    vae = diffusers.AutoencoderOobleck(
        encoder_hidden_size=2 * LATENT, downsampling_ratios=[2, 4, 4], channel_multiples=[1, 2, 2], decoder_channels=8,
        decoder_input_channels=LATENT, sampling_rate=RATE,
    )  # fmt: skip
    for module in (text, dit, told):
        for name, parameter in module.named_parameters():
            torch.nn.init.normal_(parameter, std=1.0 if "weights" in name else 0.2)
    scheduler = Scheduler(
        sigma_min=0.3, sigma_max=500.0, sigma_data=1.0, prediction_type="v_prediction", sigma_schedule="exponential",
        algorithm_type="sde-dpmsolver++", final_sigmas_type="zero",
    )  # fmt: skip
    parts = {"vae": vae, "text_encoder": text, "projection_model": told, "transformer": dit}
    for part in parts.values():
        part.eval()
    return diffusers.StableAudioPipeline(**parts, tokenizer=tokeniser(), scheduler=scheduler)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    theirs, folder = build(), tmp_path_factory.mktemp("stable")
    for name in ("vae", "text_encoder", "projection_model", "transformer", "tokenizer", "scheduler"):
        getattr(theirs, name).save_pretrained(folder / name)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableAudioPipeline"}))
    theirs.set_progress_bar_config(disable=True)
    return theirs, folder


def opened(folder):
    ours = toccata.load(str(folder), device="cpu", precision="fp32")
    assert isinstance(ours, StableAudio)
    return ours


@pytest.fixture
def noise(monkeypatch):
    """diffusers draws from the generator that toccata draws from, in toccata's order: frame by frame."""
    from diffusers.schedulers import scheduling_edm_dpmsolver_multistep as module

    def drawn(shape, generator=None, **_):
        return torch.randn(shape[0], shape[2], shape[1], generator=generator).transpose(1, 2)

    monkeypatch.setattr(module, "randn_tensor", drawn)
    return drawn


def expected(theirs, noise, steps, guidance, negative=None, seconds=SECONDS, seed=3):
    generator = torch.Generator().manual_seed(seed)
    latents = noise((1, LATENT, WINDOW), generator)
    return theirs(
        PROMPT, audio_end_in_s=seconds, num_inference_steps=steps, guidance_scale=guidance, negative_prompt=negative,
        generator=generator, latents=latents,
    ).audios[0].numpy()  # fmt: skip


def drawn(ours, steps, guidance, negative=None, seed=3):
    """toccata's sound of one window: its own lengths begin at a second, longer than that."""
    sampling = replace(ours.config.sampling, steps=steps, guidance=guidance)
    asked = Asked(toccata.Prompt(PROMPT, negative), seed, sampling)
    parts = ours.latents(asked, empty(WINDOW, WINDOW, LATENT), SECONDS, 1.0)
    return ours.codec.synthesise(torch.cat(list(parts))[None])[0].detach().numpy()


@pytest.mark.parametrize("negative", [None, "pop beat"])
@pytest.mark.parametrize(("steps", "guidance"), [(4, 7.0), (20, 7.0), (5, 1.0)])
def test_the_sound_is_the_same(pair, noise, steps, guidance, negative):
    theirs, folder = pair
    ours = opened(folder)
    wanted = expected(theirs, noise, steps, guidance, negative)
    made = drawn(ours, steps, guidance, negative)
    assert made.shape == wanted.shape
    assert np.abs(made - wanted).max() < 1e-3 * np.abs(wanted).max()
    assert np.abs(wanted).max() > 1e-2


def test_words_seconds_and_guidance_matter(pair):
    _, folder = pair
    ours = opened(folder)
    clips = [
        ours.generate(PROMPT, 1.0, 3, steps=3).samples,
        ours.generate("pop beat", 1.0, 3, steps=3).samples,
        ours.generate(PROMPT, 1.5, 3, steps=3).samples[:, :RATE],
        ours.generate(PROMPT, 1.0, 3, steps=3, guidance=1).samples,
        ours.generate(PROMPT, 1.0, 4, steps=3).samples,
        ours.generate(PROMPT, 1.0, 3, steps=4).samples,
    ]
    for other in clips[1:]:
        assert not np.allclose(clips[0], other, atol=1e-4)
    assert np.array_equal(clips[0], ours.generate(PROMPT, 1.0, 3, steps=3).samples)


def tools_layout(folder, target, normed=False):
    """The same model as stable-audio-tools writes it."""
    dit, told, vae = (
        load_file(folder / part / "diffusion_pytorch_model.safetensors")
        for part in ("transformer", "projection_model", "vae")
    )
    pre = "model.model."
    words = {
        "time_proj.": "timestep_features.", "timestep_proj": "to_timestep_embed", "global_proj": "to_global_embed",
        "cross_attention_proj": "to_cond_embed", "proj_in": "transformer.project_in",
        "proj_out": "transformer.project_out",
    }  # fmt: skip
    made = {}
    for name, tensor in dit.items():
        if not name.startswith("transformer_blocks."):
            for was, new in words.items():
                name = new + name.removeprefix(was) if name.startswith(was) else name
            made[pre + name] = tensor[:, None] if name == "timestep_features.weight" else tensor
    for i in range(2):
        old, new = f"transformer_blocks.{i}.", f"{pre}transformer.layers.{i}."
        made[f"{new}self_attn.to_qkv.weight"] = torch.cat([dit[f"{old}attn1.to_{x}.weight"] for x in "qkv"])
        made[f"{new}self_attn.to_out.weight"] = dit[f"{old}attn1.to_out.0.weight"]
        made[f"{new}cross_attn.to_q.weight"] = dit[f"{old}attn2.to_q.weight"]
        made[f"{new}cross_attn.to_kv.weight"] = torch.cat([dit[f"{old}attn2.to_{x}.weight"] for x in "kv"])
        made[f"{new}cross_attn.to_out.weight"] = dit[f"{old}attn2.to_out.0.weight"]
        for was, its in {"norm1": "pre_norm", "norm2": "cross_attend_norm", "norm3": "ff_norm"}.items():
            made |= {f"{new}{its}.gamma": dit[f"{old}{was}.weight"], f"{new}{its}.beta": dit[f"{old}{was}.bias"]}
        for was, its in {"ff.net.0.proj": "ff.ff.0.proj", "ff.net.2": "ff.ff.2"}.items():
            made |= {f"{new}{its}.{p}": dit[f"{old}{was}.{p}"] for p in ("weight", "bias")}
        if normed:
            for side in ("self_attn", "cross_attn"):
                made |= {f"{new}{side}.{x}_norm.{p}": torch.rand(16) for x in "qk" for p in ("weight", "bias")}
    made[f"{pre}transformer.rotary_pos_emb.inv_freq"] = torch.ones(8)
    for name, tensor in told.items():
        if name.startswith("text"):
            made[f"conditioner.conditioners.prompt.proj_out.{name.rpartition('.')[2]}"] = tensor
        else:
            side = {"start": "start", "end": "total"}[name.split("_")[0]]
            rest = name.split("time_positional_embedding.")[1]
            made[f"conditioner.conditioners.seconds_{side}.embedder.embedding.{rest}"] = tensor
    made |= {f"pretransform.model.{name}": tensor for name, tensor in tools_names(vae).items()}
    target.mkdir(exist_ok=True)
    save_file({name: tensor.contiguous().clone() for name, tensor in made.items()}, target / "model.safetensors")
    shape = {"channels": 8, "c_mults": [1, 2, 2], "strides": [2, 4, 4], "use_snake": True}
    numbers = [
        {"id": f"seconds_{x}", "type": "number", "config": {"min_val": 0, "max_val": 512}} for x in ("start", "total")
    ]
    settings = {
        "model_type": "diffusion_cond", "sample_size": WINDOW * STRIDE, "sample_rate": RATE, "audio_channels": 2,
        "model": {
            "pretransform": {"type": "autoencoder", "config": {
                "encoder": {"type": "oobleck", "config": shape | {"latent_dim": 8}},
                "decoder": {"type": "oobleck", "config": shape | {"latent_dim": 4, "final_tanh": False}},
                "bottleneck": {"type": "vae"}, "latent_dim": 4, "downsampling_ratio": STRIDE, "io_channels": 2,
            }},
            "conditioning": {"cond_dim": 24, "configs": [
                {"id": "prompt", "type": "t5", "config": {"t5_model_name": "t5-base", "max_length": TOKENS}}, *numbers,
            ]},
            "diffusion": {
                "type": "dit", "cross_attention_cond_ids": ["prompt", "seconds_start", "seconds_total"],
                "global_cond_ids": ["seconds_start", "seconds_total"],
                "config": {"io_channels": 4, "embed_dim": 64, "depth": 2, "num_heads": 4, "cond_token_dim": 24,
                           "global_cond_dim": 48, "project_cond_tokens": False,
                           "transformer_type": "continuous_transformer"},
            },
            "io_channels": 4,
        },
    }  # fmt: skip
    (target / "model_config.json").write_text(json.dumps(settings))
    return settings


@pytest.fixture
def text_apart(pair, tmp_path, monkeypatch):
    """The pipeline's T5 as if it had been pulled by itself."""
    theirs, folder = pair
    t5 = tmp_path / "t5"
    theirs.text_encoder.save_pretrained(t5)
    (t5 / "tokenizer.json").write_bytes((folder / "tokenizer" / "tokenizer.json").read_bytes())
    files = (store.File("config.json", 0, ""),)
    found = store.Fetched("google-t5/t5-base", "c0ffee", t5, files, files)
    monkeypatch.setattr(store, "fetched", lambda model: found if model.family == "t5" else None)
    return t5


def test_stable_audio_tools_layout_sounds_the_same(pair, text_apart, tmp_path):
    _, folder = pair
    tools_layout(folder, tmp_path / "tools")
    a, b = (opened(each) for each in (folder, tmp_path / "tools"))
    assert a.config == b.config
    one, other = (each.generate(PROMPT, 1.0, 5, steps=3).samples for each in (a, b))
    assert np.allclose(one, other, atol=1e-5)


def test_without_its_text_encoder_it_says_which_to_pull(pair, tmp_path, monkeypatch):
    tools_layout(pair[1], tmp_path)
    monkeypatch.setattr(store, "fetched", lambda model: None)
    with pytest.raises(WeightsError, match="toccata models pull t5-base"):
        toccata.load(str(tmp_path), device="cpu")


def test_the_small_model_of_few_steps_is_understood(pair, text_apart, tmp_path):
    settings = tools_layout(pair[1], tmp_path / "small", normed=True)
    told = settings["model"]["diffusion"]
    told["diffusion_objective"], told["config"]["attn_kwargs"] = "rf_denoiser", {"qk_norm": "ln"}
    (tmp_path / "small" / "model_config.json").write_text(json.dumps(settings))
    ours = opened(tmp_path / "small")
    assert ours.config.objective == "rectified-flow"
    assert ours.config.sampling.solver == "ping-pong"
    assert ours.config.dit.normed
    assert np.isfinite(ours.generate(PROMPT, 1.0, 5).samples).all()


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (("diffusion",), {"type": "adp_cfg_1d"}),
        (("diffusion", "config"), {"patch_size": 2}),
        (("diffusion", "config"), {"attn_kwargs": {"qk_norm": "dyt"}}),
        (("diffusion",), {"global_cond_ids": []}),
    ],
)
def test_other_models_of_the_tools_are_refused_in_a_sentence(pair, text_apart, tmp_path, place, change):
    settings = tools_layout(pair[1], tmp_path / "other")
    inside = settings["model"]
    for name in place:
        inside = inside[name]
    inside |= change
    (tmp_path / "other" / "model_config.json").write_text(json.dumps(settings))
    with pytest.raises(WeightsError, match="cannot read"):
        toccata.load(str(tmp_path / "other"), device="cpu")


def test_weights_that_lack_or_add_something_are_told(pair, text_apart, tmp_path):
    tools_layout(pair[1], tmp_path / "odd")
    file = tmp_path / "odd" / "model.safetensors"
    tensors = load_file(file)
    save_file(tensors | {"model.model.transformer.memory_tokens": torch.zeros(1)}, file)
    with pytest.raises(WeightsError, match=r"unknown .*memory_tokens"):
        toccata.load(str(tmp_path / "odd"), device="cpu")
    tensors.pop("model.model.transformer.layers.1.ff_norm.gamma")
    save_file(tensors, file)
    with pytest.raises(WeightsError, match=r"lack .*layers\.1\.ff_norm\.gamma"):
        toccata.load(str(tmp_path / "odd"), device="cpu")


def test_too_little_memory_is_told_before_anything_is_read(pair, monkeypatch):
    monkeypatch.setattr(device, "free_memory", lambda place: 1000)
    with pytest.raises(InputError, match="GiB of memory"):
        toccata.load(str(pair[1]), device="cpu")


@pytest.mark.parametrize("name", ["stabilityai/stable-audio-open-1.0", "stabilityai/stable-audio-open-small"])
def test_both_are_in_the_catalogue_with_their_terms(name):
    terms = catalogue.get(name).terms()
    assert "Stability-AI-Community" in terms
    assert "consent" in terms
