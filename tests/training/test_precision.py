import pytest
import torch
from torch import nn

from toccata.codecs import discriminators, magnitude
from toccata.codecs.magnitude_config import mini as cosine_mini
from toccata.encoders import w2vbert
from toccata.models.mousai.config import mini as mousai_mini
from toccata.models.mousai.network import MousaiNetwork
from toccata.models.riffusion.config import mini as riffusion_mini
from toccata.models.riffusion.network import RiffusionNetwork
from toccata.training.precision import fast_products, multiplies_bfloat16

TRAINED = {
    "magnitude": lambda: magnitude.build(cosine_mini()),
    "stft": lambda: discriminators.STFTDiscriminator(1024),
    "w2vbert": lambda: w2vbert.W2vBert(w2vbert.mini()),
    "mousai": lambda: MousaiNetwork(mousai_mini()),
    "riffusion": lambda: RiffusionNetwork(riffusion_mini()),
}


@pytest.mark.parametrize(("amx", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_cpu_multiplies_in_bfloat16_only_where_it_has_units_for_it(monkeypatch, amx, dtype):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    with fast_products("cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


@pytest.mark.skipif(not multiplies_bfloat16("cpu"), reason="this CPU multiplies bfloat16 no faster")
@pytest.mark.parametrize("model", TRAINED)
def test_every_convolution_that_is_trained_in_bfloat16_is_one(model):
    """oneDNN's convolutions of few channels with long kernels and strides are other numbers altogether (2.13)."""
    kinds = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d)
    found = {repr(part): part for part in TRAINED[model]().modules() if isinstance(part, kinds)}
    assert found
    for part in found.values():
        x = torch.randn(2, part.in_channels, *[max(64, 4 * max(part.kernel_size))] * len(part.kernel_size))
        exact, rounded = (_result(part, x, bfloat16) for bfloat16 in (False, True))
        for one, other in zip(exact, rounded, strict=True):
            assert (one - other).norm() < 0.03 * one.norm(), part


def _result(part: nn.Module, x: torch.Tensor, bfloat16: bool) -> list[torch.Tensor]:
    """What a layer gives, and the slopes of its input and weights."""
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        y = part(x).float()
    weights = [x, *part.parameters()]
    return [y.detach(), *torch.autograd.grad(y.square().sum(), weights)]
