"""Published MusicGen on disk: text in, the same sound out as transformers makes of the same files, greedily."""

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import toccata
from toccata.clip import Clip
from toccata.errors import InputError, WeightsError
from toccata.models.musicgen import public
from toccata.weights import catalogue, device, store

transformers = pytest.importorskip("transformers")

WORDS = ("warm", "piano", "slow", "beat", "pop")
FRAMES, RATE = 60, 32000
PROMPT = "slow warm piano"


def tokeniser():
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0), *(("▁" + word, -1.0) for word in WORDS)]
    return transformers.T5Tokenizer(vocab=pieces, extra_ids=2)


def build(kind, width=32, heads=4):
    """A small random model of transformers."""
    torch.manual_seed(0)
    text = transformers.T5Config(
        vocab_size=len(tokeniser()), d_model=24, d_kv=8, d_ff=32, num_layers=1, num_heads=3, dropout_rate=0.0
    )
    codec = transformers.EncodecConfig(
        sampling_rate=RATE, audio_channels=1, num_filters=4, hidden_size=16, codebook_dim=16, codebook_size=64,
        upsampling_ratios=[8, 5, 4, 4], num_lstm_layers=1, normalize=False, target_bandwidths=[1.2],
        use_causal_conv=False, use_conv_shortcut=False,
    )  # fmt: skip
    stereo = kind == "stereo"
    sizes = {
        "vocab_size": 64, "hidden_size": width, "num_hidden_layers": 2, "num_attention_heads": heads,
        "ffn_dim": 4 * width, "num_codebooks": 8 if stereo else 4, "audio_channels": 2 if stereo else 1, "dropout": 0.0,
        "attention_dropout": 0.0, "activation_dropout": 0.0, "layerdrop": 0.0, "scale_embedding": False,
        "pad_token_id": 64, "bos_token_id": 64,
    }  # fmt: skip
    parts = {"text_encoder": text.to_dict(), "audio_encoder": codec.to_dict()}
    if kind == "melody":
        decoder = transformers.MusicgenMelodyDecoderConfig(**sizes).to_dict()
        config = transformers.MusicgenMelodyConfig(**parts, decoder=decoder, chroma_length=9)
        model = transformers.MusicgenMelodyForConditionalGeneration(config)
    else:
        decoder = transformers.MusicgenDecoderConfig(**sizes).to_dict()
        model = transformers.MusicgenForConditionalGeneration(transformers.MusicgenConfig(**parts, decoder=decoder))
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, std=0.3 if not name.startswith("audio_encoder") else 0.2)
    for name, buffer in model.audio_encoder.named_buffers():
        if name.endswith("embed"):
            torch.nn.init.normal_(buffer)
    return model.eval()


@pytest.fixture(scope="module", params=["mono", "stereo", "melody"])
def pair(request, tmp_path_factory):
    model, folder = build(request.param), tmp_path_factory.mktemp(request.param)
    model.save_pretrained(folder)
    tokeniser().save_pretrained(folder)
    return model, folder


def expected(model, **told):
    batch = tokeniser()([PROMPT], return_tensors="pt")
    delays = 4
    with torch.no_grad():
        wave = model.generate(
            **batch, do_sample=False, guidance_scale=3.0, max_length=FRAMES + delays, **told
        )  # fmt: skip
    return wave[0].numpy()


def greedy(ours, seconds=FRAMES / 50, **told):
    return ours.generate(PROMPT, seconds=seconds, seed=0, top_k=1, guidance=3.0, **told)


def test_the_sound_is_the_same(pair):
    model, folder = pair
    theirs, ours = expected(model), greedy(toccata.load(str(folder), device="cpu"))
    kept = min(theirs.shape[1], ours.samples.shape[1]) - RATE // 20  # ours fades out over the last 30 ms
    assert kept > RATE
    assert len(ours.samples) == len(theirs)
    loudness = np.abs(theirs[:, :kept]).max()
    assert np.allclose(ours.samples[:, :kept], theirs[:, :kept].clip(-1, 1), atol=1e-4 * max(loudness, 1))
    assert loudness > 1e-3


def test_a_melody_of_the_published_kind_is_heard_as_transformers_hears_it(pair):
    model, folder = pair
    ours = toccata.load(str(folder), device="cpu")
    t = np.arange(RATE * 3) / RATE
    wave = np.concatenate([0.3 * np.sin(2 * np.pi * f * t[:RATE]) for f in (440.0, 523.25, 659.26)]).astype(np.float32)
    tune = Clip(wave[None], RATE)
    if "MusicgenMelody" not in type(model).__name__:
        with pytest.raises(InputError, match="takes no melody"):
            greedy(ours, melody=tune)
        return
    hot = ours.writer._chroma(ours._melody(tune), 0.0, 0)  # type: ignore[attr-defined]
    theirs = expected(model, input_features=hot[None])
    made = greedy(ours, melody=tune).samples
    kept = theirs.shape[1] - RATE // 20
    assert np.allclose(made[:, :kept], theirs[:, :kept].clip(-1, 1), atol=1e-4 * max(np.abs(theirs).max(), 1))
    assert not np.allclose(made, greedy(ours).samples)


