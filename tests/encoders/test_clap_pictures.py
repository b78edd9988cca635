"""What CLAP sees: blocks give what the whole gives, and neither work nor memory grows with a sound's length."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from toccata.encoders import clap_pictures
from toccata.encoders.clap_pictures import Pictures, draw, draw_again, filled, log_mel, thirds

FUSED = Pictures(fused=True)
RATE = 48_000


def noise(length: int) -> torch.Tensor:
    return torch.randn(length, generator=torch.Generator().manual_seed(length)) * torch.linspace(0.01, 1, length)


@pytest.mark.parametrize("fused", [False, True])
def test_blocks_of_any_sizes_give_what_the_whole_gives(fused: bool):
    pictures = replace(FUSED, fused=fused, seconds=0.5)
    for length in (1, 700, 24_000, 24_100, 24_481, 50_000, 100_001):
        wave_N = noise(length)
        whole, longer = draw([wave_N], length, pictures)
        assert longer == (length > 24_000 and not (fused and length // 480 == 50))
        for size in (1 + length // 300, 480, 33_333):
            parts, flag = draw(wave_N.split(size), length, pictures)
            assert torch.equal(parts, whole)
            assert flag == longer


def test_the_whole_is_shrunk_and_the_crops_are_its_own_frames():
    pictures = replace(FUSED, seconds=0.5)
    wave_N = noise(150_000)
    mirrored = F.pad(wave_N[None], (512, 512), mode="reflect")[0]
    mel_TM = log_mel(mirrored.unfold(0, 1024, 480), pictures)
    (whole, *crops), longer = draw([wave_N], len(wave_N), pictures)
    shrunk = F.interpolate(mel_TM[None, None], (51, 64), mode="bilinear")[0, 0]
    assert longer
    assert (whole - shrunk).abs().max() < 1e-3
    starts = [[torch.equal(mel_TM[i : i + 51], crop) for i in range(len(mel_TM) - 50)].index(True) for crop in crops]
    assert starts == [43, 131, 219]  # the middles of the thirds of 263 places
    drawn, _ = draw([wave_N], len(wave_N), pictures, torch.Generator().manual_seed(0))
    for i, (first, places) in enumerate(thirds(263)):
        at = [torch.equal(mel_TM[j : j + 51], drawn[1 + i]) for j in range(first, first + places)]
        assert any(at)


@pytest.mark.parametrize("fused", [False, True])
def test_pictures_for_training_are_those_of_use(fused: bool):
    pictures = replace(FUSED, fused=fused, seconds=0.5)
    for length in (700, 24_000, 24_481, 50_000, 150_000):
        wave_N = noise(length)
        used, longer = draw([wave_N], length, pictures, torch.Generator().manual_seed(7))
        stored_TM = clap_pictures.whole(wave_N, pictures)
        again, longer_again = draw_again(stored_TM, pictures, torch.Generator().manual_seed(7))
        assert longer_again == longer or len(stored_TM) == pictures.frames
        if fused or not longer:
            torch.testing.assert_close(again, used)
        else:  # another place: one counts frames, the other samples
            assert again.shape == used.shape


def test_the_thirds_share_all_places_and_there_is_always_one():
    for places in (1, 2, 3, 7, 1000):
        found = thirds(places)
        assert sum(size for _, size in found) == max(places, 3)
        assert all(first >= 0 and first + size <= places for first, size in found)


@pytest.mark.parametrize(
    ("filling", "expected"),
    [("repeatpad", [1, 2, 3, 1, 2, 3, 0, 0]), ("repeat", [1, 2, 3, 1, 2, 3, 1, 2]), ("pad", [1, 2, 3, 0, 0, 0, 0, 0])],
)
def test_shorter_sounds_are_repeated_and_padded(filling: str, expected: list[int]):
    pictures = Pictures(sample_rate=8, seconds=1, filling=filling)
    assert filled(torch.tensor([1.0, 2, 3]), pictures).tolist() == expected
    whole = torch.arange(8.0)
    assert torch.equal(filled(whole, pictures), whole)


def endless(seconds: int) -> Iterator[torch.Tensor]:
    return itertools.repeat(noise(RATE), seconds)


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not tell how much memory is held")
@pytest.mark.parametrize("pictures", [FUSED, Pictures()], ids=["fused", "unfused"])
def test_a_day_is_heard_in_little_memory(pictures: Pictures):
    draw(endless(60), 60 * RATE, pictures)
    before, held = resident(), []

    def day() -> Iterator[torch.Tensor]:
        for _ in range(24):
            yield from endless(3600)
            held.append(resident())

    mel_PTM, longer = draw(day(), 24 * 3600 * RATE, pictures)
    assert longer
    assert mel_PTM.isfinite().all()
    assert len(held) == 24
    assert max(held) < before + 100 * 2**20  # whole, it would be 16 GiB


def test_the_frames_that_are_computed_do_not_grow_with_the_length(monkeypatch):
    counted: list[int] = []
    real = clap_pictures.log_mel
    monkeypatch.setattr(clap_pictures, "log_mel", lambda w, p: counted.append(len(w)) or real(w, p))
    for seconds in (11, 60, 600, 3600):
        draw(endless(seconds), seconds * RATE, FUSED)
    assert max(counted) <= 5 * FUSED.frames
    assert max(counted[2:]) <= 2 * counted[1]
