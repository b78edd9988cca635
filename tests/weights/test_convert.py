"""Pickles become safetensors with the same values, and never run, never fill the disk, never leave half a file."""

import ast
import gzip
import json
import os
import pickle
import re
import struct
import zipfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from toccata.errors import InputError, OutputError, WeightsError
from toccata.weights import convert as module
from toccata.weights import published, unpickle
from toccata.weights.convert import convert, read_notes


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def nothing_left(out: Path) -> bool:
    return not out.exists() and not [path for path in out.parent.iterdir() if path.name.startswith(".")]


def test_a_nested_checkpoint_keeps_its_values_under_dotted_names(tmp_path: Path, out: Path):
    torch.manual_seed(0)
    shared = torch.randn(4, 3)
    state = OrderedDict(weight=shared, half=torch.randn(5).half(), turned=shared.T, brain=torch.ones(2).bfloat16())
    checkpoint = {"best_state": {"model": state, "steps": [torch.tensor(3)]}, "xp.cfg": "lr: 0.1\nname: é", "epoch": 7}
    torch.save(checkpoint, tmp_path / "state_dict.th")
    (file,) = convert(tmp_path / "state_dict.th", out)
    assert file == out / "state_dict.safetensors"
    found = load_file(file)
    expected = {f"best_state.model.{name}": tensor for name, tensor in state.items()}
    expected |= {"best_state.steps.0": torch.tensor(3)}
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert all(found[name].dtype == tensor.dtype for name, tensor in expected.items())
    assert read_notes(file) == {"xp.cfg": "lr: 0.1\nname: é", "epoch": 7}


@pytest.mark.parametrize("core", ["core", "_core"])
def test_numpys_numbers_beside_the_tensors_are_kept(tmp_path: Path, out: Path, core: str):
    numbers = {"best": np.float64(0.25), "loss": np.float32(1.5), "step": np.int64(-7), "done": np.bool_(True)}
    source = tmp_path / "clap.pt"
    torch.save({"state": {"a": torch.ones(2)}, **numbers}, source, _use_new_zipfile_serialization=False)
    source.write_bytes(re.sub(rb"numpy\._?core\.", f"numpy.{core}.".encode(), source.read_bytes()))
    (file,) = convert(source, out)
    assert load_file(file).keys() == {"state.a"}
    assert read_notes(file) == {name: value.item() for name, value in numbers.items()}


def test_numpys_objects_are_refused(tmp_path: Path, out: Path):
    torch.save({"a": torch.ones(2), "b": np.datetime64("2024-01-01")}, tmp_path / "clap.pt")
    with pytest.raises(WeightsError, match="more than tensors"):
        convert(tmp_path / "clap.pt", out)
    assert nothing_left(out)


def test_a_folder_of_shards_becomes_one_that_is_read(tmp_path: Path, out: Path):
    folder = tmp_path / "model"
    folder.mkdir()
    shards = [{"a": torch.arange(6.0)}, {"b": torch.ones(2, 2)}]
    names = [f"pytorch_model-0000{i + 1}-of-00002.bin" for i in range(2)]
    torch.save(shards[0], folder / names[0])
    torch.save(shards[1], folder / names[1], _use_new_zipfile_serialization=False)
    index = {"metadata": {"total_size": 40}, "weight_map": {"a": names[0], "b": names[1]}}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text('{"model_type": "t5"}')
    (folder / "README.md").write_text("a card")
    written = convert(folder, out)
    assert written[-1] == out / "config.json"
    assert {path.name for path in out.iterdir()} == {path.name for path in written}
    assert published.read_settings(out) == {"model_type": "t5"}
    found = published.read_tensors(out)
    assert torch.equal(found["a"], shards[0]["a"])
    assert torch.equal(found["b"], shards[1]["b"])
    assert len(found) == 2


