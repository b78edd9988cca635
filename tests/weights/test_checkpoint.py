"""Models on disk: whole or not there, sharded, hashed, and small without losing precision beyond what is stated."""

import json

import pytest
import torch

from toccata.errors import WeightsError
from toccata.weights import checkpoint
from toccata.weights.compact import compact, expand


@pytest.fixture
def tensors():
    torch.manual_seed(0)
    return {"a": torch.randn(64, 128), "b": torch.randn(7), "c": torch.arange(5)}


def test_tensors_survive_in_shards(tmp_path, tensors):
    checkpoint.save(tmp_path, {"family": "x"}, tensors, shard_bytes=1000)
    config, again = checkpoint.load(tmp_path)
    assert config["family"] == "x"
    assert len(config["weights"]) == 2
    assert all(torch.equal(again[name], tensors[name]) for name in tensors)


def test_saving_again_leaves_no_stale_shard(tmp_path, tensors):
    checkpoint.save(tmp_path, {}, tensors, shard_bytes=10)
    checkpoint.save(tmp_path, {}, {"a": tensors["a"]})
    assert len(list(tmp_path.glob("*.safetensors"))) == 1


def test_the_hash_tells_any_change(tmp_path, tensors):
    checkpoint.save(tmp_path, {}, tensors)
    before = checkpoint.sha256(tmp_path)
    tensors["b"][0] += 1
    checkpoint.save(tmp_path, {}, tensors)
    assert checkpoint.sha256(tmp_path) != before


@pytest.mark.parametrize(("width", "group"), [(128, 64), (96, 32)])
def test_compact_weights_are_within_half_a_step(tensors, width, group):
    tensors["a"] = torch.randn(64, width)
    small = compact(tensors)
    full = expand(small)
    step = small["a.scale"].float().repeat_interleave(group, dim=1)
    assert small["a"].dtype == torch.int8
    assert ((full["a"] - tensors["a"]).abs() <= 0.51 * step + 1e-4).all()
    assert torch.allclose(full["b"], tensors["b"], rtol=1 / 128)
    assert torch.equal(full["c"], tensors["c"])


def test_rows_that_do_not_divide_stay_as_they_are_but_for_their_precision():
    odd = {"a": torch.randn(64, 100)}
    assert compact(odd).keys() == odd.keys()
    assert torch.allclose(expand(compact(odd))["a"], odd["a"], rtol=1 / 128)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"weights": []}', '{"weights": 3}'])
def test_a_config_that_is_none_is_named(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(WeightsError, match=r"config\.json"):
        checkpoint.load(tmp_path)


def test_weights_outside_the_folder_are_never_opened(tmp_path, tensors):
    checkpoint.save(tmp_path / "in", {}, tensors)
    (tmp_path / "in/model-00001-of-00001.safetensors").rename(tmp_path / "out.safetensors")
    (tmp_path / "in/config.json").write_text(json.dumps({"weights": ["../out.safetensors"]}))
    with pytest.raises(WeightsError, match="missing"):
        checkpoint.load(tmp_path / "in")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("weight"), "lack 'weight'"),
        (lambda t: t.update(extra=torch.zeros(1)), "unknown 'extra'"),
        (lambda t: t.update(weight=torch.zeros(3, 3)), "another shape for 'weight'"),
    ],
)
def test_weights_of_another_model_are_told_apart(tmp_path, change, message):
    module = torch.nn.Linear(2, 3)
    tensors = {name: value.clone() for name, value in module.state_dict().items()}
    change(tensors)
    with pytest.raises(WeightsError, match=message):
        checkpoint.load_into(module, tensors, tmp_path)
