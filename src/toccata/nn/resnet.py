"""ResNet with bottlenecks (arXiv 1512.03385, table 1; the stride lies in the 3x3 convolution, "v1.5").

Shapes: B batch, C channels, H height, W width.
"""

from dataclasses import dataclass

from torch import Tensor, nn

EXPANSION = 4


@dataclass(frozen=True)
class ResNetConfig:
    """``depths`` blocks of inner ``widths`` in each stage; every stage but the first halves height and width."""

    channels: int = 1
    stem: int = 64
    widths: tuple[int, ...] = (64, 128, 256, 512)
    depths: tuple[int, ...] = (3, 4, 6, 3)

    @property
    def width(self) -> int:
        """Channels of the output."""
        return EXPANSION * self.widths[-1]


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride), 1x1, each with batch norm, around a shortcut."""

    def __init__(self, inputs: int, inner: int, stride: int) -> None:
        super().__init__()
        outputs = EXPANSION * inner
        self.reduce = normed(inputs, inner, 1)
        self.mix = normed(inner, inner, 3, stride)
        self.expand = normed(inner, outputs, 1)
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else normed(inputs, outputs, 1, stride)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        inner = self.mix(self.reduce(x_BCHW).relu()).relu()
        return (self.expand(inner) + self.shortcut(x_BCHW)).relu()


class ResNet(nn.Module):
    """x_BCHW -> features (B, ``config.width``, H / 32, W / 32), rounded up at each halving."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = normed(config.channels, config.stem, 7, 2)
        self.pool = nn.MaxPool2d(3, 2, 1)
        stages, inputs = [], config.stem
        for index, (inner, depth) in enumerate(zip(config.widths, config.depths, strict=True)):
            strides = [2 if index else 1] + [1] * (depth - 1)
            blocks = []
            for stride in strides:
                blocks.append(Bottleneck(inputs, inner, stride))
                inputs = EXPANSION * inner
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.stages(self.pool(self.stem(x_BCHW).relu()))


def normed(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, then batch norm."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


def resnet50(channels: int = 1) -> ResNet:
    return ResNet(ResNetConfig(channels=channels))
