"""ResNet against transformers' on the same random weights."""

import re

import pytest
import torch

from toccata.nn.resnet import ResNet, ResNetConfig

transformers = pytest.importorskip("transformers")


def ours_of(name: str) -> str:
    """A parameter's name here, of its name there."""
    name = name.replace("embedder.embedder.", "stem.").replace("encoder.stages.", "stages.")
    name = re.sub(r"layers\.(\d+)\.", r"\1.", name)
    for index, part in enumerate(("reduce", "mix", "expand")):
        name = name.replace(f".layer.{index}.", f".{part}.")
    return name.replace("convolution.", "0.").replace("normalization.", "1.")


@pytest.mark.parametrize("size", [(33, 50), (64, 96)])
def test_features_are_those_of_transformers(size):
    torch.manual_seed(0)
    theirs = transformers.ResNetModel(
        transformers.ResNetConfig(num_channels=1, embedding_size=8, hidden_sizes=[16, 32, 48], depths=[2, 1, 2],
                                  layer_type="bottleneck"),
    )  # fmt: skip
    theirs.train()(torch.randn(4, 1, 64, 64))  # so that the running means say something
    theirs.eval()
    ours = ResNet(ResNetConfig(channels=1, stem=8, widths=(4, 8, 12), depths=(2, 1, 2))).eval()
    ours.load_state_dict({ours_of(name): value for name, value in theirs.state_dict().items()})
    x_BCHW = torch.randn(2, 1, *size)
    with torch.no_grad():
        torch.testing.assert_close(ours(x_BCHW), theirs(x_BCHW).last_hidden_state, atol=1e-5, rtol=1e-5)
