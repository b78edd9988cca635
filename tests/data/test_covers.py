"""Shards of covers: what was put in comes out, and windows of all covers lie around the same notes."""

import torch

from toccata.data.covers import cover_shard, melodies

FRAMES = 10


def mels(wave_1N):
    """A band that tells the time in frames."""
    return torch.arange(wave_1N.shape[1]).float()[None, :, None].expand(-1, -1, 3)


def shard():
    slow, fast = (torch.zeros(60), [0.0, 2.0, 4.0], "hum"), (torch.zeros(30), [0.0, 1.0, 2.0], "flute")
    return cover_shard([[slow, fast], [fast, fast]], mels)


def test_what_was_put_in_comes_out():
    first, second = melodies(shard())
    assert first.sounds == ("hum", "flute")
    assert [len(mel_TM) for mel_TM in first.mels + second.mels] == [60, 30, 30, 30]
    assert torch.equal(first.onsets[1], torch.tensor([0.0, 1.0, 2.0]))
    assert torch.equal(second.mels[1].float(), mels(torch.zeros(1, 30))[0])


def test_windows_lie_around_the_same_note_in_every_tempo():
    melody, _ = melodies(shard())
    slow, fast = (melody.window(cover, 1.5, FRAMES, 10.0)[:, 0] for cover in (0, 1))
    assert slow.tolist() == list(range(25, 35))  # three seconds in
    assert fast.tolist() == list(range(10, 20))


def test_windows_stop_at_the_ends_and_short_covers_are_filled_up():
    melody, _ = melodies(shard())
    assert melody.window(0, 0.0, FRAMES, 10.0)[0, 0] == 0
    assert melody.window(0, 2.0, 50, 10.0)[-1, 0] == 59
    filled = melody.window(1, 1.0, 40, 10.0)
    assert filled.shape == (40, 3)
    assert filled[30:].eq(0).all()