class Evil:
    """Makes a file when a trusting reader opens it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("kind", ["torch", "torch before 1.6", "plain"])
def test_a_pickle_with_code_to_run_neither_runs_nor_leaves_anything(tmp_path: Path, out: Path, kind: str):
    mark, source = tmp_path / "mark", tmp_path / "model.bin"
    bad = {"weight": torch.ones(3), "more": Evil(mark)}
    if kind == "plain":
        source.write_bytes(pickle.dumps(bad))
    else:
        torch.save(bad, source, _use_new_zipfile_serialization=kind == "torch")
    why = "no checkpoint of torch" if kind == "plain" else "it holds more than tensors: opening it would call .*mkdir"
    with pytest.raises(WeightsError, match=rf"model\.bin was not converted: .*{why}") as caught:
        convert(source, out)
    assert "\n" not in str(caught.value)
    assert not mark.exists()
    assert nothing_left(out)
    with suppress(RuntimeError):  # a plain pickle is none of torch's, which is found out after it has run
        torch.load(source, weights_only=False)
    assert mark.exists()


def saved(**tensors: torch.Tensor):
    return lambda path: torch.save(tensors, path)


def truncated(path: Path) -> None:
    torch.save({"weight": torch.ones(5000)}, path)
    path.write_bytes(path.read_bytes()[:-4000])


def bomb(path: Path) -> None:
    """A checkpoint whose numbers are packed a thousandfold."""
    torch.save({"weight": torch.zeros(3_000_000)}, path)
    with zipfile.ZipFile(path) as archive:
        entries = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)


def huge_claim(path: Path) -> None:
    """An old-style checkpoint that claims a storage of 2 TB in 400 bytes."""
    torch.save({"weight": torch.zeros(5)}, path, _use_new_zipfile_serialization=False)
    five, many = pickle.dumps(5, 2)[2:-1], pickle.dumps(2**39, 2)[2:-1]
    data = path.read_bytes()
    end = b"cpu" + data.split(b"cpu")[1].split(five)[0]
    assert end + five in data
    path.write_bytes(data.replace(end + five, end + many).replace(struct.pack("<q", 5), struct.pack("<q", 2**39)))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (truncated, "no checkpoint of torch, or damaged"),
        (lambda path: path.write_bytes(b"\x80\x02 not a pickle"), "no checkpoint of torch, or damaged"),
        (lambda path: path.write_bytes(b""), "no checkpoint of torch, or damaged"),
        (bomb, "unpacks to more than its own size"),
        (huge_claim, "more memory than its size explains"),
    ],
    ids=["truncated", "noise", "empty", "zip bomb", "huge claim"],
)
def test_a_bad_file_is_one_sentence_and_leaves_nothing(tmp_path: Path, out: Path, make, sentence: str):
    source = tmp_path / "model.pt"
    make(source)
    with pytest.raises(WeightsError, match=sentence) as caught:
        convert(source, out)
    assert "\n" not in str(caught.value)
    assert nothing_left(out)


def knot() -> list:
    """A list that holds itself."""
    made: list = [1]
    made.append(made)
    return made


def tree() -> list:
    """Two to the fortieth values in forty lists."""
    made: list = [1, 1]
    for _ in range(40):
        made = [made, made]
    return made


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"wide": torch.ones(1).expand(10**12)}, "'wide' is not a dense tensor"),
        ({"thin": torch.eye(3).to_sparse()}, "'thin' is not a dense tensor"),
        ({"gone": torch.ones(1, device="meta")}, "'gone' is not a dense tensor"),
        (knot(), "nests without end"),
        (tree(), "more than .* values"),
        ({"a": {"b": 1}, "a.b": 2}, "two values named 'a.b'"),
    ],
    ids=["expanded", "sparse", "meta", "knot", "tree", "twice"],
)
def test_only_dense_tensors_and_a_finite_tree_are_read(tmp_path: Path, content, sentence: str):
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(unpickle.Refused, match=sentence):
        unpickle.read(tmp_path / "model.pt")


def test_one_bad_file_of_a_folder_leaves_no_good_one(tmp_path: Path, out: Path):
    folder = tmp_path / "model"
    folder.mkdir()
    torch.save({"a": torch.ones(3)}, folder / "a.bin")
    (folder / "b.bin").write_bytes(b"no")
    with pytest.raises(WeightsError, match=r"b\.bin"):
        convert(folder, out)
    assert nothing_left(out)


def test_a_reader_that_takes_too_long_is_stopped(tmp_path: Path, out: Path):
    torch.save({"a": torch.ones(3)}, tmp_path / "a.pt")
    with pytest.raises(WeightsError, match=r"longer than 0\.01 seconds"):
        convert(tmp_path / "a.pt", out, seconds=0.01)
    assert nothing_left(out)


def test_what_cannot_be_converted_is_told_before_anything_starts(tmp_path: Path, out: Path):
    with pytest.raises(InputError, match="does not exist"):
        convert(tmp_path / "gone.bin", out)
    with pytest.raises(InputError, match="no checkpoint to convert"):
        convert(tmp_path, out)
    for name in ("pytorch_model.bin", "model.safetensors"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=r"already holds model\.safetensors"):
        convert(tmp_path, out)
    assert nothing_left(out)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path):
    torch.save({"a": torch.ones(3)}, tmp_path / "a.pt")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="choose another folder"):
        convert(tmp_path / "a.pt", tmp_path / "file" / "out")


def test_views_of_one_storage_that_outgrow_the_file_are_refused():
    base = torch.ones(1000)
    many = {f"t{i}": base[: 990 + i] for i in range(10)}
    with pytest.raises(unpickle.Refused, match="larger than the file"):
        unpickle.dense(many, size=4000)
    assert all(torch.equal(tensor, many[name]) for name, tensor in unpickle.dense(many, size=40_000).items())


def test_no_process_of_ours_but_the_child_opens_pickles():
    source = Path(module.__file__).parents[1]
    opening = {}
    for file in source.rglob("*.py"):
        tree = ast.parse(file.read_text())
        imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
        called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        opening[file.name] = bool(imported & {"pickle", "dill", "joblib", "cloudpickle"} or "torch.load" in called)
    assert [name for name, opens in opening.items() if opens] == ["unpickle.py"]


def test_a_trainers_arrays_are_let_go_and_never_made(tmp_path: Path, out: Path):
    state = {"indexes": [np.arange(4), np.array(["a", None], object)], "queue": [3, 1], "pointer": np.int64(2)}
    torch.save({"model": {"a": torch.ones(2)}, "sampler": state}, tmp_path / "cnn.pth")
    (file,) = convert(tmp_path / "cnn.pth", out)
    assert load_file(file).keys() == {"model.a"}
    assert read_notes(file) == {"sampler.queue.0": 3, "sampler.queue.1": 1, "sampler.pointer": 2}


def keras(path: Path, value: np.ndarray) -> None:
    """A Keras model's weights of one layer."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as made:
        made.attrs["layer_names"] = [b"dense"]
        made.create_group("dense").attrs["weight_names"] = [b"dense/kernel:0"]
        made["dense/dense/kernel:0"] = value


