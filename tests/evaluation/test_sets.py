"""Sets of clips: folders and manifests, who pairs with whom, whose prompt is whose."""

import json

import numpy as np
import pytest

from toccata.audio import io
from toccata.errors import InputError
from toccata.evaluation.sets import Item, pairs, read_prompts, read_set, with_prompts


@pytest.fixture
def folder(tmp_path):
    for name in ("b", "a", "below/c"):
        path = tmp_path / "set" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        io.write(path, np.full((1, 8000), 0.1, np.float32), 8000, {})
    return tmp_path / "set"


def test_a_folders_clips_are_called_by_their_paths(folder):
    items = read_set(folder)
    assert [item.name for item in items] == ["a", "b", "below/c"]
    clip = items[0].load()
    assert (clip.sample_rate, clip.samples.shape) == (8000, (1, 8000))
    assert items[0].digest() == items[1].digest()


def test_a_manifest_says_what_was_asked(tmp_path):
    rows = [
        {"path": "a.wav", "prompt": "slow  piano", "seconds": 8, "labels": {"tempo": 70}},
        {"path": "x/b.wav", "captions": [{"text": "drums"}, {"text": "more drums"}], "id": "seven"},
        {"path": "/c.wav", "caption": "a flute"},
        {"path": "d.wav"},
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    items = read_set(tmp_path / "m.jsonl")
    assert [item.name for item in items] == ["a", "seven", "c", "d"]
    assert [item.prompt for item in items] == ["slow piano", "drums", "a flute", ""]
    assert (items[0].seconds, items[0].labels) == (8, {"tempo": 70})
    assert str(items[1].path) == str(tmp_path / "x/b.wav")
    assert str(items[2].path) == "/c.wav"


def test_clips_pair_by_name():
    ours = [Item("x"), Item("b"), Item("a")]
    assert pairs(ours, [Item("a"), Item("b"), Item("c")]) == [(1, 1), (2, 0)]


def test_prompts_go_by_name_or_by_place(tmp_path):
    items = [Item("a"), Item("b")]
    (tmp_path / "p.txt").write_text("slow piano\n\n  fast   drums \n")
    assert [item.prompt for item in with_prompts(items, read_prompts(tmp_path / "p.txt"))] == [
        "slow piano",
        "fast drums",
    ]
    (tmp_path / "p.csv").write_text('name,prompt\nb,"drums, fast"\nnobody,x\n')
    named = with_prompts(items, read_prompts(tmp_path / "p.csv"))
    assert [(item.name, item.prompt) for item in named] == [("b", "drums, fast")]
    (tmp_path / "p.jsonl").write_text('{"id": "a", "prompt": "harp", "seconds": 3}\n')
    assert with_prompts(items, read_prompts(tmp_path / "p.jsonl"))[0].seconds == 3


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("m.jsonl", '{"path": "a.wav"}\nnonsense\n', "line 2"),
        ("m.jsonl", '{"caption": "no path"}\n', "line 1"),
        ("m.jsonl", '{"path": "a.wav", "prompt": 7}\n', "line 1"),
        ("m.jsonl", '{"path": "a.wav"}\n{"path": "b/a.wav"}\n', "called a"),
        ("m.jsonl", "\n", "is empty"),
        ("m.jsonl", "\udcff", "as text"),
        ("m.wav", "", "no folder and no manifest"),
    ],
)
def test_what_is_no_set_is_told(tmp_path, name: str, text: str, says: str):
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=says):
        read_set(tmp_path / name)


def test_prompts_that_fit_nothing_are_told(tmp_path):
    (tmp_path / "p.txt").write_text("one\ntwo\nthree\n")
    with pytest.raises(InputError, match="3 prompts for 1 clips"):
        with_prompts([Item("a")], read_prompts(tmp_path / "p.txt"))
    (tmp_path / "p.csv").write_text("name,prompt\nx,drums\n")
    with pytest.raises(InputError, match="x is none, a would be one"):
        with_prompts([Item("a")], read_prompts(tmp_path / "p.csv"))
    (tmp_path / "p.csv").write_text("name,prompt\nx,\n")
    with pytest.raises(InputError, match="lacks a prompt"):
        read_prompts(tmp_path / "p.csv")
    with pytest.raises(InputError, match="no file of prompts"):
        read_prompts(tmp_path / "p.xml")


def test_a_missing_file_is_told_when_it_is_heard(tmp_path):
    with pytest.raises(InputError, match="is not a file"):
        Item("a", tmp_path / "a.wav").digest()
