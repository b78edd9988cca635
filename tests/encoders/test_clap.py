"""CLAP: any sound and any text land in one space, whatever lies beside them; wrong input and weights are told."""

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from toccata.audio import io
from toccata.encoders.bert import BertConfig
from toccata.encoders.clap import (
    CLAP,
    CLAPConfig,
    build,
    clap_fused,
    clap_larger,
    clap_mini,
    clap_unfused,
    load_clap,
    load_trained_clap,
    save_clap,
)
from toccata.encoders.clap_names import laion_configs
from toccata.encoders.clap_pictures import Pictures
from toccata.encoders.htsat import HTSATConfig
from toccata.encoders.joint import AudioTower, JointEncoder, TextTower, similarity
from toccata.encoders.pann import PANNConfig
from toccata.encoders.t5 import T5Config, T5Encoder
from toccata.errors import InputError, WeightsError
from toccata.hub import load_embedder

RATE = 8_000
WORDS = ("<s>", "<pad>", "</s>", "<unk>", "slow", "warm", "piano", "drums")
AUDIO = HTSATConfig(width=8, depths=(2, 2), heads=(2, 4), bands=16, side=32, window=4)
TEXT = BertConfig(width=16, layers=2, heads=2, inner=24, vocabulary=len(WORDS), positions=20, max_tokens=10)
PICTURES = Pictures(RATE, window=256, hop=160, bands=16, low=50, high=4000, seconds=1)


def tokeniser() -> Tokenizer:
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))  # type: ignore[assignment]
    return made


def small(fused: bool) -> CLAPConfig:
    return CLAPConfig(replace(AUDIO, fused=fused), TEXT, replace(PICTURES, fused=fused), width=12)


@pytest.fixture(scope="module", params=["unfused", "fused", "pann", "pann, fused"])
def clap(request) -> CLAP:
    torch.manual_seed(0)
    fused = request.param.endswith("fused") and request.param != "unfused"
    config = small(fused)
    if request.param.startswith("pann"):
        config = replace(config, audio=PANNConfig((8, 8, 16), bands=16, fused=fused))
    made = build(config, tokeniser()).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return made


def sound(seconds: float, seed: int = 0, rate: int = RATE) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(round(seconds * rate)) / rate
    noise = torch.randn(len(time), generator=generator) * (1 + torch.sin(3 * time))
    return 0.3 * torch.sin(2 * torch.pi * (300 + 200 * seed) * time * (1 + time / 20)) + 0.1 * noise


def test_embeddings_are_of_unit_length_for_sounds_of_any_length(clap: CLAP):
    waves = [sound(seconds) for seconds in (1 / RATE, 0.3, 1, 1.001, 1.03, 5, 61)]
    found_BD = clap.embed_audio(waves, RATE)
    assert found_BD.shape == (7, clap.width)
    assert torch.allclose(found_BD.norm(dim=-1), torch.ones(7), atol=1e-5)
    assert clap.embed_audio([torch.zeros(100)], RATE).isfinite().all()
    cosines = similarity(found_BD, clap.embed_text(["slow piano", "drums"]))
    assert cosines.shape == (7, 2)
    assert cosines.abs().max() <= 1


def test_an_embedding_does_not_depend_on_those_beside_it(clap: CLAP):
    waves = [sound(seconds, i) for i, seconds in enumerate((0.2, 1.5, 3, 0.9, 7, 2, 1.2, 0.4, 6, 0.1))]
    together_BD = clap.embed_audio(waves, RATE)
    alone_BD = torch.cat([clap.embed_audio([wave], RATE) for wave in waves])
    assert (together_BD - alone_BD).abs().max() < 1e-5
    texts = ["slow", "warm piano slow drums", "piano"]
    assert (clap.embed_text(texts) - torch.cat([clap.embed_text([text]) for text in texts])).abs().max() < 1e-5


