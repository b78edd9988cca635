"""Fetching against a hub on this machine: whole, checked, only what is needed, and every failure in one sentence."""

import hashlib
import io
import json
import os
import shutil
from collections import namedtuple
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save

from tests.weights.local_hub import COMMIT, LocalHub, serving
from toccata.errors import InputError, WeightsError
from toccata.weights import catalogue, store
from toccata.weights.fetch import fetch

huggingface_hub = pytest.importorskip("huggingface_hub")

T5, CODEC, MEDIUM = "google-t5/t5-base", "facebook/encodec_48khz", "facebook/musicgen-medium"
DEMUCS = "adefossez/HTDemucs"
torch.manual_seed(0)
WEIGHTS = save({"weight": torch.randn(50, 200)})
BESIDE = {"config.json": b'{"model_type": "t5"}', "tokenizer.json": b"{}"}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    monkeypatch.setenv("TOCCATA_HOME", str(tmp_path))
    with serving() as hub:
        hub.files[T5] = {**BESIDE, "model.safetensors": WEIGHTS, "pytorch_model.bin": WEIGHTS, "README.md": b"a card"}
        yield hub
    huggingface_hub.close_session()


def model(name: str = T5) -> catalogue.Public:
    return catalogue.get(name)


def incomplete() -> list[Path]:
    return list(store.cache().rglob("*.incomplete"))


def test_a_model_arrives_whole_and_only_what_is_needed(hub: LocalHub):
    told: list[tuple[float, float]] = []
    folder = fetch(T5, lambda done, total: told.append((done, total)), hub.url)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {**BESIDE, "model.safetensors": WEIGHTS}
    assert sorted(hub.fetched()) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert told == sorted(told)
    assert told[-1] == (sum(map(len, BESIDE.values())) + len(WEIGHTS),) * 2
    assert not incomplete()


def test_what_arrived_is_remembered_with_its_hashes(hub: LocalHub):
    folder = fetch(T5, endpoint=hub.url)
    found = store.fetched(model())
    assert found is not None
    assert (found.folder, found.commit) == (folder, COMMIT)
    assert {file.name: file.sha256 for file in found.files} == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()
    }
    assert found.files == found.arrived
    assert len(found.sha256) == 64


def test_a_model_that_is_here_needs_no_hub(hub: LocalHub):
    folder = fetch(T5, endpoint=hub.url)
    hub.requests.clear()
    hub.status = 500
    assert fetch("t5-base", endpoint=hub.url) == folder
    assert not hub.requests


def test_two_at_once_fetch_each_file_once(hub: LocalHub):
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda name: fetch(name, endpoint=hub.url), [T5, T5])
    assert first == second
    assert (first / "model.safetensors").read_bytes() == WEIGHTS
    assert len(hub.fetched()) == len(set(hub.fetched())) == 3


def test_other_programs_find_it_in_the_cache(hub: LocalHub):
    fetch(T5, endpoint=hub.url)
    here = huggingface_hub.try_to_load_from_cache(T5, "model.safetensors", cache_dir=store.cache(), revision=COMMIT)
    assert isinstance(here, str)
    assert Path(here).read_bytes() == WEIGHTS
    assert not huggingface_hub.scan_cache_dir(store.cache()).warnings


def test_what_other_programs_have_fetched_is_not_fetched_again(hub: LocalHub):
    huggingface_hub.hf_hub_download(T5, "model.safetensors", cache_dir=store.cache(), endpoint=hub.url)
    hub.requests.clear()
    assert store.fetched(model()) is None
    fetch(T5, endpoint=hub.url)
    assert "model.safetensors" not in hub.fetched()


def test_a_connection_that_drops_is_taken_up_again(hub: LocalHub):
    hub.drops, hub.breaks_after = 3, 9000
    folder = fetch(T5, endpoint=hub.url)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    ranges = [span for method, path, span in hub.requests if method == "GET" and path.endswith("model.safetensors")]
    assert ranges == [f"bytes={start}-" for start in (0, 9000, 18000, 27000)]


