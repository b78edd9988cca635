"""A tune in a mix by Demucs: its stems, exactly; what is off in its files told; toccata's own filter without it."""

import json
import random
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from toccata.audio.melody import SAMPLE_RATE, melody_of
from toccata.audio.resample import resample
from toccata.audio.stems import BAG, NAME, find_demucs, load_demucs, read_settings
from toccata.errors import WeightsError
from toccata.weights import catalogue, store

apply = pytest.importorskip("demucs.apply")
hf = pytest.importorskip("demucs.hf")
htdemucs = pytest.importorskip("demucs.htdemucs")

RATE = 8_000
SIZES: dict[str, Any] = {
    "sources": ["drums", "bass", "other", "vocals"],
    "channels": 8,
    "depth": 2,
    "nfft": 512,
    "t_layers": 1,
    "t_heads": 2,
    "dconv_depth": 1,
    "samplerate": RATE,
}
SEGMENT = {"_type": "fraction", "numerator": 39, "denominator": 40}


MODEL = catalogue.get(NAME)


@dataclass
class Published:
    """A tiny HTDemucs of random weights, in the published layout, as if it had been fetched."""

    folder: Path
    name: str = "955717e8"

    @property
    def path(self) -> Path:
        return self.folder / f"{self.name}.safetensors"

    def write(self, tensors: dict[str, torch.Tensor] | None = None, /, **said: str) -> None:
        metadata = {
            "klass": "demucs.htdemucs.HTDemucs",
            "args": "[]",
            "kwargs": json.dumps({**SIZES, "segment": SEGMENT}),
            **said,
        }
        save_file(load_file(self.path) if tensors is None else tensors, self.path, metadata)
        self.remember()

    def bag(self, text: str) -> None:
        (self.folder / BAG).write_text(text)
        self.remember()

    def remember(self) -> None:
        files = tuple(store.File(path.name, path.stat().st_size, "ab" * 32) for path in sorted(self.folder.iterdir()))
        store.remember(MODEL, store.Fetched(NAME, "c0ffee", self.folder, files, files))


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Published:
    monkeypatch.setenv("TOCCATA_HOME", str(tmp_path))
    store.accept(MODEL)
    made = Published(store.place(MODEL) / "snapshots" / "c0ffee")
    made.folder.mkdir(parents=True)
    made.write(tiny())
    made.bag("models: ['955717e8']\n")
    return made


