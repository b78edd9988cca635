import pytest
import torch

from toccata.training.cpu import settle


def test_numbers_too_small_for_their_format_are_0():
    if not torch.set_flush_denormal(False):
        pytest.skip("this CPU can't")
    threads = torch.get_num_threads()
    try:
        settle(threads)
        assert float(torch.tensor([1e-39]) * 0.5) == 0.0
        assert float(torch.tensor([1e-30]) * 0.5) > 0.0
    finally:
        torch.set_flush_denormal(False)
