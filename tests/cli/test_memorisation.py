"""``toccata evaluate memorisation``: a model that plays its training data by heart is caught, another is not."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from toccata import hub
from toccata.audio import io
from toccata.codecs import soundstream
from toccata.encoders.text import load_text_encoder
from toccata.models.musicgen.config import mini
from toccata.models.musicgen.network import MusicGenNetwork
from toccata.models.musicgen.pipeline import MusicGen

RATE = 24_000


@pytest.fixture
def tiny(tmp_path, monkeypatch) -> MusicGen:
    """A small random model, and two manifests of six pieces with one that is too short."""
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        codec = soundstream.SoundStream(replace(soundstream.mini(), levels=2, vocabulary=16))
        for level in codec.quantiser.levels:
            torch.nn.init.normal_(level.get_buffer("codes_VD"))
        config = replace(mini(), width=32, layers=1, heads=2, codebooks=2, vocabulary=16)
        model = MusicGen(MusicGenNetwork(config), codec, load_text_encoder(), "tiny", "ab" * 32)
    for name, first in (("trained", 0), ("other", 100)):
        rows = []
        for k in range(6):
            length = RATE // 4 if k == 5 else 2 * RATE
            wave = np.random.default_rng(first + k).uniform(-0.5, 0.5, (1, length)).astype(np.float32)
            io.write(tmp_path / f"{name}-{k}.wav", wave, RATE, {})
            rows.append(json.dumps({"path": f"{name}-{k}.wav", "caption": f"noise number {k}"}))
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows))
    monkeypatch.setattr(hub, "load", lambda name, device, precision: model)
    return model


SHORT = ("--heard", 0.5, "--seconds", 0.5, "--json")


def test_a_stranger_matches_nothing_and_what_is_too_short_is_named(toccata, tiny):
    code, out, err = toccata("evaluate", "memorisation", "trained.jsonl", "--held-out", "other.jsonl", *SHORT)
    assert code == 0, err
    told = json.loads(out)
    (row,) = told["audits"]
    assert row["training"]["pieces"] == row["held_out"]["pieces"] == 5
    assert row["training"]["exact_share"] == 0
    assert row["training"]["same_tokens_share"] < 0.5
    assert sorted(line.split(":")[0] for line in told["left_out"]) == ["other-5.wav", "trained-5.wav"]
    assert len(row["nearest"]) == 5
    assert toccata("evaluate", "memorisation", "trained.jsonl", "--held-out", "other.jsonl", *SHORT)[1] == out


def test_what_is_played_by_heart_is_caught(toccata, tiny, monkeypatch):
    """The model's place is taken by one that has the training pieces' codes themselves."""
    by_heart = {}
    encode = tiny.codec.encode

    def encoded(wave_BCN, levels=None):
        codes = encode(wave_BCN, levels)
        by_heart[tuple(codes[0, 0, :10].tolist())] = codes[0]
        return codes

    def write(piece, sampling):
        whole_KT = by_heart[tuple(piece.prefix_KT[0, :10].tolist())]
        yield from whole_KT[:, piece.prefix_KT.shape[1] : piece.frames].unbind(1)

    monkeypatch.setattr(tiny.codec, "encode", encoded)
    monkeypatch.setattr(tiny.writer, "write", write)
    several = ("--heard", "0.4,0.5", "--seconds", 0.5, "--json")
    rows = json.loads(toccata("evaluate", "memorisation", "trained.jsonl", *several)[1])["audits"]
    assert [row["heard_seconds"] for row in rows] == [0.4, 0.5]
    assert all(row["training"]["exact_share"] == row["training"]["near_share"] == 1 for row in rows)


def test_people_get_a_few_lines(toccata, tiny):
    code, out, _ = toccata("evaluate", "memorisation", "trained.jsonl", *SHORT[:-1], "--count", 3)
    assert code == 0
    assert "training: 0.00% exact" in out.decode()
    assert "trained-" in out.decode()


def test_wrong_input_is_one_line(toccata, tiny, monkeypatch):
    for arguments, says in (
        (["nowhere.jsonl"], "cannot be read"),
        (["trained.jsonl", "--heard", 0], "--heard must be a number"),
        (["trained.jsonl", "--heard", "1;2"], "--heard must be seconds"),
        (["trained.jsonl", "--heard", 3], "could be continued"),
        (["trained.jsonl", "--model", "nothing"], "there is no model"),
    ):
        code, out, err = toccata("evaluate", "memorisation", *arguments)
        assert (code, out) == (2, b""), arguments
        assert says in err.splitlines()[-1], err
    monkeypatch.setattr(hub, "load", lambda name, device, precision: object())
    assert "choose a MusicGen or a MusicLM" in toccata("evaluate", "memorisation", "trained.jsonl")[2]