def test_channels_are_mixed_and_other_rates_resampled(clap: CLAP):
    wave_N = sound(3)
    alike_BD = clap.embed_audio([wave_N, wave_N.expand(2, -1), torch.stack([2 * wave_N, 0 * wave_N])], RATE)
    assert (alike_BD - alike_BD[0]).abs().max() < 1e-5
    faster_BD = clap.embed_audio([sound(3, rate=RATE * 3)], RATE * 3)
    assert faster_BD.shape == (1, clap.width)


def test_every_third_of_a_long_sound_matters_if_fused(clap: CLAP):
    whole = clap.embed_audio([sound(9)], RATE)
    for third in range(3):
        wave_N = sound(9)
        wave_N[third * 3 * RATE : (third + 1) * 3 * RATE] *= 0.01
        changed = (clap.embed_audio([wave_N], RATE) - whole).abs().max()
        # Without fusion there is but one crop, out of the middle.
        assert (changed > 1e-3) == (clap.pictures.fused or third == 1)


def test_crops_stay_in_place_unless_a_generator_draws_them(clap: CLAP):
    wave = [sound(9)]
    first, again = (clap.embed_audio(wave, RATE) for _ in range(2))
    assert torch.equal(first, again)
    drawn, redrawn, other = (clap.embed_audio(wave, RATE, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(drawn, redrawn)
    assert not torch.equal(drawn, other)


@pytest.mark.parametrize(("suffix", "rate"), [(".wav", RATE), (".flac", 11_025), (".ogg", 12_000), (".mp3", 16_000)])
def test_a_file_is_embedded_as_its_samples_are(clap: CLAP, tmp_path: Path, suffix: str, rate: int):
    paths = [tmp_path / f"{i}{suffix}" for i in range(3)]
    for path, seconds in zip(paths, (0.3, 1.7, 12.3), strict=True):
        io.write(path, 0.5 * sound(seconds, 1, rate).clamp(-1, 1).expand(2, -1).numpy(), rate, {})
    waves = [torch.from_numpy(io.read(path)[0]) for path in paths]
    assert (clap.embed_files(paths) - clap.embed_audio(waves, rate)).abs().max() < 1e-3


@pytest.mark.parametrize("rate", [RATE, 11_025, 16_000, 44_100])
def test_a_file_is_read_once(clap: CLAP, tmp_path: Path, monkeypatch, rate: int):
    path = tmp_path / "a.wav"
    io.write(path, sound(3.3, 1, rate).clamp(-1, 1)[None].numpy(), rate, {})
    opened, stream = [], io.stream
    monkeypatch.setattr(io, "stream", lambda path, limits: opened.append(path) or stream(path, limits))
    clap.embed_files([path])
    assert opened == [path]


def test_a_header_that_is_wrong_about_the_length_does_no_harm(clap: CLAP, tmp_path: Path, monkeypatch):
    path = tmp_path / "a.wav"
    io.write(path, sound(5).clamp(-1, 1)[None].numpy(), RATE, {})
    expected = clap.embed_files([path])
    drawn = clap.embed_files([path], generator=torch.Generator().manual_seed(1))
    stream = io.Stream
    for wrong in (0, 100, RATE, 4 * RATE, 10**12):
        monkeypatch.setattr(
            io, "Stream", lambda rate, channels, frames, blocks, w=wrong: stream(rate, channels, w, blocks)
        )
        assert torch.equal(clap.embed_files([path]), expected)
        assert torch.equal(clap.embed_files([path], generator=torch.Generator().manual_seed(1)), drawn)


@pytest.mark.parametrize(
    ("waves", "rate", "sentence"),
    [
        ([], RATE, "no sound to embed"),
        ([torch.ones(5), torch.ones(0)], RATE, "sound 2 is empty"),
        ([torch.ones(2, 0)], RATE, "sound 1 is empty"),
        ([torch.tensor([0.1, math.nan])], RATE, "not finite"),
        ([torch.tensor([[0.1], [math.inf]])], RATE, "not finite"),
        ([torch.ones(1, 1, 5)], RATE, "3 dimensions"),
        ([torch.ones(5)], 0, "sample rate of 0 Hz"),
    ],
)
def test_what_is_no_sound_is_one_sentence(clap: CLAP, waves, rate: int, sentence: str):
    with pytest.raises(InputError, match=sentence) as caught:
        clap.embed_audio(waves, rate)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("texts", "sentence"), [([], "no text"), (["slow", " \n"], "text 2 is empty")])
def test_what_is_no_text_is_one_sentence(clap: CLAP, texts, sentence: str):
    with pytest.raises(InputError, match=sentence):
        clap.embed_text(texts)
    assert clap.embed_text(["slow " * 500, "\ud800 piano", "🎷"]).isfinite().all()


def test_files_that_are_no_sound_are_refused(clap: CLAP, tmp_path: Path):
    (tmp_path / "text.wav").write_text("no sound")
    io.write(tmp_path / "short.wav", np.zeros((1, 5), np.float32), RATE, {})
    io.write(tmp_path / "empty.wav", np.zeros((1, 0), np.float32), RATE, {})
    for name, sentence in (("text.wav", "not a sound file"), ("gone.wav", "does not exist"), ("empty.wav", "no sound")):
        with pytest.raises(InputError, match=sentence):
            clap.embed_files([tmp_path / "short.wav", tmp_path / name])
    with pytest.raises(InputError, match="too long"):
        clap.embed_files([tmp_path / "short.wav"], io.Limits(max_seconds=0.0001))
    with pytest.raises(InputError, match="no sound to embed"):
        clap.embed_files([])


class Loudness:
    """A tower of one number, to show that any will do."""

    width = 1

    def summarise(self, mel_BPTM: torch.Tensor, longer_B: torch.Tensor) -> torch.Tensor:
        return mel_BPTM.mean((1, 2, 3))[:, None]


def test_towers_can_be_exchanged():
    vocabulary = {"</s>": 1, "piano": 2, "drums": 3, "<unk>": 0}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    text: TextTower = T5Encoder(T5Config(width=8, layers=1, heads=2, head_width=4, inner=8, vocabulary=4), words)
    audio: AudioTower = Loudness()
    clap: JointEncoder = CLAP(PICTURES, 6, audio, text)
    cosines = similarity(clap.embed_audio([sound(0.5)], RATE), clap.embed_text(["piano", "drums"]))
    assert cosines.shape == (1, 2)


@pytest.mark.parametrize(
    ("config", "millions"), [(clap_unfused(), 153.49), (clap_fused(), 153.51), (clap_larger(), 193.91)]
)
def test_presets_have_the_published_number_of_parameters(config: CLAPConfig, millions: float):
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in build(config, tokeniser()).parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.01)
    assert config.pictures.fused == config.audio.fused
    assert isinstance(config.audio, HTSATConfig)
    assert config.pictures.frames <= config.audio.frames


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a public checkpoint looks like, made by hand for a tower of a single block."""
    audio = {"depths": [1], "num_attention_heads": [1], "patch_embeds_hidden_size": 4, "num_mel_bins": 16}
    audio |= {"spec_size": 16, "window_size": 4}
    text = {"hidden_size": 4, "num_hidden_layers": 0, "num_attention_heads": 1, "vocab_size": len(WORDS)}
    settings = {"model_type": "clap", "audio_config": audio, "text_config": text, "projection_dim": 3}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    hears = {"sampling_rate": RATE, "fft_window_size": 256, "hop_length": 160, "feature_size": 16, "max_length_s": 0.2}
    hears |= {"frequency_min": 50, "frequency_max": 4000, "padding": "repeatpad", "truncation": "rand_trunc"}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(hears))
    tokeniser().save(str(tmp_path / "tokenizer.json"))
    tower, block = "audio_model.audio_encoder", "audio_model.audio_encoder.layers.0.blocks.0"
    shapes: dict[str, tuple[int, ...]] = {"logit_scale_a": (), "logit_scale_t": ()}
    shapes |= {f"{block}.attention.self.relative_position_bias_table": (49, 1)}
    shapes |= {f"{tower}.batch_norm.{name}": (16,) for name in ("weight", "bias", "running_mean", "running_var")}
    shapes |= {f"{tower}.batch_norm.num_batches_tracked": ()}
    linear = {f"{tower}.patch_embed.proj": (4, 1, 4, 4)}
    linear |= {f"{block}.attention.self.{name}": (4, 4) for name in ("query", "key", "value")}
    linear |= {f"{block}.attention.output.dense": (4, 4), f"{block}.output.dense": (4, 16)}
    linear |= {f"{block}.intermediate.dense": (16, 4), "text_model.pooler.dense": (4, 4)}
    linear |= {f"{side}_projection.linear{i}": (3, 4 if i == 1 else 3) for side in ("audio", "text") for i in (1, 2)}
    norms = (f"{tower}.norm", f"{tower}.patch_embed.norm", f"{block}.layernorm_before", f"{block}.layernorm_after")
    for name, shape in [*linear.items(), *((name, (4,)) for name in (*norms, "text_model.embeddings.LayerNorm"))]:
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name, rows in (("word", len(WORDS)), ("position", 514), ("token_type", 1)):
        shapes[f"text_model.embeddings.{name}_embeddings.weight"] = (rows, 4)
    save_file({name: torch.ones(shape) for name, shape in shapes.items()}, tmp_path / "model.safetensors")
    return tmp_path


def test_a_folder_made_by_hand_is_read(folder: Path):
    clap = load_clap(folder)
    assert clap.embed_audio([sound(0.5)], RATE).shape == clap.embed_text(["slow piano"]).shape == (1, 3)


def test_a_folder_as_transformers_writes_it_is_loaded_by_its_path(folder: Path):
    embedder = load_embedder(str(folder))
    assert embedder.embed_text("slow piano").shape == (1, 3)
    before = embedder.weights_sha256
    assert len(before) == 64
    settle(folder, "preprocessor_config.json", "", padding="repeat")
    assert load_embedder(str(folder)).weights_sha256 == before, "it tells the weights"
    settle(folder, "config.json", "", note="another")
    assert load_embedder(str(folder)).weights_sha256 != before


def settle(folder: Path, file: str, part: str, **changes: object) -> None:
    said = json.loads((folder / file).read_text())
    (said[part] if part else said).update(changes)
    (folder / file).write_text(json.dumps(said))


def change(folder: Path, name: str, tensor: torch.Tensor | None) -> None:
    tensors = {**load_file(folder / "model.safetensors"), name: tensor}
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    save_file(kept, folder / "model.safetensors")


CONFIG, HEARS, KEY = "config.json", "preprocessor_config.json", "audio_model.audio_encoder.layers.0.blocks.0"


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda f: (f / CONFIG).unlink(), r"config\.json is missing"),
        (lambda f: settle(f, CONFIG, "", model_type="clip"), "no CLAP .* a clip model"),
        (lambda f: settle(f, CONFIG, "", projection_hidden_act="tanh"), "tanh, not relu"),
        (lambda f: settle(f, CONFIG, "audio_config", hidden_act="relu"), "hidden_act relu; toccata knows gelu"),
        (lambda f: settle(f, CONFIG, "audio_config", patch_stride=[2, 2]), "patches overlap"),
        (lambda f: settle(f, CONFIG, "audio_config", patch_size=[4, 2]), "square ones only"),
        (lambda f: settle(f, CONFIG, "audio_config", spec_size=20), "does not divide"),
        (lambda f: settle(f, CONFIG, "audio_config", enable_fusion=True, fusion_type="daf_1d"), "aff_2d only"),
        (lambda f: settle(f, CONFIG, "text_config", hidden_act="silu"), "hidden_act silu"),
        (lambda f: settle(f, CONFIG, "text_config", hidden_size="wide"), "does not describe a BERT"),
        (lambda f: (f / HEARS).unlink(), r"processor_config\.json is missing"),
        (lambda f: settle(f, HEARS, "", truncation="fusion"), "does not fit the model's config"),
        (lambda f: settle(f, HEARS, "", padding="mirror"), "does not fit the model's config"),
        (lambda f: settle(f, HEARS, "", max_length_s=30), "does not fit the model's config"),
        (lambda f: (f / HEARS).write_text("{}"), "how CLAP hears: 'sampling_rate' is missing"),
        (lambda f: (f / "tokenizer.json").unlink(), r"tokenizer\.json cannot be read"),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "toccata models convert"),
        (lambda f: (f / "model.safetensors").write_bytes(b"no"), "damaged or incomplete"),
        (lambda f: change(f, "logit_scale_a", None), "lack 'scale_audio'"),
        (lambda f: change(f, f"{KEY}.attention.self.key.weight", None), "lack .*qkv"),
        (lambda f: change(f, "text_projection.linear1.bias", torch.ones(9)), r"another shape for 'text_out\.0\.bias'"),
        (lambda f: change(f, "text_model.adapter.weight", torch.ones(9)), r"unknown 'text\.adapter\.weight'"),
        (lambda f: change(f, "audio_model.audio_encoder.extra", torch.ones(9)), r"unknown 'audio\.extra'"),
    ],
)
def test_a_folder_that_is_not_whole_or_of_another_model_is_one_sentence(folder: Path, damage, sentence: str):
    damage(folder)
    with pytest.raises(WeightsError, match=sentence) as caught:
        load_clap(folder)
    assert "\n" not in str(caught.value)


def test_laions_towers_are_told_by_their_weights():
    rows = {"audio.patches.whole.weight": {96: "tiny", 128: "base"}, "text.words.weight": {50265: 2, 30522: 0}}
    for (width, _), (words, first) in itertools.product(*(each.items() for each in rows.values())):
        tensors = {"audio.patches.whole.weight": torch.empty(width), "text.words.weight": torch.empty(words)}
        audio, text = laion_configs(tensors, Path("a"))
        assert isinstance(audio, HTSATConfig)
        assert (audio.width, audio.fused, text.first_position, text.max_tokens) == (width, False, first, 77)
        assert laion_configs({**tensors, "audio.patches.detail.weight": torch.empty(1)}, Path("a"))[0].fused
    words = {"text.words.weight": torch.empty(50265)}
    assert laion_configs({**words, "audio.out.weight": torch.empty(1)}, Path("a"))[0] == PANNConfig()
    with pytest.raises(WeightsError, match="holds no CLAP of LAION"):
        laion_configs({}, Path("a"))


def test_a_trained_one_embeds_about_the_same_after_saving(tmp_path):
    torch.manual_seed(0)
    tower = replace(AUDIO, fused=True)
    config = replace(clap_mini(), audio=tower, pictures=replace(PICTURES, fused=True), width=12)
    model = build(config).eval()
    save_clap(tmp_path, model, config, name="tiny")
    again = load_trained_clap(tmp_path)
    waves = [sound(0.4), sound(3.0, seed=1)]
    near = (again.embed_audio(waves, RATE) * model.embed_audio(waves, RATE)).sum(1)
    assert near.min() > 0.99
    near = (again.embed_text(["slow piano"]) * model.embed_text(["slow piano"])).sum(1)
    assert near.min() > 0.99


def test_another_model_or_a_broken_configuration_is_told(tmp_path):
    (tmp_path / "config.json").write_text('{"family": "mulan"}')
    with pytest.raises(WeightsError):
        load_trained_clap(tmp_path)
    config = replace(clap_mini(), audio=AUDIO, pictures=PICTURES, width=12)
    save_clap(tmp_path, build(config), config)
    told = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**told, "clap": {**told["clap"], "audio": {"tower": "ear"}}}))
    with pytest.raises(WeightsError, match="does not describe a CLAP"):
        load_trained_clap(tmp_path)
