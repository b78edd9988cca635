import os
import sys

import pytest
import torch

from benchmarks.streaming import measured, read_bandwidth, step_bytes
from toccata.errors import ToccataError
from toccata.models.musicgen.config import MusicGenConfig
from toccata.models.musicgen.network import MusicGenNetwork


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def test_peak_memory_is_the_childs_own(tmp_path):
    target = tmp_path / "out"
    script = f"x = bytearray(300 * 2**20); x[::4096] = b'1' * len(x[::4096]); open({str(target)!r}, 'w').close()"
    wall, peak = measured(python(script), dict(os.environ), target)
    assert wall > 0
    assert 0.29 < peak < 0.5
    assert measured(python(f"open({str(target)!r}, 'w').close()"), dict(os.environ), target)[1] < 0.2


def test_a_command_that_fails_or_writes_nothing_is_reported(tmp_path):
    for script in ("raise SystemExit('no luck')", "print('no luck')"):
        with pytest.raises(ToccataError, match="no luck"):
            measured(python(script), dict(os.environ), tmp_path / "missing")


def test_a_step_reads_the_blocks_and_heads_but_not_what_is_read_once():
    config = MusicGenConfig(width=32, layers=2, heads=2, codebooks=2, vocabulary=16, text_width=8, text_layers=1)
    block = 32 * (3 * 32 + 32) + 32 * (32 + 32) + 2 * 32 * 128 + 6 * 32
    assert step_bytes(MusicGenNetwork(config)) == 4 * (2 * block + 2 * 32 + 2 * 16 * 32)


def test_bandwidth_is_that_of_a_memory():
    assert 2**28 < read_bandwidth("cpu", mebibytes=32, repeats=2) < 2**41
    assert torch.get_num_threads() >= 1
