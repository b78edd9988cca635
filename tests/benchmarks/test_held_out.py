import numpy as np

from benchmarks import held_out
from toccata.corpus.score import Note, Score, Track


def test_only_what_strikes_within_the_excerpt_is_heard():
    tracks = (
        Track("violin", "melody", (Note(0, 1, 60, 80),)),
        Track("flute", "counter", (Note(40, 1, 60, 80),)),
    )
    score = Score(120, (4, 4), 0, "major", "pop", (), tracks, (), (), 64)
    assert held_out.sounding(score, 12.0) == ["strings"]
    assert held_out.sounding(score, 30.0) == ["strings", "woodwind"]


def test_a_render_is_read_back_as_it_was_made(tmp_path, monkeypatch):
    monkeypatch.setattr(held_out, "CACHE", tmp_path)
    held_out._render(held_out.HELD_OUT, 3, held_out._path(held_out.HELD_OUT, 3, 12.0), 12.0)
    held_out._render(held_out.HELD_OUT, 3, held_out._path(held_out.HELD_OUT, 3, 2.5), 2.5)
    (excerpt,) = held_out.excerpts(held_out.HELD_OUT, [3])
    (shorter,) = held_out.excerpts(held_out.HELD_OUT, [3], 2.5)
    assert excerpt.wave_N.shape == (12 * 24000,)
    assert np.array_equal(shorter.wave_N, excerpt.wave_N[:60_000])
    assert 0.02 < np.abs(excerpt.wave_N).max() <= 1
    assert excerpt.heard <= set(excerpt.labels["families"])
