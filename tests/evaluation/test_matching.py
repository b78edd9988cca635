"""Clips of several sets meet by prompt; where they don't one sentence says so."""

import pytest

from tests.evaluation.listeners import PROMPTS, write_sets
from toccata.errors import InputError
from toccata.evaluation.matching import match, read_sets
from toccata.evaluation.sets import Item, read_prompts


def items(*prompts):
    return [Item(f"{k}", prompt=prompt) for k, prompt in enumerate(prompts)]


def test_the_same_prompt_brings_clips_together_whatever_they_are_called(tmp_path):
    material = read_sets(write_sets(tmp_path, ("ours", "theirs", "third")))
    assert material.names == ("ours", "theirs", "third")
    assert material.prompts == PROMPTS
    assert [item.name for item in material.clips[1]] == ["ours-1", "theirs-1", "third-1"]
    assert not material.left_out


def test_several_clips_of_one_prompt_pair_in_order():
    material = match({"a": items("x", "y", "X"), "b": items("x", "x", "y")})
    assert [[item.name for item in row] for row in material.clips] == [["0", "0"], ["1", "2"], ["2", "1"]]


def test_prompts_that_a_set_lacks_are_left_out_and_told():
    material = match({"a": items("x", "y", "z"), "b": items("y")})
    assert material.prompts == ("y",)
    assert "2 of 3" in material.left_out[0]
    assert "'x', which b lacks" in material.left_out[0]


def test_sets_that_share_no_prompt_are_refused_with_what_they_have():
    with pytest.raises(InputError, match=r"a and b share no prompt.*'x'.*'y'"):
        match({"a": items("x"), "b": items("y")})


def test_a_set_without_prompts_is_refused():
    with pytest.raises(InputError, match="the clips of b have no prompts"):
        match({"a": items("x"), "b": items("")})


def test_folders_take_their_prompts_from_a_file(tmp_path):
    write_sets(tmp_path)
    (tmp_path / "prompts.txt").write_text("\n".join(PROMPTS))
    asked = read_prompts(tmp_path / "prompts.txt")
    material = read_sets([str(tmp_path / "ours"), str(tmp_path / "theirs")], asked)
    assert (material.names, material.prompts) == (("ours", "theirs"), PROMPTS)
    with pytest.raises(InputError, match="have no prompts"):
        read_sets([str(tmp_path / "ours"), str(tmp_path / "theirs")])


def test_names_tell_sets_apart(tmp_path):
    ours, theirs = write_sets(tmp_path)
    assert read_sets([ours.partition("=")[2], theirs.partition("=")[2]]).names == ("ours", "theirs")
    with pytest.raises(InputError, match="two sets are called 'ours'"):
        read_sets([ours, str(tmp_path / "ours")])
    with pytest.raises(InputError, match="NAME=FOLDER"):
        read_sets([ours, "=x"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no sound files"):
        read_sets([ours, str(tmp_path / "empty")])
    with pytest.raises(InputError, match="too many"):
        read_sets([ours] * 21)


def test_other_sound_is_another_test(tmp_path):
    places = write_sets(tmp_path)
    first = read_sets(places).fingerprint()
    assert read_sets(places).fingerprint() == first
    (tmp_path / "ours" / "ours-0.wav").write_bytes((tmp_path / "ours" / "ours-1.wav").read_bytes())
    assert read_sets(places).fingerprint() != first
