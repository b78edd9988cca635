"""Huge pages change where memory lies, never what it holds."""

import re
from pathlib import Path

import pytest
import torch

from toccata.engines import pages

SWITCH = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def huge_kib(address):
    """KiB of huge pages in the mapping that holds ``address``."""
    found = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if span := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            found = int(span[1], 16) <= address < int(span[2], 16)
        elif found and line.startswith("AnonHugePages:"):
            return int(line.split()[1])
    return 0


def test_memory_holds_what_it_held():
    asked = pages.ask_for(torch.empty(3 * 2**20)).fill_(3.5)
    before = torch.arange(2**21)
    pages.gather()
    assert torch.all(asked == 3.5)
    assert torch.equal(before, torch.arange(2**21))
    pages.ask_for(torch.empty(0))


@pytest.mark.skipif(not SWITCH.is_file() or "[never]" in SWITCH.read_text(), reason="this kernel has no huge pages")
def test_large_buffers_lie_on_huge_pages():
    asked = pages.ask_for(torch.empty(2**25)).fill_(1.0)
    assert huge_kib(asked.data_ptr() + asked.nbytes // 2) > 2**16
    plain = torch.ones(2**25)
    pages.gather()
    assert huge_kib(plain.data_ptr() + plain.nbytes // 2) > 2**16
