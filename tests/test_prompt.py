"""Words and numbers that no music can be made from are refused in one clear sentence."""

import math
from typing import Any

import numpy as np
import pytest

from toccata import GenerateOptions, InputError, Prompt
from toccata.prompt import MAX_CHARACTERS, EditOptions, beats_in, options_of, tempo_in


def test_white_space_is_tidied_and_other_scripts_are_welcome():
    assert Prompt("  warm\n\tpiano ").text == "warm piano"
    assert Prompt("静かなピアノ").text == "静かなピアノ"
    assert Prompt("e\u0301tude").text == "étude"
    assert Prompt("calm 🎹 piano").text == "calm 🎹 piano"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        (" \n\t ", "empty"),
        ("x" * 100_000, "100,000 characters"),
        ("x" * (MAX_CHARACTERS + 1), "shorten"),
        ("piano\x00", r"U\+0000"),
        ("piano \x1b[31m", r"U\+001B"),
        ("piano \ud800", r"U\+D800"),
        ("🎹🎶👨‍🎤", "no letter"),
        ("...!?", "no letter"),
        (None, "must be text"),
        (7, "must be text"),
    ],
)
def test_texts_without_meaning_are_refused(text: Any, says: str):
    for refused in (lambda: Prompt(text), lambda: Prompt.story({0: "piano", 5: text})):
        with pytest.raises(InputError, match=says) as error:
            refused()
        assert len(str(error.value)) < 200
        assert "\n" not in str(error.value)


def test_a_negative_prompt_is_checked_too():
    assert Prompt("piano", negative=" drums ").negative == "drums"
    with pytest.raises(InputError, match="negative"):
        Prompt("piano", negative="")


def test_the_longest_prompt_passes():
    assert len(Prompt("x" * MAX_CHARACTERS).text) == MAX_CHARACTERS


def test_a_story_is_told_in_order_of_time():
    story = Prompt.story({15: "full orchestra", 0: "calm piano"}, negative="drums")
    assert story.text == "calm piano"
    assert story.parts == ((0.0, "calm piano"), (15.0, "full orchestra"))
    assert story.negative == "drums"
    assert str(story) == "0: calm piano | 15: full orchestra"
    assert str(Prompt("piano")) == "piano"


@pytest.mark.parametrize("parts", [{}, {5: "piano"}, {-1: "piano"}, {0: "a", math.nan: "b"}, {0: "a", "15": "b"}])
def test_a_story_that_cannot_be_told_is_refused(parts: Any):
    with pytest.raises(InputError):
        Prompt.story(parts)


def test_a_prompt_stays_what_it_is():
    prompt = Prompt("piano")
    assert Prompt.of(prompt) is prompt
    assert Prompt.of("piano") == prompt


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("seconds", [0, 0.5, 601, math.nan, math.inf, -math.inf, "10", None, True]),
        ("seed", [-1, 2**63, 1.5, "7", False]),
        ("count", [0, 101, 1.0, None]),
        ("guidance", [-0.1, 20.1, math.nan]),
        ("temperature", [0, -1, 5.1, math.inf]),
        ("top_k", [-1, 2.5]),
        ("top_p", [0, 1.1, math.nan]),
    ],
)
def test_numbers_out_of_range_are_refused_by_name(name: str, wrong: list[Any]):
    for value in wrong:
        with pytest.raises(InputError, match=f"^{name} must be"):
            GenerateOptions(**{name: value})


def test_the_edges_of_the_ranges_and_numpy_numbers_pass():
    GenerateOptions(seconds=1, seed=0, count=1, guidance=0, temperature=0.01, top_k=0, top_p=0.001)
    GenerateOptions(seconds=600, seed=2**63 - 1, count=100, guidance=20, temperature=5, top_p=1)
    GenerateOptions(seconds=np.float32(3), seed=np.int64(3))  # type: ignore[arg-type]


def test_parts_to_make_anew_are_put_in_order():
    assert EditOptions(steps=1, strength=1, inpaint=((9, 10.5), (2, 4), (4, 5))).inpaint == ((2, 4), (4, 5), (9, 10.5))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"steps": 0}, "steps must be"),
        ({"steps": 2.5}, "steps must be"),
        ({"strength": 0}, "strength must be"),
        ({"strength": 1.1}, "strength must be"),
        ({"inpaint": ((2, 2),)}, "ends after it starts"),
        ({"inpaint": ((0, 5), (4, 6))}, "overlap at 4 seconds"),
        ({"inpaint": ((0, math.nan),)}, "must be a number"),
        ({"inpaint": (4,)}, r"is \(from, to\) in seconds"),
    ],
)
def test_edits_that_make_no_sense_are_refused(wrong: dict[str, Any], says: str):
    with pytest.raises(InputError, match=says):
        EditOptions(**wrong)


@pytest.mark.parametrize(
    ("text", "beats"),
    [("techno", 4), ("a waltz", 3), ("in 3/4", 3), ("jig in 6/8", 2), ("12/8 blues", 4), ("5/4", 5), ("7/8 folk", 7),
     ("waltzing in 4/4", 4), ("3/8", 3), ("triple meter", 3)],
)  # fmt: skip
def test_a_bar_has_the_beats_that_the_text_names(text: str, beats: int):
    assert beats_in(text) == beats


def test_a_loop_lasts_its_bars():
    assert EditOptions(loop=8).loop_seconds(Prompt("house at 128 bpm")) == 15.0
    assert EditOptions(loop=8, bpm=120).loop_seconds(Prompt("a waltz at 128 bpm")) == 12.0
    assert tempo_in("from 1999 bpm, a 90s hit") is None


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"loop": 65}, "loop must be"),
        ({"loop": 1.5}, "loop must be"),
        ({"bpm": 120}, "give loop too"),
        ({"loop": 1, "bpm": 10}, "bpm must be"),
        ({"loop": 1, "strength": 0.5}, "begins from nothing"),
        ({"extend": (1, -1)}, "extend by must be"),
        ({"extend": 3}, "such as"),
        ({"extend": (1, 1), "strength": 0.5}, "keeps all"),
    ],
)
def test_loops_and_extensions_that_cannot_be_are_refused(wrong: dict[str, Any], says: str):
    with pytest.raises(InputError, match=says):
        EditOptions(**wrong)


def test_what_a_model_does_not_take_is_refused_in_its_name():
    assert options_of("small", seconds=3, seed=2) == GenerateOptions(3, 2)
    with pytest.raises(InputError, match="small takes no loop; leave it out"):
        options_of("small", seconds=3, loop=4)
