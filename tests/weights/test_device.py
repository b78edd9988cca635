import pytest
import torch

from toccata.errors import InputError
from toccata.weights.device import pick_device


def test_auto_is_a_device_that_is_here():
    assert torch.empty(1, device=pick_device("auto")).device.type == pick_device("auto").type
    assert pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("device", ["cuda:99", "gpu", ""])
def test_a_device_that_is_not_here_is_told(device):
    with pytest.raises(InputError, match="not available here"):
        pick_device(device)
