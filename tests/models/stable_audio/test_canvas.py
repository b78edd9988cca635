"""The windows of a piece: they cover it, overlap, end with it, copy what is kept, and begin where texts change."""

import numpy as np
import pytest
import torch

from toccata.models.stable_audio.canvas import begun_with, empty, ended, kept_outside, lengthened, pasted, windows

SIZE = 20


def check_cover(found, frames):
    made = 0
    for window in found:
        assert window.made == made
        assert window.first <= window.made < window.until
        assert window.copied or window.until - window.first <= SIZE
        made = window.until
    assert made == frames


@pytest.mark.parametrize("frames", [1, 19, 20, 21, 34, 35, 36, 200])
def test_a_piece_is_covered_by_windows_that_overlap(frames):
    found = list(windows(empty(frames, SIZE, 2), SIZE, []))
    check_cover(found, frames)
    assert found[0].first == 0
    for window in found[1:]:
        assert window.made - window.first >= SIZE // 4
        assert window.first + SIZE <= frames
    assert len(found) == max(1, -(-(frames - SIZE // 4) // (SIZE - SIZE // 4)))


@pytest.mark.parametrize("frames", [1, 17, 19, 20, 34, 35, 36, 200])
def test_the_last_window_of_a_piece_that_ends_hears_its_rest(frames):
    canvas = ended(empty(frames, SIZE, 2), torch.tensor([5.0, 6.0]), beyond=3)
    assert canvas.keep_T.tolist() == [False] * frames + [True] * SIZE
    assert torch.equal(canvas.sound_TD[frames:], torch.tensor([[5.0, 6.0]]).expand(SIZE, 2))
    found = list(windows(canvas, SIZE, []))
    check_cover(found, frames)
    assert found[-1].first + SIZE >= frames + 3
    for window in found[1:]:
        assert window.made - window.first >= SIZE // 4


def test_a_new_window_begins_where_the_text_changes():
    found = list(windows(empty(60, SIZE, 2), SIZE, [0, 13, 40]))
    check_cover(found, 60)
    assert {0, 13, 40} <= {window.made for window in found}


def test_what_is_kept_is_copied_and_never_drawn():
    canvas = kept_outside(begun_with(torch.ones(100, 2), torch.zeros(2), 100, SIZE), [(4, 5), (9, 9.5)], rate=10.0)
    assert canvas.keep_T[:100].logical_not().nonzero().flatten().tolist() == [*range(40, 50), *range(90, 95)]
    found = list(windows(canvas, SIZE, []))
    check_cover(found, 100)
    drawn = [window for window in found if not window.copied]
    assert [(window.first, window.made) for window in drawn] == [(35, 40), (80, 90)]
    assert sum(window.until - window.made for window in drawn) < 40


@pytest.mark.parametrize("gap", range(3, 70))
def test_new_frames_beside_what_is_kept_are_made_in_sight_of_it(gap):
    canvas = kept_outside(begun_with(torch.ones(gap + 40, 2), torch.zeros(2), gap + 40, SIZE), [(0, gap)], rate=1.0)
    found = list(windows(canvas, SIZE, []))
    check_cover(found, gap + 40)
    last = next(window for window in found if window.until >= gap)
    assert last.first + SIZE >= gap + SIZE // 4


def test_a_sound_is_cut_or_filled_up_with_silence():
    silence = torch.tensor([5.0, 6.0])
    for length in (3, 10, 40):
        canvas = begun_with(torch.ones(length, 2), silence, 10, SIZE)
        assert canvas.sound_TD.shape == (30, 2)
        assert canvas.sound_TD[: min(length, 10)].eq(1).all()
        assert canvas.sound_TD[min(length, 10) :].eq(silence).all()
        assert not canvas.keep_T.any()


def test_silence_after_the_end_is_kept_only_where_the_end_is():
    canvas = begun_with(torch.ones(10, 2), torch.zeros(2), 10, SIZE)
    assert kept_outside(canvas, [(0.2, 0.5)], 10.0).keep_T[10:].all()
    assert not kept_outside(canvas, [(0.5, 1.0)], 10.0).keep_T[10:].any()


def test_a_part_is_pasted_between_short_fades_wherever_the_sound_is_cut():
    new, old = np.ones((2, 1000), np.float32), -np.ones((2, 900), np.float32)
    regions = [(0.1, 0.4), (0.5, 0.54), (0.85, 1.0)]
    whole = pasted(new, old, 0, regions, 1000)
    assert (whole[:, :100] == -1).all()
    assert (whole[:, 175:325] == 1).all()
    assert (whole[:, 400:500] == -1).all()
    assert (whole[:, 510:530] == 1).all()
    assert (whole[:, 540:850] == -1).all()
    steps = np.abs(np.diff(whole))
    assert (np.delete(steps[:, :900], np.s_[500:540], axis=1) <= 2 / 37.5 + 1e-6).all()
    assert (steps[:, 500:540] <= 2 / 10 + 1e-6).all()
    parts = [pasted(new[:, a : a + 130], old, a, regions, 1000) for a in range(0, 1000, 130)]
    assert np.array_equal(np.concatenate(parts, axis=1), whole)


def test_beyond_its_ends_a_recording_rings_on_before_its_mirror_image_comes():
    old = (0.3 * np.sin(2 * np.pi * 50 * np.arange(2000) / 1000 + 0.4))[None].astype(np.float32)
    longer = lengthened(old, 1000, 3000, 900, 1000)
    assert np.array_equal(longer[:, 1000:3000], old)
    ringing = 0.3 * np.sin(2 * np.pi * 50 * np.arange(2000, 2150) / 1000 + 0.4)
    assert np.abs(longer[0, 3000:3150] - ringing).max() < 0.06
    mirrored = (
        np.abs(longer[:, 3300:3900] - old[:, ::-1][:, 300:900]).max(),
        np.abs(longer[:, 500:700] - old[:, ::-1][:, -500:-300]).max(),
    )
    assert mirrored == (0, 0)
    assert not longer[:, :500].any()
    assert not longer[:, 3900:].any()


@pytest.mark.parametrize(("before", "after"), [(0, 0), (1, 2), (5, 0)])
def test_there_may_be_hardly_any_room_beyond_a_recording(before, after):
    old = np.full((2, 3), 0.5, np.float32)
    assert lengthened(old, before, after, 900, 1000).shape == (2, 3 + before + after)


@pytest.mark.parametrize("length", [1000, 999, 1001, 1003])
def test_a_part_that_begins_or_ends_the_piece_is_not_faded_there(length):
    new, old = np.ones((2, length), np.float32), -np.ones((2, length), np.float32)
    whole = pasted(new, old, 0, [(0.0, 0.4), (0.6, length / 1000)], 1000)
    assert (whole[:, :300] == 1).all()
    assert (whole[:, 400:600] == -1).all()
    assert (whole[:, 705:] == 1).all()
