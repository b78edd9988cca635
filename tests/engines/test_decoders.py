"""The engines against the eager network: every position, condition and length; and how far integers stray."""

from itertools import pairwise

import pytest
import torch

from tests.engines.networks import KINDS, network_of, told
from toccata.engines.onnx_decoder import OnnxDecoder, cache_scales
from toccata.engines.torch_decoder import TorchDecoder, lay_out, pack
from toccata.models.musicgen.decoders import example


def engine(network, kind, precision="fp32", cache8=False):
    rotary = network.config.positions == "rotary"
    if kind == "torch":
        return TorchDecoder(network.blocks, network.norm, network.heads, rotary)
    hidden = example(network) if cache8 else None
    return OnnxDecoder(network.blocks, network.norm, network.heads, rotary, precision, 1, hidden)


def both(network, decoder, steps_BKS, first):
    """Logits (S, B, K, V) of the network as a whole and of the decoder step by step, from step ``first`` on."""
    condition = told(network)
    B, _, S = steps_BKS.shape
    decoding = decoder.begin(B, condition.before + S, condition.layers, condition.mask_BL)
    cuts = [0, first, *range(first + 1, S + 1)]
    made = [
        decoding(network.inputs(steps_BKS[..., a:b], condition, decoding.length)).clone() for a, b in pairwise(cuts)
    ]
    whole = network(steps_BKS, condition)[:, :, first - 1 :].permute(2, 0, 1, 3)
    return whole, torch.stack(made).view(whole.shape)


@torch.no_grad()
@pytest.mark.parametrize("first", [1, 30])
@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("which", ["torch", "onnx"])
def test_an_engine_in_fp32_is_the_network_to_the_windows_end(which, kind, first):
    network = network_of(KINDS[kind])
    config = network.config
    steps_BKS = torch.randint(config.vocabulary + 1, (2, config.codebooks, config.window_frames))
    whole, made = both(network, engine(network, which), steps_BKS, first)
    assert torch.allclose(made, whole, atol=1e-4)
    assert whole.std() > 0.5


@torch.no_grad()
def test_weights_laid_out_for_few_rows_are_the_same_numbers():
    network = network_of(KINDS["mini"])
    steps_BKS = torch.randint(network.config.vocabulary + 1, (2, network.config.codebooks, 20))
    before = {name: weight.clone() for name, weight in network.named_parameters()}
    plain, _ = both(network, engine(network, "torch"), steps_BKS, 1)
    lay_out(network)
    assert not network.heads.weight.is_contiguous()
    assert all(torch.equal(weight, before[name]) for name, weight in network.named_parameters())
    whole, made = both(network, engine(network, "torch"), steps_BKS, 1)
    assert torch.allclose(whole, plain, atol=1e-4)
    assert torch.allclose(made, plain, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["mini", "melody"])
@pytest.mark.parametrize(
    ("precision", "agree", "divergence"), [("fp32", 0.99, 1e-3), ("int8", 0.95, 3e-3), ("int4", 0.75, 0.1)]
)
def test_integers_stray_no_further_than_stated(kind, precision, agree, divergence):
    """Keys and values as int8 too. KL in nats a code, at logits that vary by about one."""
    network = network_of(KINDS[kind])
    steps_BKS = torch.randint(65, (2, 4, 90))
    whole, made = both(network, engine(network, "onnx", precision, cache8=True), steps_BKS, 20)
    same = (whole.argmax(-1) == made.argmax(-1)).float().mean()
    p, q = whole.log_softmax(-1), made.log_softmax(-1)
    assert same > agree
    assert (p.exp() * (p - q)).sum(-1).mean() < divergence
    assert not torch.equal(whole, made)


@torch.no_grad()
def test_packed_layers_are_the_plain_ones():
    plain, packed = network_of(KINDS["mini"]), network_of(KINDS["mini"])
    pack(packed)
    steps_BKS = torch.randint(65, (2, 4, 40))
    whole, made = both(plain, engine(packed, "torch"), steps_BKS, 5)
    assert torch.allclose(made, whole, atol=1e-4)


@torch.no_grad()
def test_rows_do_not_touch_each_other():
    network = network_of(KINDS["mini"])
    decoder = engine(network, "onnx", "int8", cache8=True)
    condition = told(network)
    hidden_BSD = torch.randn(2, 1, 64)
    other_BSD = torch.cat([hidden_BSD[:1], 3 * hidden_BSD[1:]])
    first, second = (
        decoder.begin(2, 5, condition.layers, condition.mask_BL)(x).clone() for x in (hidden_BSD, other_BSD)
    )
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])


def test_a_piece_ends_where_its_room_does():
    network = network_of(KINDS["melody"])
    decoding = engine(network, "onnx").begin(1, 4)
    decoding(torch.randn(1, 3, 64))
    with pytest.raises(ValueError, match="room for 4 steps"):
        decoding(torch.randn(1, 2, 64))


def test_caches_reach_past_the_example_at_any_angle():
    network = network_of(KINDS["mini"])
    example_BSD = example(network)
    keys_HE, values_HE = cache_scales(network.blocks, example_BSD, rotary=True)[0]
    assert torch.equal(keys_HE[:, :16], keys_HE[:, 16:])
    caches = network.caches(len(example_BSD), example_BSD.shape[1])
    network.blocks[0](
        example_BSD, rotary_2SE=network.rotary(100, example_BSD.shape[1], torch.device("cpu")), cache=caches[0]
    )
    assert torch.all(caches[0].keys_BHSE.abs().amax((0, 2)) <= 127 / 1.9 * keys_HE)
    assert torch.allclose(caches[0].values_BHSE.abs().amax((0, 2)) * 2 / 127, values_HE, rtol=1e-3)
