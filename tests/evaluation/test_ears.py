"""Judges with public weights: pulled by name, heard at their own rates; or a sentence says how to get them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.evaluation.public_judges import PLACES, pull
from toccata import hub
from toccata.clip import Clip
from toccata.errors import InputError, WeightsError
from toccata.weights import catalogue


def clip(seconds: float, rate: int = 22_050, seed: int = 0) -> Clip:
    return Clip(np.random.default_rng(seed).uniform(-0.2, 0.2, (2, round(seconds * rate))).astype(np.float32), rate)


@pytest.fixture
def pulled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOCCATA_HOME", str(tmp_path))
    return lambda name: pull(name, monkeypatch)


def test_the_mirror_has_what_the_catalogue_names():
    for name, path in PLACES.items():
        assert catalogue.get(name).url.endswith(path)


def test_vggish_is_pulled_and_hears_every_96_hundredths_of_a_second(pulled):
    found = pulled("vggish")
    judge = hub.load_judge("vggish", "cpu")
    rows_ND = judge.hear(clip(3))["rows_ND"]
    assert rows_ND.shape == (3, 7)
    assert judge.recipe["weights_sha256"] == found.sha256
    assert judge.recipe["window_seconds"] == judge.recipe["hop_seconds"] == 0.96
    assert json.loads(json.dumps(judge.recipe)) == judge.recipe
    assert judge.hear(clip(1))["rows_ND"].shape == (1, 7)
    with pytest.raises(InputError, match="too short to be judged"):
        judge.hear(clip(0.9))


@pytest.mark.parametrize(("name", "rate"), [("pann-cnn14", 32_000), ("pann-cnn14-16k", 16_000)])
def test_cnn14_is_pulled_and_both_embeds_and_labels(pulled, name: str, rate: int):
    pulled(name)
    judge = hub.load_judge(name, "cpu")
    found = judge.hear(clip(16))
    assert found["rows_ND"].shape == (2, 14)
    assert found["logits_V"].shape == (9,)
    assert (judge.recipe["embedding"], judge.recipe["sample_rate"]) == (name, rate)
    labeller = hub.load_labeller(name, "cpu")
    assert labeller.recipe == judge.recipe
    halves = [labeller.hear(Clip(half, 22_050))["logits_V"] for half in np.split(clip(16).samples, 2, 1)]
    assert np.allclose(np.mean(halves, 0), found["logits_V"], rtol=0.1, atol=0.1)  # but for the seam


def test_passt_is_pulled_and_both_embeds_and_labels(pulled):
    found = pulled("passt")
    judge = hub.load_labeller("passt", "cpu")
    assert hub.load_judge("passt", "cpu").recipe == judge.recipe
    assert judge.recipe["weights_sha256"] == found.sha256
    assert json.loads(json.dumps(judge.recipe)) == judge.recipe
    heard = judge.hear(clip(16))
    assert heard["rows_ND"].shape == (3, 128)  # at 0, 5 and 10 seconds
    assert heard["logits_V"].shape == (9,)
    louder = judge.hear(Clip(3 * clip(16).samples, 22_050))
    assert np.allclose(louder["logits_V"], heard["logits_V"], atol=1e-5)  # its peak is at -1 dB either way


def test_openl3_is_pulled_and_hears_left_and_right_every_half_second(pulled):
    found = pulled("openl3")
    judge = hub.load_judge("openl3", "cpu")
    assert judge.recipe["weights_sha256"] == found.sha256
    assert json.loads(json.dumps(judge.recipe)) == judge.recipe
    sound = clip(2)
    rows_ND = judge.hear(sound)["rows_ND"]
    assert rows_ND.shape == (4, 2 * 10)  # begun at -.5, 0, .5 and 1 second
    turned = judge.hear(Clip(0.5 * sound.samples[::-1], sound.sample_rate))["rows_ND"]
    assert np.allclose(turned, np.roll(rows_ND, 10, axis=1), atol=1e-3)
    mono_ND = judge.hear(Clip(sound.samples[:1], sound.sample_rate))["rows_ND"]
    assert np.array_equal(mono_ND[:, :10], mono_ND[:, 10:])
    assert hub.load_judge("openl3:6144", "cpu").hear(clip(1))["rows_ND"].shape == (2, 2 * 12 * 10)
    with pytest.raises(InputError, match="no embedding of 4 numbers; choose 512 or 6144"):
        hub.load_judge("openl3:4", "cpu")


@pytest.fixture
def mert(tmp_path: Path) -> str:
    """A narrow HuBERT laid out as MERT is."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.HubertConfig(
        hidden_size=16, num_hidden_layers=8, num_attention_heads=2, intermediate_size=24, conv_dim=(8,) * 7,
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    transformers.HubertModel(config).save_pretrained(tmp_path / "mert")
    said = json.loads((tmp_path / "mert/config.json").read_text()) | {"model_type": "mert_model"}
    (tmp_path / "mert/config.json").write_text(json.dumps(said))
    (tmp_path / "mert/preprocessor_config.json").write_text(json.dumps({"do_normalize": True}))
    return str(tmp_path / "mert")


def test_mert_gives_the_mean_of_each_second_of_the_layer_that_is_asked_for(mert: str):
    from toccata.encoders.public_features import public_features

    sound = clip(2.5, 24_000)
    judge = hub.load_judge(f"{mert}:3", "cpu")
    rows_ND = judge.hear(sound)["rows_ND"]
    mono_BN = torch.from_numpy(sound.samples.mean(0, keepdims=True))
    every_TD = torch.cat(list(public_features(mert, 3).windows(mono_BN)), 1)[0]
    assert np.allclose(rows_ND, [every_TD[:25].mean(0), every_TD[25:50].mean(0)], atol=1e-5)
    assert (judge.recipe["layer"], hub.load_judge(mert, "cpu").recipe["layer"]) == (3, 7)
    assert len(judge.recipe["weights_sha256"]) == 64
    with pytest.raises(WeightsError, match="there is no layer 9"):
        hub.load_judge(f"{mert}:9", "cpu")


def test_a_folder_may_end_like_a_layer(mert: str):
    folder = Path(mert).rename(f"{mert}:2")
    assert hub.load_judge(str(folder), "cpu").recipe["layer"] == 7


def test_a_clip_of_a_second_has_a_row_whatever_resampling_leaves(mert: str):
    assert hub.load_judge(mert, "cpu").hear(clip(1, 11_025))["rows_ND"].shape == (1, 16)


def test_without_the_weights_a_sentence_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOCCATA_HOME", str(tmp_path))
    for name in (*PLACES, "m-a-p/MERT-v1-95M"):
        with pytest.raises(WeightsError, match=f"not on this machine; run: toccata models pull {name} "):
            hub.load_judge(name, "cpu")
    with pytest.raises(WeightsError, match="toccata models pull m-a-p/MERT-v1-95M "):
        hub.load_judge("m-a-p/MERT-v1-95M:4", "cpu")


def test_what_has_no_labels_or_layers_is_told(mert: str):
    with pytest.raises(InputError, match="tells no labels"):
        hub.load_labeller(mert, "cpu")
    with pytest.raises(InputError, match="soundstream-mini has no layers to choose from; leave out :4"):
        hub.load_judge("soundstream-mini:4", "cpu")
    with pytest.raises(InputError, match=r"embeds no music .* choose musicnn, vggish"):
        hub.load_judge("text-mini", "cpu")
