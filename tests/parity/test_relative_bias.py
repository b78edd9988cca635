"""The bias by distance of T5's decoder against transformers' on the same random weights."""

import pytest
import torch

from toccata.nn.attention import RelativeBias

transformers = pytest.importorskip("transformers")
peer = pytest.importorskip("transformers.models.t5.modeling_t5")


def test_the_bias_is_that_of_transformers_decoder():
    torch.manual_seed(0)
    config = transformers.T5Config(num_heads=3, d_model=12, d_kv=4, is_decoder=True)
    theirs = peer.T5Attention(config, has_relative_attention_bias=True)
    ours = RelativeBias(3)
    with torch.no_grad():
        ours.bias_KH.copy_(torch.randn(32, 3))
        theirs.relative_attention_bias.weight.copy_(ours.bias_KH)
        wanted = theirs.compute_bias(300, 300)[0]
        bias_HSL = ours(0, 300)
    seen_SL = torch.ones(300, 300).tril().bool()
    assert torch.equal(bias_HSL[:, seen_SL], wanted[:, seen_SL])
    assert bias_HSL[:, ~seen_SL].eq(-torch.inf).all()
    assert torch.equal(bias_HSL[:, 280:], ours(280, 300))