def test_an_interrupted_fetch_is_not_taken_for_whole_and_goes_on_where_it_stopped(hub: LocalHub):
    def interrupt(done: float, total: float) -> None:
        if done > 12_000:
            raise KeyboardInterrupt

    hub.drops, hub.breaks_after = 1, 15_000
    with pytest.raises(KeyboardInterrupt):
        fetch(T5, interrupt, hub.url)
    assert store.fetched(model()) is None
    (part,) = incomplete()
    here = part.stat().st_size
    assert 0 < here <= 15_000
    assert part.read_bytes() == WEIGHTS[:here]
    hub.requests.clear()
    folder = fetch(T5, endpoint=hub.url)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert [span for method, _, span in hub.requests if method == "GET" and span] == [f"bytes={here}-"]
    assert not incomplete()


def test_a_hub_that_goes_away_in_the_middle_is_told_and_what_came_is_kept(hub: LocalHub):
    hub.drops, hub.breaks_after = 100, 0
    with pytest.raises(WeightsError, match=r"t5-base was not fetched: the hub cannot be reached .* is kept"):
        fetch(T5, endpoint=hub.url)
    assert store.fetched(model()) is None
    hub.drops = 0
    hub.requests.clear()
    fetch(T5, endpoint=hub.url)
    assert hub.fetched() == ["model.safetensors"]


def test_an_altered_file_is_refused_and_removed(hub: LocalHub):
    hub.altered = True
    with pytest.raises(WeightsError, match=r"model\.safetensors did not arrive as it was announced"):
        fetch(T5, endpoint=hub.url)
    assert store.fetched(model()) is None
    assert not [path for path in store.cache().rglob("*") if path.is_file() and path.stat().st_size == len(WEIGHTS)]
    hub.altered = False
    assert (fetch(T5, endpoint=hub.url) / "model.safetensors").read_bytes() == WEIGHTS


def test_a_file_that_goes_missing_or_short_later_makes_the_model_not_whole(hub: LocalHub):
    folder = fetch(T5, endpoint=hub.url)
    (folder / "tokenizer.json").unlink()
    assert store.fetched(model()) is None
    fetch(T5, endpoint=hub.url)
    blob = (folder / "model.safetensors").resolve()
    blob.write_bytes(WEIGHTS[:-1])
    assert store.fetched(model()) is None
    with pytest.raises(WeightsError, match="pull it again"):
        fetch(T5, endpoint=hub.url)
    assert (fetch(T5, endpoint=hub.url) / "model.safetensors").read_bytes() == WEIGHTS


def test_a_full_disk_is_told_before_anything_comes(hub: LocalHub, monkeypatch: pytest.MonkeyPatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 10**6 - 20_000, 20_000))
    with pytest.raises(WeightsError, match=r"needs 0\.0 MB more .* which has 0\.0 MB; make room, or set TOCCATA_HOME"):
        fetch(T5, endpoint=hub.url)
    assert not hub.fetched()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 0, 10**6))
    fetch(T5, endpoint=hub.url)


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (403, "GatedRepo", r"asks for consent first: give it at https://\S+/t5-base, log in with `hf auth login`"),
        (401, "GatedRepo", "asks for consent first"),
        (401, "RepoNotFound", "no such model, or none that you may see"),
        (404, "RepoNotFound", "no such model, or none that you may see"),
        (401, None, r"the hub refuses it \(401\); log in"),
        (403, None, r"the hub refuses it \(403\); log in"),
        (500, None, "answered with the error 500; try again later"),
    ],
)
def test_a_hub_that_refuses_is_one_sentence(hub: LocalHub, status: int, code: str | None, sentence: str):
    hub.status, hub.code = status, code
    with pytest.raises(WeightsError, match=rf"google-t5/t5-base was not fetched: .*{sentence}") as caught:
        fetch(T5, endpoint=hub.url)
    assert "\n" not in str(caught.value)
    assert store.fetched(model()) is None


