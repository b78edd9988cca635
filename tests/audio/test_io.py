"""Sound files: what is read is safe, what is written is whole, tagged and the same every time."""

import json
import os
import resource
import stat
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toccata.audio import io
from toccata.errors import InputError, OutputError

RATE = 24_000
TAGS = {"title": "warm piano ✓", "comment": json.dumps({"seed": 7}), "software": "toccata 0"}


def sine(seconds: float = 1.0, channels: int = 2, rate: int = RATE) -> np.ndarray:
    time = np.arange(int(seconds * rate)) / rate
    return np.stack([0.5 * np.sin(2 * np.pi * 440 * (c + 1) * time) for c in range(channels)]).astype(np.float32)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_lossless_files_come_back_within_half_a_step(tmp_path: Path, suffix: str):
    io.write(tmp_path / f"a{suffix}", sine(), RATE, TAGS)
    samples, rate = io.read(tmp_path / f"a{suffix}")
    assert rate == RATE
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, sine(), atol=1 / 2**15)


@pytest.mark.parametrize("suffix", [".ogg", ".mp3"])
def test_lossy_files_keep_the_sound(tmp_path: Path, suffix: str):
    io.write(tmp_path / f"a{suffix}", sine(), RATE, TAGS)
    samples, rate = io.read(tmp_path / f"a{suffix}")
    middle = samples[0, RATE // 4 : 3 * RATE // 4]
    loudest = np.abs(np.fft.rfft(middle)).argmax() * 2
    assert rate == RATE
    assert loudest == pytest.approx(440, abs=2)
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("suffix", io.FORMATS)
def test_every_format_carries_prompt_and_origin(tmp_path: Path, suffix: str):
    io.write(tmp_path / f"a{suffix}", sine(), RATE, TAGS)
    with soundfile.SoundFile(tmp_path / f"a{suffix}") as file:
        found = file.copy_metadata()
    assert found["title"] == TAGS["title"]
    assert json.loads(found["comment"]) == {"seed": 7}


@pytest.mark.parametrize("suffix", io.FORMATS)
def test_the_same_sound_is_the_same_bytes(suffix: str):
    first, second = (io.encode(sine(), RATE, suffix, TAGS) for _ in range(2))
    assert first == second


def test_samples_beyond_full_scale_do_not_wrap_round(tmp_path: Path):
    io.write(tmp_path / "a.wav", np.full((1, 100), 1.5, np.float32), RATE, {})
    assert io.read(tmp_path / "a.wav")[0].min() > 0.99


def test_long_ogg_files_can_be_written():
    assert io.encode(sine(60, rate=44_100), 44_100, ".ogg", {})[:4] == b"OggS"


@pytest.mark.parametrize("name", ["a.xyz", "a", "missing/a.wav", "."])
def test_a_target_that_cannot_be_is_refused(tmp_path: Path, name: str):
    with pytest.raises(OutputError):
        io.write(tmp_path / name, sine(), RATE, {})
    assert not list(tmp_path.rglob("*"))


def test_a_format_that_cannot_hold_the_sound_is_refused(tmp_path: Path):
    with pytest.raises(OutputError, match=r"\.wav"):
        io.write(tmp_path / "a.mp3", sine(channels=5), RATE, {})
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_file_and_no_part(tmp_path: Path):
    io.write(tmp_path / "a.wav", sine(0.1), RATE, {})
    before = (tmp_path / "a.wav").read_bytes()
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, old[1]))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            io.write(tmp_path / "a.wav", sine(), RATE, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]
    assert (tmp_path / "a.wav").read_bytes() == before


def test_a_link_is_followed_and_permissions_are_ordinary(tmp_path: Path):
    (tmp_path / "link.wav").symlink_to("real.wav")
    io.write(tmp_path / "link.wav", sine(0.1), RATE, {})
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "link.wav").is_symlink()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("real.wav", "plain")}
    assert len(modes) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not sound at all",
        b"RIFF\x00\x00\x00\x00WAVE",
        b"RIFF" + bytes(100),
        b"fLaC" + bytes(100),
        b"OggS" + bytes(60),
    ],
    ids=["empty", "text", "short", "zeros", "flac", "ogg"],
)
def test_what_is_no_sound_is_refused(tmp_path: Path, content: bytes):
    for suffix in (".wav", ".raw", ""):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(content)
        with pytest.raises(InputError, match="is not a sound file"):
            io.read(path)


