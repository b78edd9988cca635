import pytest

from toccata.evaluation.asked import key_in, tempo_in
from toccata.evaluation.judges import Key


@pytest.mark.parametrize(
    ("prompt", "bpm"),
    [("dark techno at 132 bpm", 132), ("slow, 70BPM", 70), ("97.5 beats per minute", 97.5), ("a 90s hit", None),
     ("999 bpm", None)],
)  # fmt: skip
def test_tempos_are_read_from_prompts(prompt: str, bpm: float | None):
    assert tempo_in(prompt, {}) == bpm


@pytest.mark.parametrize(
    ("prompt", "key"),
    [
        ("gloomy cello in D minor", Key(2, True)),
        ("in F sharp minor", Key(6, True)),
        ("B-flat major, slow", Key(10, False)),
        ("E♭ dorian", Key(3, True)),
        ("C# Major", Key(1, False)),
        ("in A minor", Key(9, True)),
        ("in a minor mood", None),
        ("a major hit, or a minor one", None),
        ("d minor", Key(2, True)),
        ("happy piano", None),
    ],
)
def test_keys_are_read_from_prompts_and_articles_are_not(prompt: str, key: Key | None):
    assert key_in(prompt, {}) == key


def test_labels_go_before_words():
    labels = {"tempo": 88, "tonic": 3, "mode": "minor"}
    assert tempo_in("at 132 bpm", labels) == 88
    assert key_in("in D major", labels) == Key(3, True)
    assert tempo_in("at 132 bpm", {"tempo": "fast"}) == 132
