"""Public features beside transformers' own loading of the same tiny random models, and as semantic tokens on disk."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from toccata.encoders.public_features import MERT, public_features
from toccata.encoders.semantic import SemanticTokens, load_semantic, save_semantic
from toccata.errors import WeightsError

transformers = pytest.importorskip("transformers")


@pytest.fixture
def w2v_bert(tmp_path):
    torch.manual_seed(0)
    config = transformers.Wav2Vec2BertConfig(
        hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=24, conv_depthwise_kernel_size=5
    )
    transformers.Wav2Vec2BertModel(config).save_pretrained(tmp_path / "w2v-bert")
    return tmp_path / "w2v-bert"


@pytest.fixture
def mert(tmp_path):
    """A HuBERT under MERT's name, its weight norm as in the published file."""
    torch.manual_seed(0)
    config = transformers.HubertConfig(
        hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=24, conv_dim=(8,) * 7,
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    folder = tmp_path / "mert"
    transformers.HubertModel(config).save_pretrained(folder)
    said = json.loads((folder / "config.json").read_text()) | {"model_type": "mert_model", "sample_rate": 24_000}
    (folder / "config.json").write_text(json.dumps(said))
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": True, "sampling_rate": 24_000}))
    old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    tensors = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        for new, before in old.items():
            name = name.replace(new, before)
        tensors[name] = tensor
    assert any(name.endswith("weight_g") for name in tensors)
    save_file(tensors, folder / "model.safetensors")
    return folder


def noise(seconds, rate):
    return 0.1 * torch.randn(2, int(seconds * rate), generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_w2v_bert_is_that_of_transformers_pooled_to_25_hz(w2v_bert):
    wave_BN = noise(2, 16_000)
    ours = torch.cat(list(public_features(str(w2v_bert), 2).windows(wave_BN)), dim=1)
    extractor = transformers.SeamlessM4TFeatureExtractor(padding_value=1.0)
    features = extractor(list(wave_BN.numpy()), sampling_rate=16_000, return_tensors="pt")
    peer = transformers.Wav2Vec2BertModel.from_pretrained(w2v_bert).eval()
    theirs = peer(features["input_features"], output_hidden_states=True).hidden_states[2]
    assert ours.shape == (2, 50, 16)
    whole = theirs[:, :98].unflatten(1, (49, 2)).mean(2)  # our last frame reaches past the end
    assert (ours[:, :49] - whole).abs().mean() < 0.05 * whole.abs().mean()


@torch.no_grad()
def test_mert_is_hubert_on_even_windows_pooled_to_25_hz(mert):
    wave_BN = noise(1, 24_000)
    ours = torch.cat(list(public_features(str(mert), 2).windows(wave_BN)), dim=1)
    settings = json.loads((mert / "config.json").read_text()) | {"model_type": "hubert"}
    peer = transformers.HubertModel(transformers.HubertConfig.from_dict(settings)).eval()
    named = {name.replace("weight_g", "parametrizations.weight.original0"): t for name, t in
             load_file(mert / "model.safetensors").items()}  # fmt: skip
    named = {name.replace("weight_v", "parametrizations.weight.original1"): t for name, t in named.items()}
    peer.load_state_dict(named)
    extractor = transformers.Wav2Vec2FeatureExtractor(sampling_rate=24_000, do_normalize=True)
    even = extractor(list(wave_BN.numpy()), sampling_rate=24_000, return_tensors="pt")["input_values"]
    padded = torch.nn.functional.pad(even, (0, 80))
    theirs = peer(padded, output_hidden_states=True).hidden_states[2].unflatten(1, (25, 3)).mean(2)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["w2v_bert", "mert"])
def test_tokens_name_sound_alike_after_a_round_trip(kind, request, tmp_path):
    encoder = public_features(str(request.getfixturevalue(kind)), 2)
    rate = encoder.config.sample_rate
    model = SemanticTokens(encoder)
    with pytest.raises(WeightsError, match="no tokens yet"):
        model.tokens(noise(1, rate))
    rows = torch.cat(list(encoder.windows(noise(45, rate)[:1])), dim=1).flatten(0, 1)
    assert len(rows) == 45 * 25
    model.fit(rows, torch.Generator().manual_seed(0), iterations=1)
    save_semantic(tmp_path / "tokens", model)
    again = load_semantic(tmp_path / "tokens")
    assert (again.sample_rate, again.frame_rate, again.vocabulary) == (rate, 25, 1024)
    assert again.tokens(noise(1.01, rate)).shape == (2, 25)
    assert (again.tokens(noise(2, rate)) == model.tokens(noise(2, rate))).float().mean() > 0.5
    assert not [name for name in load_file(next((tmp_path / "tokens").glob("*.safetensors"))) if "encoder" in name]


def test_what_cannot_be_had_is_told(w2v_bert, mert, tmp_path, monkeypatch):
    monkeypatch.setenv("TOCCATA_HOME", str(tmp_path / "home"))
    with pytest.raises(WeightsError, match="toccata models pull m-a-p/MERT-v1-95M"):
        public_features(MERT)
    with pytest.raises(WeightsError, match="no layer 9"):
        public_features(str(w2v_bert), 9)
    said = json.loads((mert / "config.json").read_text())
    (mert / "config.json").write_text(json.dumps(said | {"feature_extractor_cqt": True}))
    with pytest.raises(WeightsError, match="cannot read"):
        public_features(str(mert))
    (mert / "config.json").write_text(json.dumps(said | {"model_type": "whisper"}))
    with pytest.raises(WeightsError, match="whisper model"):
        public_features(str(mert))
