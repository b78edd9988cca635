"""``toccata encode`` and ``decode``: a file goes to codes and back, in the sound's own length."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from toccata.audio import io
from toccata.codecs.soundstream import SoundStream, SoundStreamConfig, save_soundstream

TINY = SoundStreamConfig(levels=4, vocabulary=32, latent=8, channels=2)


@pytest.fixture
def codec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small random codec in the work folder, beside a stereo sound at another rate."""
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_soundstream(tmp_path / "tiny", SoundStream(TINY))
    io.write("in.wav", np.random.default_rng(0).uniform(-0.5, 0.5, (2, 22_050)).astype(np.float32), 44_100, {})
    return tmp_path / "tiny"


def test_sound_goes_to_codes_and_back(toccata, codec: Path):
    code, out, _ = toccata("encode", "in.wav", "a.safetensors", "--levels", 3, "--model", codec, "--json")
    report = json.loads(out)
    codes_KT = load_file("a.safetensors")["codes_KT"]
    assert code == 0
    assert codes_KT.shape == (report["levels"], report["frames"]) == (3, 25)
    assert report["bits_per_second"] == 5 * 50 * 3
    code, out, _ = toccata("decode", "a.safetensors", "out.flac", "--model", codec, "--json")
    samples, rate = io.read("out.flac")
    assert code == 0
    assert rate == json.loads(out)["sample_rate"] == 24_000
    assert samples.shape == (1, 12_000)


def test_wrong_input_is_one_line(toccata, codec: Path, tmp_path: Path):
    toccata("encode", "in.wav", "a.safetensors", "--model", codec)
    save_file({"codes_KT": np.full((4, 3), 32, np.int16)}, "foreign.safetensors", {"toccata": '{"samples": 9}'})
    save_file({"codes_KT": np.full((4, 3), -1, np.int16)}, "negative.safetensors", {"toccata": '{"samples": 9}'})
    (tmp_path / "text.safetensors").write_text("no codes")
    before = set(tmp_path.iterdir())
    for arguments, says in (
        (["encode", "in.wav", "a.npz"], ".safetensors"),
        (["encode", "no.wav", "b.safetensors"], "no.wav"),
        (["encode", "in.wav", "b.safetensors", "--levels", "9", "--model", codec], "levels"),
        (["encode", "in.wav", "b.safetensors", "--model", "no-codec"], "no-codec"),
        (["encode", "in.wav", "missing/b.safetensors"], "missing"),
        (["decode", "in.wav", "b.wav", "--model", codec], "holds no codes"),
        (["decode", "text.safetensors", "b.wav", "--model", codec], "holds no codes"),
        (["decode", "gone.safetensors", "b.wav", "--model", codec], "does not exist"),
        (["decode", "foreign.safetensors", "b.wav", "--model", codec], "was not made by"),
        (["decode", "negative.safetensors", "b.wav", "--model", codec], "no codec makes"),
        (["decode", "a.safetensors", "b.xyz", "--model", codec], ".flac"),
    ):
        code, out, err = toccata(*arguments)
        assert (code, out) == (2, b""), err
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert says in err
    assert set(tmp_path.iterdir()) == before
