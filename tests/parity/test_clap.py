"""CLAP against transformers' on the same random weights: what it hears, what it reads, and how the two compare."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from toccata.audio import io
from toccata.encoders.bert import load_bert
from toccata.encoders.clap import CLAP, CLAPConfig, load_clap, load_laion_clap
from toccata.encoders.clap_pictures import draw
from toccata.encoders.joint import similarity
from toccata.encoders.readers import load_reader

transformers = pytest.importorskip("transformers")

RATE = 48_000
TEXTS = ["warm piano", "a slow boom-bap beat", "synth pop, driving drums, driving drums", "🎷"]
SECONDS = [0.01, 0.7, 2.0, 2.004, 2.03, 3.3, 9.0]  # a picture is 2 s: shorter, equal, hardly longer, longer
AUDIO = {
    "spec_size": 128, "num_mel_bins": 64, "patch_embeds_hidden_size": 8, "hidden_size": 32, "depths": [2, 2, 1],
    "num_attention_heads": [2, 2, 4], "window_size": 8, "aff_block_r": 2,
}  # fmt: skip
TEXT = {
    "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 40,
    "max_position_embeddings": 60,
}  # fmt: skip


def tokeniser():
    """RoBERTa's own kind of tokeniser over single bytes and a few merges."""
    from tokenizers.pre_tokenizers import ByteLevel

    words = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(ByteLevel.alphabet()), "dr", "dru", "no"]
    merges = [("d", "r"), ("dr", "u"), ("n", "o")]
    return transformers.RobertaTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=merges)


def randomised(model: Any) -> Any:
    """Weights that let what comes in come out: with transformers' own, all sounds have nearly one embedding."""
    torch.manual_seed(0)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(50, 150) if "batch_norm" in name else tensor.uniform_(0.5, 2)
        elif tensor.is_floating_point() and "logit_scale" not in name:
            if tensor.ndim > 1:
                tensor.normal_(0, 2.5 / tensor[0].numel() ** 0.5)
            elif name.endswith("running_mean"):
                tensor.normal_(-20 if "batch_norm" in name else 0, 0.3)
            else:
                tensor.normal_(float(name.endswith("weight")), 0.3)
    return model.eval()


@pytest.fixture(scope="module", params=[False, True], ids=["unfused", "fused"])
def pair(request, tmp_path_factory) -> tuple[Any, Any, CLAP, Path]:
    folder = tmp_path_factory.mktemp("clap")
    text = tokeniser()
    config = transformers.ClapConfig(
        audio_config=AUDIO | {"enable_fusion": request.param, "fusion_type": "aff_2d" if request.param else None},
        text_config=TEXT | {"vocab_size": len(text)},
        projection_dim=16,
    )
    hears = transformers.ClapFeatureExtractor(
        max_length_s=2, frequency_min=50, truncation="fusion" if request.param else "rand_trunc"
    )
    model = randomised(transformers.ClapModel(config))
    model.logit_scale_t.data += 0.3  # the two are learnt apart
    processor = transformers.ClapProcessor(hears, text)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return model, processor, load_clap(folder), folder


def sound(seconds: float, seed: int) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).standard_normal(len(time)) * (1 + np.sin((9 + seed) * time))
    return (0.4 * np.sin(2 * np.pi * 300 * (1 + seed) * time * (1 + time / 9)) + 0.1**seed * noise).astype(np.float32)


