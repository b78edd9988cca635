from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks.captions import Case
from benchmarks.prompts import (
    DRUMS,
    EXACT_KEY,
    FAMILY,
    KEY,
    PACE,
    RATE,
    TEMPO,
    Heard,
    by_family,
    guards,
    questions,
    ratio_spread,
    through_codec,
    verdicts,
)
from toccata.codecs.autoencoder import Autoencoder, AutoencoderConfig
from toccata.evaluation.judges import Key

JUDGED = frozenset({"piano", "strings"})
CASES = [
    Case(0, "a", {"tempo": 100, "key": (0, "major"), "drums": True, "families": {"piano"}}),
    Case(1, "b", {"tempo": 140, "key": (6, "minor"), "drums": False, "families": {"strings", "harp"}}),
    Case(2, "c", {"pace": (0, 80), "drums": True}),
]


def heard(tempo: float, key: Key, drums: bool, *families: str) -> Heard:
    return Heard(tempo, key, drums, frozenset(families), np.zeros((4, 200)))


RIGHT = [
    heard(50, Key(0, False), True, "piano"),
    heard(141, Key(1, True), False, "strings"),
    heard(70, Key(3, False), True),
]


def test_the_right_music_scores_1_and_the_wrong_prompts_less():
    figures = {figure.metric: figure for figure in verdicts(CASES, RIGHT, RIGHT, JUDGED)}
    for metric in (TEMPO, PACE, KEY, DRUMS, FAMILY):
        assert figures[metric].value == figures[metric].ratio == 1
        assert (figures[metric].control or 0) < 1
    assert figures[EXACT_KEY].value == 0.5
    assert figures[FAMILY].n == 2


def test_what_the_codec_takes_is_told_beside_each_judge():
    through = [RIGHT[0], RIGHT[0], RIGHT[2]]
    figures = {figure.metric: figure for figure in verdicts(CASES, RIGHT, RIGHT, JUDGED, through)}
    assert figures[f"{TEMPO}: band through the codec"].value == 0.5
    assert figures[f"{DRUMS}: band through the codec"].value == 0.5
    assert len(figures) == len(list(verdicts(CASES, RIGHT, RIGHT, JUDGED))) * 3 / 2


def test_music_that_ignores_the_prompt_scores_what_its_control_scores():
    same = [RIGHT[0]] * 3
    for figure in verdicts(CASES, RIGHT, same, JUDGED):
        if figure.against is not None:
            assert figure.value == pytest.approx(figure.control)


def test_each_family_that_is_named_often_enough_is_told_by_itself():
    cases = [Case(i, "a", {"families": {"piano", "harp"} | ({"strings"} if i < 3 else set())}) for i in range(8)]
    band, ours = [heard(100, Key(0, False), True, "piano")] * 8, [RIGHT[1]] * 6 + [RIGHT[0]] * 2
    (piano,) = by_family(cases, band, ours, JUDGED)
    assert (piano.metric, piano.value, piano.against, piano.n) == ("piano there, where named", 0.25, 1.0, 8)


def test_the_ratios_interval_is_the_binomials_and_narrows_with_more_prompts():
    few, many = (ratio_spread(range(n), [""] * n, [(i % 2 == 0, True) for i in range(n)]) for n in (100, 400))
    assert few == pytest.approx(1.96 * 0.5 / 10, rel=0.1)
    assert many == pytest.approx(few / 2, rel=0.1)


def test_questions_of_one_prompt_are_not_taken_for_prompts_of_their_own():
    answers = [(i % 2 == 0, True) for i in range(100)]
    alone = ratio_spread(range(100), [""] * 100, answers)
    thrice = ratio_spread([i for i in range(100) for _ in range(3)], [""] * 300, [a for a in answers for _ in range(3)])
    assert thrice == pytest.approx(alone, rel=0.05)


def test_drums_everywhere_is_only_half_right():
    figures = {f.metric: f for f in verdicts(CASES, RIGHT, [heard(100, Key(0, False), True)] * 3, JUDGED)}
    assert figures[DRUMS].value == pytest.approx(0.5)


def test_a_family_without_a_judge_is_not_asked_about():
    asked = [question.metric for question in questions({"families": {"harp", "strings"}}, JUDGED)]
    assert asked == [FAMILY]


def test_guards_count_clips():
    t = np.arange(24000 * 6) / 24000
    held = (0.2 * np.sin(2 * np.pi * 220 * t)).astype(np.float32)
    noise = (0.1 * np.random.default_rng(0).normal(size=len(t))).astype(np.float32)
    shares = {f.metric: (f.value, f.control) for f in guards([held, noise, held * 0, noise], [noise])}
    assert shares == {
        "clips that are silent": (0.25, 0.0), "clips that are noise": (0.5, 1.0), "clips that are stuck": (0.25, 0.0),
    }  # fmt: skip


def test_a_stereo_codec_without_codes_takes_its_part_too():
    torch.manual_seed(0)
    small = AutoencoderConfig(
        sample_rate=16000, channels=4, decoder_channels=4, widths=(1, 2), strides=(16, 16), latent=4
    )
    model = SimpleNamespace(codec=Autoencoder(small).eval(), network=SimpleNamespace(config=object()))
    wave = np.sin(np.arange(RATE) / 10).astype(np.float32)
    copy = through_codec(model, wave)
    assert copy.shape == wave.shape
    assert np.abs(copy - wave).max() > 1e-3
