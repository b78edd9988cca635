import pytest
import torch

from toccata.training.precision import fast_products


@pytest.mark.parametrize(("amx", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_cpu_multiplies_in_bfloat16_only_where_it_has_units_for_it(monkeypatch, amx, dtype):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    with fast_products("cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