def tiny() -> dict[str, torch.Tensor]:
    """Random weights, in half precision as those that are published."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = htdemucs.HTDemucs(**SIZES, segment=Fraction(39, 40))
    return {name: tensor.half() for name, tensor in model.state_dict().items()}


def mix(channels: int = 2, rate: int = RATE, seconds: float = 2.6) -> np.ndarray:
    """A tune over noise, the channels unlike one another."""
    t = np.arange(int(seconds * rate)) / rate
    tune = np.concatenate(
        [np.sin(2 * np.pi * 440 * 2 ** (n / 12) * part) for n, part in enumerate(np.array_split(t, 4))]
    )
    noise = np.random.default_rng(0).normal(0, 0.1, (channels, t.size))
    return (0.3 * tune + noise).astype(np.float32)


def own_stems(path: Path, wave_CN: np.ndarray) -> torch.Tensor:
    """What the package makes of a mix by itself: stems_SCN."""
    bag = apply.BagOfModels([hf.load_safetensors_model(path)])
    return apply.apply_model(bag, torch.from_numpy(wave_CN)[None], shifts=0)[0]


def test_what_is_kept_are_the_packages_own_stems_but_drums_and_bass(published: Published):
    wave = mix()
    drums, bass, other, vocals = own_stems(published.path, wave)
    pitched = load_demucs(published.folder).pitched(wave, RATE, RATE)
    torch.testing.assert_close(pitched, (other + vocals).mean(0), atol=1e-6, rtol=0)
    assert float((pitched - (drums + bass).mean(0)).abs().max()) > 1e-3


def test_models_in_a_bag_are_averaged_as_the_bag_says(published: Published):
    Published(published.folder, "0123abcd").write({name: 1.1 * tensor for name, tensor in tiny().items()})
    weights, wave = [[1, 1, 3.0, 0], [1, 1, 1.0, 2]], mix()
    published.bag(f"models: ['0123abcd', '955717e8']\nweights: {weights}\nsegment: 0.5\n")
    pitched = load_demucs(published.folder).pitched(wave, RATE, RATE)
    paths = [published.folder / f"{name}.safetensors" for name in ("0123abcd", "955717e8")]
    bag = apply.BagOfModels([hf.load_safetensors_model(path) for path in paths], weights, 0.5)
    stems_BSCN = apply.apply_model(bag, torch.from_numpy(wave)[None], shifts=0)
    torch.testing.assert_close(pitched, stems_BSCN[0, 2:].sum(0).mean(0), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("channels", "rate"), [(1, RATE), (2, 22_050), (5, 4_000)])
def test_any_rate_and_channels_go_in_and_mono_comes_out(published: Published, channels: int, rate: int):
    wave = mix(channels, rate)
    pitched = load_demucs(published.folder).pitched(wave, rate, SAMPLE_RATE)
    assert pitched.shape == (round(wave.shape[1] * SAMPLE_RATE / rate),)
    heard = wave if channels == 2 else wave.mean(0, keepdims=True).repeat(2, 0)
    expected = own_stems(published.path, resample(heard, rate, RATE))[2:].sum(0).mean(0)
    back = torch.from_numpy(resample(expected.numpy()[None], RATE, SAMPLE_RATE)[0])
    torch.testing.assert_close(pitched, back, atol=1e-5, rtol=0)


def test_a_long_mix_holds_no_more_stems_than_a_segment_has(published: Published, monkeypatch: pytest.MonkeyPatch):
    sizes, run = [], apply.apply_model
    monkeypatch.setattr(
        apply, "apply_model", lambda *given, **more: sizes.append((o := run(*given, **more)).shape) or o
    )
    load_demucs(published.folder).pitched(mix(seconds=8), RATE, RATE)
    assert max(size[-1] for size in sizes) == 0.975 * RATE


def test_it_is_the_same_each_time_and_leaves_chance_alone(published: Published):
    published.write(kwargs=json.dumps({**SIZES, "segment": SEGMENT, "t_sin_random_shift": 50}))
    before = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["pos"]
    waves = []
    for seed in (1, 2):
        random.seed(seed)
        waves.append(load_demucs(published.folder).pitched(mix(), RATE, RATE))
    assert torch.equal(*waves)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state(legacy=False)["state"]["pos"]


def test_a_melody_goes_through_it_where_package_and_weights_are_here(published: Published, monkeypatch):
    wave = mix()
    demucs = find_demucs()
    assert demucs is not None
    asked = []
    monkeypatch.setattr(
        type(demucs), "pitched", lambda self, *given: asked.append(given) or torch.ones(2 * SAMPLE_RATE)
    )
    melody_of(wave, RATE, demucs=demucs)
    ((samples, rate, to_rate),) = asked
    assert np.array_equal(samples, wave)
    assert (rate, to_rate) == (RATE, SAMPLE_RATE)


def test_without_the_weights_or_a_file_of_them_there_is_none(published: Published):
    (published.folder / BAG).unlink()
    assert find_demucs() is None


@pytest.mark.parametrize("missing", ["demucs", "einops"])
def test_without_the_package_or_what_it_needs_there_is_none(published: Published, monkeypatch, missing: str):
    for name in [name for name in sys.modules if name.split(".")[0] == "demucs"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    assert find_demucs() is None


def test_weights_whose_licence_nobody_accepted_warn_with_it(published: Published):
    (store.place(MODEL) / "toccata-licence.json").unlink()
    with pytest.warns(UserWarning, match=f"Licence of {NAME}: MIT"):
        assert find_demucs() is not None


class Opened:
    """What a file could name to be run."""

    made = 0

    def __init__(self, **kwargs: Any) -> None:
        Opened.made += 1


@pytest.mark.parametrize("klass", [f"{__name__}.Opened", "os.system", "demucs.hdemucs.HDemucs", "", "HTDemucs"])
def test_a_class_that_a_file_names_is_never_built(published: Published, klass: str):
    published.write(klass=klass)
    with pytest.raises(WeightsError, match=r"names the class .* and toccata builds demucs\.htdemucs\.HTDemucs alone"):
        find_demucs()
    assert not Opened.made


def sizes(**changed: Any) -> str:
    return json.dumps({**SIZES, "segment": SEGMENT, **changed})


@pytest.mark.parametrize(
    "said",
    [
        {"kwargs": sizes(sources=["other", "vocals"])},
        {"kwargs": sizes(sources=["drums", "bass"])},
        {"kwargs": sizes(sources="drums bass other")},
        {"kwargs": sizes(channels="many")},
        {"kwargs": sizes(channels=10**30)},
        {"kwargs": sizes(samplerate=10**9)},
        {"kwargs": sizes(audio_channels=6)},
        {"kwargs": sizes(segment={"_type": "fraction", "numerator": 1, "denominator": 0})},
        {"kwargs": sizes(segment=10**6)},
        {"kwargs": sizes(segment=float("nan"))},
        {"kwargs": sizes(t_emb={"_class": "os.system"})},
        {"kwargs": "[]"},
        {"args": "[1]"},
        {"args": "{}", "kwargs": "{}"},
    ],
    ids=str,
)
def test_arguments_that_make_no_htdemucs_are_one_sentence(published: Published, said: dict[str, str]):
    published.write(**said)
    with pytest.raises(
        WeightsError, match=r"955717e8\.safetensors describes no HTDemucs .*; delete its folder and run"
    ):
        find_demucs()


def test_arguments_that_can_be_built_with_but_not_run_are_one_sentence(published: Published):
    published.write(kwargs=sizes(t_emb="attic"))
    with pytest.raises(WeightsError, match=r"adefossez/HTDemucs cannot be run \(.*\); delete its folder and run"):
        load_demucs(published.folder).pitched(mix(), RATE, RATE)


def test_weights_that_make_no_numbers_are_one_sentence(published: Published):
    published.write({name: tensor * torch.nan for name, tensor in tiny().items()})
    with pytest.raises(WeightsError, match="makes of a sound is no numbers; delete its folder and run"):
        load_demucs(published.folder).pitched(mix(), RATE, RATE)


def test_what_a_training_had_and_the_class_no_longer_knows_is_left_out(published: Published):
    published.write(kwargs=sizes(attic=True))
    assert find_demucs() is not None


@pytest.mark.parametrize(("key", "text"), [("kwargs", "{"), ("args", ""), ("kwargs", "[" * 100_000)])
def test_metadata_that_is_no_json_is_one_sentence(published: Published, key: str, text: str):
    published.write(**{key: text})
    with pytest.raises(WeightsError, match="does not say which model it holds"):
        find_demucs()
    save_file(load_file(published.path), published.path)
    published.remember()
    with pytest.raises(WeightsError, match="does not say which model it holds"):
        find_demucs()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda tensors, name: tensors.pop(name), "lack"),
        (lambda tensors, name: tensors.update({name: tensors[name][..., :-1].contiguous()}), "have another shape for"),
        (lambda tensors, name: tensors.update(attic=tensors[name].clone()), "have the unknown 'attic'"),
    ],
    ids=["missing", "shape", "unknown"],
)
def test_tensors_that_do_not_fit_are_one_sentence(published: Published, change, sentence: str):
    tensors = load_file(published.path)
    change(tensors, "encoder.0.conv.weight")
    published.write(tensors)
    with pytest.raises(WeightsError, match=f"are of another model: they {sentence}"):
        find_demucs()


def test_a_damaged_file_is_one_sentence_and_never_another_separation(published: Published):
    whole = published.path.read_bytes()
    published.path.write_bytes(b"?" * len(whole))
    with pytest.raises(WeightsError, match=r"955717e8\.safetensors is damaged or incomplete"):
        find_demucs()
    with pytest.raises(WeightsError, match=r"955717e8\.safetensors is damaged or incomplete"):
        read_settings(published.folder)
    published.path.write_bytes(whole[:-1])
    with pytest.raises(WeightsError, match="is damaged or incomplete"):
        load_demucs(published.folder)


@pytest.mark.parametrize(
    "text",
    [
        "models: []", "models: ['../955717e8']", "models: 955717e8", "models: abc", "- 955717e8", "models: [", "",
        "models: ['955717e8']\nweights: [[0, 0, 0, 0]]", "models: ['955717e8']\nweights: [[a]]",
        "models: ['955717e8']\nsegment: 0", "models: ['955717e8']\nsegment: long",
        "models: !!python/object/apply:os.system ['true']",
    ],
)  # fmt: skip
def test_a_bag_that_lists_no_models_is_one_sentence(published: Published, text: str):
    published.bag(text)
    with pytest.raises(WeightsError, match=r"htdemucs\.yaml is no list of models"):
        find_demucs()


def test_a_bag_that_does_not_fit_its_models_is_one_sentence(published: Published):
    published.bag("models: ['955717e8']\nweights: [[1, 1]]\n")
    with pytest.raises(WeightsError, match="weighs other stems than its models have"):
        find_demucs()
    published.bag("models: ['0123abcd']\n")
    with pytest.raises(WeightsError, match=r"0123abcd\.safetensors is missing"):
        find_demucs()
    (published.folder / BAG).unlink()
    with pytest.raises(WeightsError, match=r"htdemucs\.yaml is missing"):
        load_demucs(published.folder)


def test_its_settings_are_what_the_files_say(published: Published):
    assert read_settings(published.folder) == {
        "955717e8": {"klass": "demucs.htdemucs.HTDemucs", "args": [], "kwargs": {**SIZES, "segment": SEGMENT}}
    }