def pack(path: Path) -> Path:
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    return packed


def test_keras_weights_are_named_by_their_layers_places(tmp_path: Path, out: Path):
    value = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    keras(tmp_path / "a.h5", value)
    (file,) = convert(pack(tmp_path / "a.h5"), out)
    assert file == out / "a.safetensors"
    found = load_file(file)
    assert found.keys() == {"0.kernel"}
    assert np.array_equal(found["0.kernel"].numpy(), value)


def test_keras_weights_that_grow_or_lie_elsewhere_are_refused(tmp_path: Path, out: Path):
    h5py = pytest.importorskip("h5py")
    keras(tmp_path / "big.h5", np.zeros((1000, 1000), np.float32))
    keras(tmp_path / "secret.h5", np.ones(4000, np.float32))
    with h5py.File(tmp_path / "link.h5", "w") as made:
        made.attrs["layer_names"] = [b"dense"]
        made["dense"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "dense")
    (tmp_path / "raw").write_bytes(bytes(400))
    with h5py.File(tmp_path / "raw.h5", "w") as made:
        made.attrs["layer_names"] = [b"dense"]
        made.create_group("dense").attrs["weight_names"] = [b"kernel:0"]
        made["dense"].create_dataset("kernel:0", (100,), "f4", external=[(str(tmp_path / "raw"), 0, 400)])
    (tmp_path / "no.h5").write_bytes(b"no HDF5" * 100)
    for name, why in (
        ("big", "unpacks to more than twice"), ("link", "or damaged"), ("raw", "names another file"),
        ("no", "or damaged"),
    ):  # fmt: skip
        with pytest.raises(WeightsError, match=f"{name}.h5.gz was not converted: .*{why}"):
            convert(pack(tmp_path / f"{name}.h5"), out)
        assert nothing_left(out)


def test_without_h5py_a_sentence_says_how_to_get_it(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    (tmp_path / "a.h5.gz").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"pip install 'toccata\[openl3\]'"):
        convert(tmp_path / "a.h5.gz", out)
    assert nothing_left(out)
