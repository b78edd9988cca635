"""The diffusion transformer: what it sees, where its conditions go in, how it begins."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from toccata.nn.attention import rotary_table
from toccata.nn.dit import DiT, DiTSizes

SMALL = {"latent": 6, "width": 64, "layers": 2, "heads": 4, "tokens": 12, "context": 32, "whole": 10}
KINDS = pytest.mark.parametrize(
    "kind", [{}, {"normed": True}, {"adaptive": True}, {"normed": True, "adaptive": True, "context": 64}, {"patch": 2}]
)


def random(kind):
    torch.manual_seed(0)
    network = DiT(DiTSizes(**SMALL | kind))
    for name, parameter in network.named_parameters():
        if "norm" not in name:
            torch.nn.init.normal_(parameter, std=0.08)
    return network.eval()


def inputs(frames=9, tokens=5):
    generator = torch.Generator().manual_seed(1)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    return draw(2, frames, 6), torch.tensor([0.3, 0.8]), draw(2, tokens, 12), draw(2, 10)


def run(network, latent_BTD, t_B, tokens_BLW, whole_BW):
    with torch.no_grad():
        return network(latent_BTD, t_B, network.condition(tokens_BLW, whole_BW))


@KINDS
def test_every_condition_and_every_frame_counts(kind):
    network, told = random(kind), inputs()
    made = run(network, *told)
    assert made.shape == (2, 9, 6)
    for i in range(4):
        changed = list(told)
        changed[i] = changed[i] + 0.1
        assert not torch.allclose(run(network, *changed), made, atol=1e-3)
    moved = told[0].clone()
    moved[:, 0] += 1
    assert ((run(network, moved, *told[1:]) - made).abs().amax(-1) > 1e-5).all()


@KINDS
def test_a_batch_equals_its_rows(kind):
    network, told = random(kind), inputs()
    rows = [run(network, *(part[i : i + 1] for part in told)) for i in range(2)]
    assert torch.allclose(run(network, *told), torch.cat(rows), rtol=1e-3, atol=1e-4)


@KINDS
def test_tokens_of_zeros_say_nothing_but_take_attention(kind):
    """As published: a prompt is filled up to its full length with zeros, and no mask hides them."""
    network, (latent_BTD, t_B, tokens_BLW, whole_BW) = random(kind), inputs()
    longer = F.pad(tokens_BLW, (0, 0, 0, 7))
    assert not torch.allclose(
        run(network, latent_BTD, t_B, longer, whole_BW), run(network, latent_BTD, t_B, tokens_BLW, whole_BW), atol=1e-4
    )
    nothing = [run(network, latent_BTD, t_B, torch.zeros(2, n, 12), whole_BW) for n in (1, 9)]
    assert torch.allclose(*nothing, atol=1e-6)


@KINDS
def test_frames_are_known_by_their_distances(kind):
    """Rotary positions: frames that come in another order are other music."""
    network, (latent_BTD, *told) = random(kind), inputs()
    turned = run(network, latent_BTD.flip(1), *told).flip(1)
    assert not torch.allclose(turned, run(network, latent_BTD, *told), atol=1e-2)


@KINDS
def test_a_new_network_hands_its_input_on(kind):
    """No block adds anything yet, so the velocity of a step's frames comes from those frames alone."""
    torch.manual_seed(0)
    network = DiT(DiTSizes(**SMALL | kind))
    latent_BTD, *told = inputs()
    steps = [
        F.pad(step, (0, 0, 0, network.sizes.patch - step.shape[1])) for step in latent_BTD.split(network.sizes.patch, 1)
    ]
    made = [network.latent_out(network.latent_in(step.flatten(1))).view_as(step) for step in steps]
    expected = torch.cat(made, 1)[:, :9]
    assert torch.allclose(run(network, latent_BTD, *told), expected, atol=1e-6)


def test_the_adaptive_form_scales_shifts_and_gates_as_published():
    """One block, written out with the formulas of stable-audio-tools' transformer."""
    network: Any = random({"adaptive": True, "layers": 1})
    latent_BTD, t_B, tokens_BLW, whole_BW = inputs()
    block = network.blocks[0]
    told = network.told(network.whole_in(whole_BW) + network.time_in(network.time(t_B)))
    parts = (told.view(2, 6, 64) + block.bias_6W).unbind(1)
    scale, shift, gate, scale_inner, shift_inner, gate_inner = (part[:, None] for part in parts)
    x = network.latent_in(latent_BTD + network.before(latent_BTD))
    h = block.attention(block.norm_self(x) * (1 + scale) + shift, rotary_table(9, 8))
    x = x + h * torch.sigmoid(1 - gate)
    x = x + block.cross.cross(block.norm_cross(x), block.cross.keys(network.tokens_in(tokens_BLW)))
    up, way = block.up(block.norm_inner(x) * (1 + scale_inner) + shift_inner).chunk(2, dim=-1)
    x = x + block.down(up * F.silu(way)) * torch.sigmoid(1 - gate_inner)
    out = network.latent_out(x)
    assert torch.allclose(
        run(network, latent_BTD, t_B, tokens_BLW, whole_BW), out + network.after(out), rtol=1e-4, atol=1e-4
    )
