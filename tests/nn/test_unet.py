"""The diffusion U-Net in both forms: what it sees, what goes in where, its published size, its formulas written out."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from toccata.nn.unet import UNet, UNetSizes, read_sizes, stable_audio_1

NESTED = UNetSizes(
    inputs=5, channels=(16, 24, 32), factors=(1, 2, 4), blocks=(1, 2, 2), attentions=(0, 1, 1), crosses=(1, 0, 1),
    heads=3, head_width=8, tokens=12, features=20, injected=6, inject_depth=1,
)  # fmt: skip
STACKED = UNetSizes(
    inputs=5, channels=(32, 48, 64), factors=(1, 2, 2), blocks=(2, 1, 2), attentions=(1, 0, 2), crosses=(1, 1, 1),
    heads=4, head_width=0, tokens=12, features=32, injected=6, inject_depth=1, stacked=True, middle=2,
)  # fmt: skip
FORMS = pytest.mark.parametrize("sizes", [NESTED, STACKED], ids=["nested", "stacked"])


def random(sizes) -> Any:
    torch.manual_seed(0)
    return UNet(sizes).eval()


def inputs():
    generator = torch.Generator().manual_seed(1)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    return draw(2, 5, 32), torch.tensor([0.3, 0.8]), draw(2, 7, 12), draw(2, 6, 16)


@FORMS
@torch.no_grad()
def test_every_condition_and_every_frame_counts(sizes):
    network, told = random(sizes), inputs()
    made = network(*told)
    assert made.shape == (2, 5, 32)
    for i in range(4):
        changed = list(told)
        changed[i] = changed[i].roll(1, -1)
        assert not torch.allclose(network(*changed), made, atol=1e-4)
    moved = told[0].clone()
    moved[:, :, 0] += 1
    assert ((network(moved, *told[1:]) - made).abs().amax(1) > 1e-6).all()


@FORMS
@torch.no_grad()
def test_a_batch_equals_its_rows(sizes):
    network, told = random(sizes), inputs()
    rows = [network(*(part[i : i + 1] for part in told)) for i in range(2)]
    assert torch.allclose(network(*told), torch.cat(rows), rtol=1e-3, atol=1e-5)


@FORMS
def test_every_parameter_learns(sizes):
    network = random(sizes)
    network(*inputs()).square().mean().backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]


@FORMS
def test_frames_that_cannot_be_halved_are_refused(sizes):
    x, *told = inputs()
    with pytest.raises(ValueError, match=f"multiple of {sizes.stride}, not 30"):
        random(sizes)(x[..., :30], *told)


def test_sizes_survive_json():
    said: dict[str, Any] = {name: list(v) if isinstance(v, tuple) else v for name, v in vars(STACKED).items()}
    assert read_sizes(said) == STACKED


def test_the_first_stable_audio_has_its_papers_907_million_parameters():
    with torch.device("meta"):
        network = UNet(stable_audio_1())
    assert round(sum(p.numel() for p in network.parameters()) / 1e6) == 907


def attention(layer, x, context):
    """Written out head by head."""
    query, (key, value) = layer.query(layer.norm(x)), layer.kv(layer.norm_context(context)).chunk(2, -1)
    each = query.shape[-1] // layer.heads
    parts = []
    for h in range(layer.heads):
        q, k, v = (part[..., h * each : (h + 1) * each] for part in (query, key, value))
        parts.append((q @ k.transpose(1, 2) / math.sqrt(each)).softmax(-1) @ v)
    return x + layer.out(torch.cat(parts, -1))


def residual(block, x, film=None):
    h = F.group_norm(x, block.norm_in.num_groups, block.norm_in.weight, block.norm_in.bias)
    h = F.conv1d(F.silu(h), block.conv_in.weight, block.conv_in.bias, padding=1)
    h = F.group_norm(h, block.norm_out.num_groups, block.norm_out.weight, block.norm_out.bias)
    if film is not None:
        scale, shift = block.told(F.silu(film)).chunk(2, -1)
        h = h * (scale[..., None] + 1) + shift[..., None]
    return block.shortcut(x) + F.conv1d(F.silu(h), block.conv_out.weight, block.conv_out.bias, padding=1)


def time_features(network, t):
    turns = 2 * math.pi * t[:, None] * network.time.frequencies
    x = torch.cat([t[:, None], turns.sin(), turns.cos()], -1)
    for layer in network.time.layers:
        x = F.gelu(layer(x))
    return x


@torch.no_grad()
def test_mousais_level_is_what_its_paper_draws():
    sizes = UNetSizes(
        inputs=4, channels=(16,), factors=(2,), blocks=(1,), attentions=(1,), crosses=(1,), heads=2, head_width=8,
        tokens=12, features=20, injected=6,
    )  # fmt: skip
    network = random(sizes)
    x, t, tokens, latent = inputs()
    x = x[:, :4]
    features, level = time_features(network, t), network.levels
    h = F.conv1d(x, level.down.weight, level.down.bias, stride=2)
    for item in (level.before[0], level.behind[0]):
        h = residual(item.residual, h)
        scale, shift = item.modulation.told(F.silu(features))[..., None].chunk(2, 1)
        mean, variance = h.mean(1, keepdim=True), h.var(1, keepdim=True, correction=0)
        h = (h - mean) / (variance + 1e-6).sqrt() * (1 + scale) + shift
        h = h + item.inject.mix(torch.cat([h, latent], 1))
        h = attention(item.attention, h.transpose(1, 2), h.transpose(1, 2))
        h = attention(item.cross, h, tokens).transpose(1, 2)
    h = level.up[1](h.repeat_interleave(2, -1))
    assert torch.allclose(network(x, t, tokens, latent), x + level.told(F.silu(features))[..., None] * h, atol=1e-5)


@torch.no_grad()
def test_stable_audios_level_hands_every_output_across():
    sizes = UNetSizes(
        inputs=4, channels=(32,), factors=(2,), blocks=(1,), attentions=(1,), crosses=(1,), heads=4, head_width=0,
        tokens=12, features=20, stacked=True,
    )  # fmt: skip
    network = random(sizes)
    x, t, tokens, _ = inputs()
    x = x[:, :4]
    film, level = time_features(network, t), network.levels

    def transformer(part, h):
        h = part.before(F.group_norm(h, 32, part.norm.weight, part.norm.bias, 1e-6).transpose(1, 2))
        layer = part.layers[0]
        h = attention(layer.cross, attention(layer.attention, h, h), tokens)
        return part.after(h + layer.down(F.gelu(layer.up(h)))).transpose(1, 2)

    first = residual(network.first, x, film)
    one = residual(level.before[0], F.conv1d(first, level.down.weight, level.down.bias, stride=2, padding=2), film)
    two = transformer(level.attend_before, one)
    h = residual(level.inside.behind, residual(level.inside.before, two, film), film)
    for block, handed in zip(level.behind, (two, one), strict=True):
        h = residual(block, torch.cat([h, handed / math.sqrt(2)], 1), film)
    h = F.conv_transpose1d(transformer(level.attend_behind, h), level.up.weight, level.up.bias, stride=2, padding=1)
    assert torch.allclose(network(x, t, tokens), residual(network.last, first + h, film), atol=1e-5)