@pytest.fixture
def in_the_middle(monkeypatch):
    """Have transformers draw the middle of each range, where toccata has its crops."""
    monkeypatch.setattr(np.random, "choice", lambda places: places[(len(places) - 1) // 2])
    monkeypatch.setattr(np.random, "randint", lambda low, high: (high - 1 - low) // 2)


def heard(processor: Any, waves: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """transformers' features, and which sounds are longer than a picture: of short ones alone it calls one longer."""
    found = processor.feature_extractor(waves, sampling_rate=RATE, return_tensors="pt")
    chunk = processor.feature_extractor.nb_max_samples
    return found["input_features"], torch.tensor([[len(wave) // 480 > chunk // 480] for wave in waves])


def test_sounds_of_any_length_are_heard_alike(pair, in_the_middle):
    _, processor, ours, _ = pair
    waves = [sound(seconds, seed) for seed, seconds in enumerate(SECONDS)]
    features, longer = heard(processor, waves)
    for wave, expected, is_longer in zip(waves, features, longer, strict=True):
        mel_PTM, flag = draw(torch.from_numpy(wave).split(30_000), len(wave), ours.pictures)
        assert (mel_PTM - expected).abs().max() < 1e-4
        if ours.pictures.fused:
            assert flag == bool(is_longer)
    assert features[5].std() > 5


def test_embeddings_and_their_similarities_equal_transformers(pair, in_the_middle):
    model, processor, ours, _ = pair
    waves = [sound(seconds, seed) for seed, seconds in enumerate(SECONDS)]
    features, longer = heard(processor, waves)
    tokens = processor.tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        out = model(**tokens, input_features=features, is_longer=longer)
    audio_BD = ours.embed_audio([torch.from_numpy(wave) for wave in waves], RATE)
    text_BD = ours.embed_text(TEXTS)
    assert (audio_BD - out.audio_embeds).abs().max() < 1e-4
    assert (text_BD - out.text_embeds).abs().max() < 1e-4
    by_audio, by_text = ours.logits(audio_BD, text_BD)
    assert (by_audio - out.logits_per_audio).abs().max() < 1e-4
    assert (by_text - out.logits_per_text).abs().max() < 1e-4
    assert similarity(audio_BD, audio_BD).fill_diagonal_(0).max() < 0.99
    assert similarity(text_BD, text_BD).fill_diagonal_(0).max() < 0.99


def test_token_ids_equal_transformers(pair):
    _, processor, ours, _ = pair
    tokens = processor.tokenizer([*TEXTS, "no end " * 40], padding=True, truncation=True, max_length=58)
    ids_BL, mask_BL = ours.text.tokenise([*TEXTS, "no end " * 40])
    expected = torch.tensor(tokens["input_ids"])
    assert torch.equal(mask_BL, torch.tensor(tokens["attention_mask"]).bool())
    assert torch.equal(ids_BL[mask_BL], expected[mask_BL])


def test_a_file_is_heard_as_its_samples_are(pair, tmp_path: Path):
    _, _, ours, _ = pair
    waves = [0.9 * sound(seconds, 3)[None] for seconds in (0.5, 7.0)]
    paths = [tmp_path / f"{i}.flac" for i in range(2)]
    for path, wave in zip(paths, waves, strict=True):
        io.write(path, wave, RATE, {})
    stored = [torch.from_numpy(io.read(path)[0]) for path in paths]
    assert (ours.embed_files(paths) - ours.embed_audio(stored, RATE)).abs().max() < 1e-5


def test_laions_own_layout_gives_the_same_embeddings(pair, tmp_path: Path):
    """Its names as LAION's code has them; the weights are transformers' under these names, not LAION's."""
    _, _, ours, folder = pair
    named = as_laion(load_file(folder / "model.safetensors"))
    save_file(named, tmp_path / "clap.safetensors")
    config = CLAPConfig(ours.audio.config, ours.text.config, ours.pictures, ours.width)  # type: ignore[attr-defined]
    theirs = load_laion_clap(tmp_path / "clap.safetensors", folder, config)
    wave = torch.from_numpy(sound(3.0, 1))
    assert torch.equal(theirs.embed_audio([wave], RATE), ours.embed_audio([wave], RATE))
    assert torch.equal(theirs.embed_text(TEXTS), ours.embed_text(TEXTS))


def as_laion(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """transformers' weights under LAION's names, behind what ``models convert`` puts before them."""
    words = {
        "text_model.": "text_branch.", "audio_model.audio_encoder.": "audio_branch.",
        "projection.linear1.": "projection.0.", "projection.linear2.": "projection.2.", "batch_norm.": "bn0.",
        "layernorm_before": "norm1", "layernorm_after": "norm2",
    }  # fmt: skip
    in_audio = {
        ".intermediate.dense": ".mlp.fc1", ".attention.output.dense": ".attn.proj", ".output.dense": ".mlp.fc2",
        "attention.self": "attn",
    }  # fmt: skip
    named = {}
    for name, tensor in tensors.items():
        if "audio" in name and (".key." in name or ".value." in name):
            continue
        if ".query." in name and "audio" in name:
            tensor = torch.cat([tensors[name.replace("query", part)] for part in ("query", "key", "value")])
            name = name.replace("query", "qkv")
        for theirs, new in {**words, **(in_audio if "audio_model" in name else {})}.items():
            name = name.replace(theirs, new)
        named[f"state_dict.module.{name}"] = tensor.contiguous().clone()
    extra = ("audio_branch.tscam_conv.weight", "audio_branch.head.bias", "audio_branch.logmel_extractor.melW")
    extra += ("audio_transform.sequential.0.weight", "text_branch.embeddings.position_ids")
    named |= {f"state_dict.module.{name}": torch.zeros(3) for name in extra}
    return named | {"optimizer.state.0.exp_avg": torch.zeros(3)}


@pytest.mark.parametrize("kind", ["Bert", "Roberta"])
def test_bert_and_roberta_read_alike_too(kind: str, tmp_path: Path):
    text = tokeniser()
    config = getattr(transformers, f"{kind}Config")(**TEXT, vocab_size=len(text))
    model = randomised(getattr(transformers, f"{kind}Model")(config))
    model.save_pretrained(tmp_path)
    text.save_pretrained(tmp_path)
    ours = load_bert(tmp_path)
    ids_BL, mask_BL = ours.tokenise(TEXTS)
    padded_ids = torch.where(mask_BL, ids_BL, config.pad_token_id)
    with torch.no_grad():
        out = model(input_ids=padded_ids, attention_mask=mask_BL.long())
        summary_BD = ours.summarise(ids_BL, mask_BL)
    assert (ours.encode(TEXTS).tokens_BLD - out.last_hidden_state)[mask_BL].abs().max() < 1e-5
    assert (summary_BD - out.pooler_output).abs().max() < 1e-5


def test_stable_audio_reads_with_the_layer_before_the_last(pair):
    theirs, _, _, folder = pair
    made = load_reader(folder).encode(TEXTS)
    ids_BL, mask_BL = load_clap(folder).text.tokenise(TEXTS)
    padded_ids = torch.where(mask_BL, ids_BL, theirs.config.text_config.pad_token_id)
    with torch.no_grad():
        hidden = theirs.text_model(
            input_ids=padded_ids, attention_mask=mask_BL.long(), output_hidden_states=True
        ).hidden_states
    assert torch.equal(made.mask_BL, mask_BL)
    assert (made.tokens_BLD - hidden[-2])[mask_BL].abs().max() < 1e-5
    assert (made.tokens_BLD - hidden[-1])[mask_BL].abs().max() > 0.1