def test_missing_files_folders_and_devices_are_refused(tmp_path: Path):
    for path in (tmp_path / "no.wav", tmp_path, Path(os.devnull), Path("/dev/zero")):
        with pytest.raises(InputError):
            io.read(path)


@pytest.mark.parametrize(
    ("samples", "rate", "says"),
    [
        (np.zeros((100, 1)), 100, "sample rate"),
        (np.zeros((100, 1)), 500_000, "sample rate"),
        (np.zeros((100, 9)), RATE, "channels"),
        (np.zeros((3 * RATE, 1)), RATE, "too long"),
        (np.zeros((0, 1)), RATE, "no sound"),
        (np.array([[0.0], [np.nan]]), RATE, "not finite"),
        (np.array([[0.0], [np.inf]]), RATE, "not finite"),
    ],
    ids=["low rate", "high rate", "channels", "long", "empty", "nan", "inf"],
)
def test_sound_beyond_the_limits_is_refused(tmp_path: Path, samples: np.ndarray, rate: int, says: str):
    soundfile.write(tmp_path / "a.wav", samples.astype(np.float32), rate, subtype="FLOAT")
    with pytest.raises(InputError, match=says):
        io.read(tmp_path / "a.wav", io.Limits(max_seconds=2))


def test_a_small_file_that_decodes_to_too_much_is_refused(tmp_path: Path):
    soundfile.write(tmp_path / "a.flac", np.zeros((RATE * 60, 2), np.float32), RATE)
    with pytest.raises(InputError, match="too long"):
        io.read(tmp_path / "a.flac", io.Limits(max_bytes=2**20))


def test_loud_float_files_are_scaled_not_cut(tmp_path: Path):
    loud = sine() * 8
    soundfile.write(tmp_path / "a.wav", loud.T, RATE, subtype="FLOAT")
    samples, _ = io.read(tmp_path / "a.wav")
    np.testing.assert_allclose(samples, loud / np.abs(loud).max(), atol=1e-6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(list(io.FORMATS)), st.integers(0, 2**32), st.integers(1, 40))
def test_damaged_files_are_read_or_refused_and_nothing_else(tmp_path: Path, suffix: str, seed: int, damage: int):
    rng = np.random.default_rng(seed)
    data = bytearray(io.encode(sine(0.2), RATE, suffix, TAGS))
    for place in rng.integers(0, min(len(data), 2_000), damage):
        data[place] = rng.integers(256)
    path = tmp_path / "a"
    path.write_bytes(data[: rng.integers(len(data))])
    try:
        samples, rate = io.read(path)
    except InputError:
        return
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 1
    assert rate > 0


def test_ogg_pages_hold_valid_checksums():
    from toccata.audio.ogg import checksum

    data = io.encode(sine(), RATE, ".ogg", {})
    end = 27 + data[26] + sum(data[27 : 27 + data[26]])
    page = bytearray(data[:end])
    stored = struct.unpack_from("<I", page, 22)[0]
    page[22:26] = bytes(4)
    assert checksum(bytes(page)) == stored
    page[30] ^= 1
    assert checksum(bytes(page)) != stored


@pytest.mark.parametrize("suffix", io.FORMATS)
def test_blocks_of_a_file_are_the_file(tmp_path: Path, suffix: str):
    io.write(tmp_path / f"a{suffix}", sine(3.3), RATE, {})
    with io.stream(tmp_path / f"a{suffix}") as file:
        blocks = list(file.blocks)
        assert (file.sample_rate, file.channels) == (RATE, 2)
        assert file.frames == pytest.approx(3.3 * RATE, abs=2000)
    assert max(block.shape[1] for block in blocks) <= RATE
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), io.read(tmp_path / f"a{suffix}")[0])


def test_blocks_are_guarded_as_a_whole_file_is(tmp_path: Path):
    broken = sine(3.0)
    broken[0, -5] = np.nan
    soundfile.write(tmp_path / "nan.wav", broken.T, RATE, subtype="FLOAT")
    io.write(tmp_path / "empty.wav", sine(0), RATE, {})
    io.write(tmp_path / "long.wav", sine(3.0), RATE, {})
    for name, sentence, limits in (
        ("nan.wav", "not finite", io.Limits()),
        ("empty.wav", "holds no sound", io.Limits()),
        ("long.wav", "too long", io.Limits(max_seconds=2)),
        ("gone.wav", "does not exist", io.Limits()),
    ):
        with pytest.raises(InputError, match=sentence), io.stream(tmp_path / name, limits) as file:
            list(file.blocks)