def test_a_recording_is_continued(pair):
    _, folder = pair
    ours = toccata.load(str(folder), device="cpu")
    before = greedy(ours, 1.0)
    after = ours.continue_(before, PROMPT, 1.0, seed=1)  # type: ignore[attr-defined]
    assert after.samples.shape[0] == len(before.samples)
    assert after.seconds == pytest.approx(2.0, abs=0.05)


def test_streamed_it_is_the_same(pair):
    _, folder = pair
    ours = toccata.load(str(folder), device="cpu")
    parts = list(ours.stream(PROMPT, 2.5, seed=3))  # type: ignore[attr-defined]
    whole = ours.generate(PROMPT, 2.5, seed=3)
    assert len(parts) > 2
    assert np.allclose(Clip.join(parts).samples, whole.samples, atol=1e-5)


def test_truncated_and_foreign_weights_are_refused(pair, tmp_path):
    _, folder = pair
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    data = (broken / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(WeightsError, match="damaged or incomplete"):
        toccata.load(str(broken))
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("decoder.lm_heads.1.weight")
    save_file(tensors, broken / "model.safetensors")
    with pytest.raises(WeightsError, match="lack"):
        toccata.load(str(broken))


def test_what_is_too_big_says_how_much_it_needs(pair, monkeypatch):
    _, folder = pair
    monkeypatch.setattr(device, "free_memory", lambda device: 1000)
    with pytest.raises(InputError, match=r"needs about 0.0 GiB .* choose --precision bf16"):
        toccata.load(str(folder))


def test_audiocrafts_own_layout_makes_the_same_sound(tmp_path, monkeypatch):
    model = build("mono", width=64, heads=1)
    whole, craft, t5 = tmp_path / "whole", tmp_path / "craft", tmp_path / "t5"
    model.save_pretrained(whole)
    model.text_encoder.save_pretrained(t5)
    for folder in (whole, t5):
        tokeniser().save_pretrained(folder)
    craft.mkdir()
    save_file(as_audiocraft(model), craft / public.AUDIOCRAFT)
    save_file({"best_state.some": torch.zeros(1)}, craft / public.AUDIOCRAFT_CODEC)  # has tests of its own
    with pytest.raises(WeightsError, match="toccata models pull t5-base"):
        toccata.load(str(craft), device="cpu")
    found = store.Fetched("google-t5/t5-base", "", t5, (), ())
    monkeypatch.setattr(store, "fetched", lambda model: found if model == catalogue.get("t5-base") else None)
    codec = toccata.load(str(whole), device="cpu").codec  # type: ignore[attr-defined]
    monkeypatch.setattr(public, "encodec_from_audiocraft", lambda state, source: codec)
    a, b = (greedy(toccata.load(str(folder), device="cpu")).samples for folder in (whole, craft))
    assert np.allclose(a, b, atol=1e-5)


def as_audiocraft(model):
    """The decoder under audiocraft's names (its "best_state", with dots as ``models convert`` writes them)."""
    state, named = model.state_dict(), {}
    for name, ours in (("enc_to_dec_proj", "condition_provider.conditioners.description.output_proj"),
                       ("decoder.model.decoder.layer_norm", "out_norm")):  # fmt: skip
        named |= {f"{ours}.{part}": state[f"{name}.{part}"] for part in ("weight", "bias")}
    for k in range(4):
        named[f"emb.{k}.weight"] = state[f"decoder.model.decoder.embed_tokens.{k}.weight"]
        named[f"linears.{k}.weight"] = state[f"decoder.lm_heads.{k}.weight"]
    for i in range(2):
        old, new = f"decoder.model.decoder.layers.{i}.", f"transformer.layers.{i}."
        for theirs, ours in (("self_attn", "self_attn"), ("encoder_attn", "cross_attention")):
            qkv = [state[f"{old}{theirs}.{x}_proj.weight"] for x in "qkv"]
            named[f"{new}{ours}.in_proj_weight"] = torch.cat(qkv)
            named[f"{new}{ours}.out_proj.weight"] = state[f"{old}{theirs}.out_proj.weight"]
        for theirs, ours in (("fc1", "linear1"), ("fc2", "linear2")):
            named[f"{new}{ours}.weight"] = state[f"{old}{theirs}.weight"]
        for theirs, ours in (("self_attn_layer_norm", "norm1"), ("encoder_attn_layer_norm", "norm_cross"),
                             ("final_layer_norm", "norm2")):  # fmt: skip
            named |= {f"{new}{ours}.{part}": state[f"{old}{theirs}.{part}"] for part in ("weight", "bias")}
    return {f"best_state.{name}": tensor.contiguous().clone() for name, tensor in named.items()}
