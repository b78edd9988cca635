"""Shards of log-mels: pieces come back as they went in; manifests say what is wrong with them."""

import json

import numpy as np
import pytest
import torch

from toccata.audio.io import write
from toccata.data.mels import MelPiece, crop, manifest_waves, masked, mel_shard, pieces, read_manifest
from toccata.errors import InputError


def mels(wave_BN):
    return wave_BN.unfold(1, 4, 4)


def test_pieces_come_back_with_their_records():
    waves = [(torch.arange(20.0), {"captions": [{"text": "a"}]}), (torch.arange(8.0) + 100, {"captions": []})]
    first, second = pieces(mel_shard(iter(waves), mels))
    torch.testing.assert_close(first.mel_TM.float(), mels(waves[0][0][None])[0])
    torch.testing.assert_close(second.mel_TM.float(), mels(waves[1][0][None])[0])
    assert first.record["captions"] == [{"text": "a"}]


@pytest.mark.parametrize("frames", [3, 5, 12])
def test_a_crop_is_a_stretch_of_the_piece_again_and_again(frames):
    mel_TM = torch.arange(5.0)[:, None].half()
    found = crop(MelPiece(mel_TM, {}), frames, torch.Generator().manual_seed(0))[:, 0]
    assert len(found) == frames
    assert set(found.diff().tolist()) <= {1.0, -4.0}


def test_masks_put_the_mean_of_all_in_the_place_of_some():
    mel_TM = torch.rand(100, 32) - 40
    found = masked(mel_TM, torch.Generator().manual_seed(1))
    kept = found != float(mel_TM.mean())
    torch.testing.assert_close(found[kept], mel_TM[kept])
    assert 0.1 < kept.float().mean() < 1
    assert found[~kept].unique().tolist() == [float(mel_TM.mean())]


def test_a_manifest_is_read_with_its_sounds(tmp_path):
    write(tmp_path / "a.wav", np.zeros((2, 800), np.float32), 8000, {})
    lines = [{"path": "a.wav", "captions": [{"text": "slow"}, "piano"]}, {"path": "a.wav", "caption": "fast"}]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    rows = read_manifest(tmp_path / "m.jsonl")
    assert [row.captions for row in rows] == [("slow", "piano"), ("fast",)]
    (wave, record), _ = manifest_waves(rows, 16000)
    assert len(wave) == 1600
    assert record["captions"] == [{"text": "slow"}, {"text": "piano"}]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("{", "line 1"),
        ('{"path": "a.wav"}', "line 1"),
        ('{"path": "a.wav", "captions": []}', "line 1"),
        ('{"path": "a.wav", "captions": [" "]}', "line 1"),
        ('{"path": 3, "captions": ["x"]}', "line 1"),
        ("[1]", "line 1"),
    ],
)
def test_a_bad_manifest_is_told(tmp_path, text, says):
    path = tmp_path / "m.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        read_manifest(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_manifest(tmp_path)