def test_no_network_and_offline_mode_are_one_sentence(hub: LocalHub, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(WeightsError, match=r"the hub cannot be reached \(ConnectError\); check the network"):
        fetch(T5, endpoint="http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE is set"):
        fetch(T5, endpoint=hub.url)


def test_a_repository_that_has_changed_is_told(hub: LocalHub):
    del hub.files[T5]["tokenizer.json"]
    with pytest.raises(WeightsError, match=r"has no tokenizer\.json any more"):
        fetch(T5, endpoint=hub.url)
    hub.files[T5] = {**BESIDE, "model.safetensors.index.json": b"{}", "model-00001-of-00002.safetensors": WEIGHTS}
    with pytest.raises(WeightsError, match="no weights that toccata can read"):
        fetch(T5, endpoint=hub.url)


def test_weights_that_a_publisher_names_his_own_way_arrive_beside_their_list(hub: LocalHub):
    models = {f"{name}.safetensors": WEIGHTS for name in ("955717e8", "0123abcd")}
    beside = {"model.safetensors": WEIGHTS, "../955717e8.safetensors": WEIGHTS, "955717e8.th": WEIGHTS}
    hub.files[DEMUCS] = {"htdemucs.yaml": b"models: ['955717e8', '0123abcd']", **models, **beside}
    folder = fetch(DEMUCS, endpoint=hub.url)
    assert {path.name for path in folder.iterdir()} == {"htdemucs.yaml", *models}
    found = store.fetched(model(DEMUCS))
    assert found is not None
    assert len(found.sha256) == 64


def test_a_model_in_several_folders_arrives_in_them_and_its_other_layout_does_not(hub: LocalHub):
    name, small = "stabilityai/stable-audio-open-1.0", b"{}"
    parts = [f"{part}/diffusion_pytorch_model.safetensors" for part in ("transformer", "vae", "projection_model")]
    weights = {file: save({file: torch.ones(300)}) for file in [*parts, "text_encoder/model.safetensors"]}
    needed = dict.fromkeys(model(name).files, small) | weights
    hub.files[name] = needed | {"model.safetensors": WEIGHTS, "model.ckpt": WEIGHTS, "model_config.json": small}
    folder = fetch(name, endpoint=hub.url)
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == needed.keys()
    for file, data in needed.items():
        assert (folder / file).read_bytes() == data


def test_a_name_that_is_not_public_or_not_supported_is_told(hub: LocalHub):
    with pytest.raises(InputError, match="did you mean facebook/musicgen-small"):
        fetch("facebook/musicgen-smal", endpoint=hub.url)
    with pytest.raises(InputError, match=r"cannot read facebook/musicgen-style yet; it is published in audiocraft"):
        fetch("facebook/musicgen-style", endpoint=hub.url)
    assert not hub.requests


def pickled(**tensors: torch.Tensor) -> bytes:
    file = io.BytesIO()
    torch.save(tensors, file)
    return file.getvalue()


def test_pickles_in_shards_become_safetensors(hub: LocalHub):
    names = [f"pytorch_model-0000{i}-of-00002.bin" for i in (1, 2)]
    weights = {names[0]: pickled(a=torch.ones(3)), names[1]: pickled(b=torch.zeros(4))}
    index = {"weight_map": {"a": names[0], "b": names[1]}}
    settings = dict.fromkeys(catalogue.get(MEDIUM).files, b"{}")
    hub.files[MEDIUM] = {**settings, **weights, "pytorch_model.bin.index.json": json.dumps(index).encode()}
    folder = fetch(MEDIUM, endpoint=hub.url)
    shards = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    assert {path.name for path in folder.iterdir()} == {*settings, *shards, "model.safetensors.index.json"}
    assert torch.equal(load_file(folder / shards[0])["a"], torch.ones(3))
    found = store.fetched(catalogue.get(MEDIUM))
    assert found is not None
    assert found.folder == folder
    assert {file.name for file in found.arrived} == set(hub.files[MEDIUM])


def test_a_pickle_that_is_none_leaves_no_model(hub: LocalHub):
    hub.files[MEDIUM] = {**dict.fromkeys(catalogue.get(MEDIUM).files, b"{}"), "pytorch_model.bin": b"no pickle" * 200}
    with pytest.raises(WeightsError, match=r"pytorch_model\.bin was not converted"):
        fetch(MEDIUM, endpoint=hub.url)
    assert store.fetched(catalogue.get(MEDIUM)) is None
    assert not list(store.cache().rglob("*.safetensors"))


def test_the_cache_is_where_the_hub_s_library_has_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TOCCATA_HOME", raising=False)
    if not any(os.environ.get(name) for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME")):
        assert store.cache() == Path(huggingface_hub.constants.HF_HUB_CACHE)
    monkeypatch.setenv("HF_HOME", "/somewhere")
    assert store.cache() == Path("/somewhere/hub")
    monkeypatch.setenv("HF_HUB_CACHE", "/elsewhere")
    assert store.cache() == Path("/elsewhere")
    monkeypatch.setenv("TOCCATA_HOME", "/home/music")
    assert store.cache() == Path("/home/music/hub")


def test_a_licence_once_accepted_is_remembered_until_it_is_another(hub: LocalHub):
    assert not store.accepted(model())
    store.accept(model())
    assert store.accepted(model())
    assert not store.accepted(model(CODEC))
    changed = replace(model(), licence="another")
    assert not store.accepted(changed)


@pytest.fixture
def elsewhere(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> tuple[LocalHub, dict[str, torch.Tensor]]:
    """VGGish's file, with other numbers and their hash, where its publisher keeps it."""
    tensors = {"features.0.weight": torch.randn(8, 1, 3, 3), "embeddings.0.weight": torch.randn(20, 30)}
    file = io.BytesIO()
    torch.save(tensors, file)
    announced = replace(catalogue.get("vggish"), digest=hashlib.sha256(file.getvalue()).hexdigest()[:8])
    others = [public for public in catalogue.PUBLIC if public.name != "vggish"]
    monkeypatch.setattr(catalogue, "PUBLIC", (*others, announced))
    hub.elsewhere["/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth"] = file.getvalue()
    return hub, tensors


def test_a_model_that_lies_elsewhere_arrives_and_becomes_safetensors(elsewhere, monkeypatch: pytest.MonkeyPatch):
    hub, tensors = elsewhere
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    folder = fetch("vggish", endpoint=hub.url)
    found = load_file(folder / "vggish-10086976.safetensors")
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
    assert hub.tokens
    assert not any(hub.tokens)  # the hub's token stays with the hub
    kept = store.fetched(catalogue.get("vggish"))
    assert kept is not None
    assert (kept.folder, [file.name for file in kept.arrived]) == (folder, ["vggish-10086976.pth"])
    hub.requests.clear()
    assert fetch("vggish", endpoint=hub.url) == folder
    assert not hub.requests


def test_what_lies_elsewhere_goes_on_where_it_stopped(elsewhere):
    hub, tensors = elsewhere
    hub.breaks_after, hub.drops = 700, 2  # the first is asked only how large the file is
    folder = fetch("vggish", endpoint=hub.url)
    assert load_file(folder / "vggish-10086976.safetensors").keys() == tensors.keys()
    assert [asked for method, _, asked in hub.requests if method == "GET"] == [None, "bytes=0-", "bytes=700-"]


def test_what_lies_elsewhere_is_checked(elsewhere):
    hub, _ = elsewhere
    hub.altered = True
    with pytest.raises(WeightsError, match=r"vggish-10086976\.pth did not arrive"):
        fetch("vggish", endpoint=hub.url)
    hub.elsewhere.clear()
    with pytest.raises(WeightsError, match="vggish was not fetched") as caught:
        fetch("vggish", endpoint=hub.url)
    assert "github.com/harritaylor/torchvggish" in str(caught.value)
