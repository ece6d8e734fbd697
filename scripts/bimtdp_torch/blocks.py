# SPDX-License-Identifier: Apache-2.0
"""Residual blocks and convolution units, each in a float form (MTI-Net's) and a binary form with the same keys.

A binary convolution is: binarizer -> sign weights -> batch normalisation -> + shortcut -> activation. Every
convolution that keeps the shape has its own real-valued shortcut (Bi-Real net); there is no ReLU before a sign.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Optional

from torch import Tensor, nn

from .layers import BinaryConv2d, make_activation, make_binarizer


@dataclass(frozen=True)
class BinaryStyle:
    """How binary units are built; ``None`` in place of a style means full precision."""

    binarizer: str = "rsign"
    activation: str = "prelu"
    estimator: str = "bireal"
    weight_estimator: str = "clip"
    standardise: bool = False

    def conv(self, cin: int, cout: int, kernel: int, stride: int = 1) -> BinaryConv2d:
        return BinaryConv2d(cin, cout, kernel, stride, kernel // 2, scaled=False, standardise=self.standardise,
                            estimator=self.weight_estimator)

    def binarize(self, channels: int, kind: Optional[str] = None) -> nn.Module:
        return make_binarizer(kind or self.binarizer, channels, self.estimator)

    def act(self, channels: int) -> nn.Module:
        return make_activation(self.activation, channels)


PRESETS = {
    "bireal": BinaryStyle("sign", "none"),
    "irnet": BinaryStyle("sign", "hardtanh", "ede", "ede", True),
    "reactnet": BinaryStyle("rsign", "rprelu"),
    "bimtdp": BinaryStyle("rsign", "prelu"),  # ReActNet without the shifts that its neighbours absorb
}


def conv1x1_bn(cin: int, cout: int, momentum: float = 0.1) -> nn.Sequential:
    """Float 1x1 convolution and batch normalisation: block shortcuts and HRNet's upward fusion."""
    return nn.Sequential(nn.Conv2d(cin, cout, 1, bias=False), nn.BatchNorm2d(cout, momentum=momentum))


def conv_unit(cin: int, cout: int, stride: int, style: Optional[BinaryStyle], activate: bool = True,
              momentum: float = 0.1) -> nn.Sequential:
    """3x3 convolution (key 0), batch normalisation (key 1) and activation, without a shortcut."""
    bn = nn.BatchNorm2d(cout, momentum=momentum)
    if style is None:
        layers = [nn.Conv2d(cin, cout, 3, stride, 1, bias=False), bn] + ([nn.ReLU()] if activate else [])
        return nn.Sequential(*layers)
    layers = OrderedDict([("binarize", style.binarize(cin)), ("0", style.conv(cin, cout, 3, stride)), ("1", bn)])
    if activate:
        layers["activation"] = style.act(cout)
    return nn.Sequential(layers)


class BasicBlock(nn.Module):
    """Float residual block of two 3x3 convolutions."""

    def __init__(self, cin: int, cout: int, momentum: float = 0.1):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout, momentum=momentum)
        self.conv2 = nn.Conv2d(cout, cout, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout, momentum=momentum)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
        self.downsample = conv1x1_bn(cin, cout, momentum) if cin != cout else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(y + (x if self.downsample is None else self.downsample(x)))


class BinaryBasicBlock(nn.Module):
    """Binary residual block: two 3x3 convolutions, each with its own shortcut (the first a float 1x1 if needed)."""

    def __init__(self, cin: int, cout: int, style: BinaryStyle, entry: Optional[str] = None,
                 binary_shortcut: bool = False):
        super().__init__()
        self.binary_shortcut = binary_shortcut and cin != cout
        self.binarize1 = style.binarize(cin, entry)
        self.conv1 = style.conv(cin, cout, 3)
        self.bn1 = nn.BatchNorm2d(cout)
        self.activation1 = style.act(cout)
        self.binarize2 = style.binarize(cout)
        self.conv2 = style.conv(cout, cout, 3)
        self.bn2 = nn.BatchNorm2d(cout)
        self.activation2 = style.act(cout)
        if self.binary_shortcut:
            self.downsample = nn.Sequential(style.conv(cin, cout, 1), nn.BatchNorm2d(cout))
        else:
            self.downsample = conv1x1_bn(cin, cout) if cin != cout else None

    def forward(self, x: Tensor) -> Tensor:
        bits = self.binarize1(x)
        if self.downsample is None:
            shortcut = x
        else:
            shortcut = self.downsample(bits if self.binary_shortcut else x)
        x = self.activation1(self.bn1(self.conv1(bits)) + shortcut)
        return self.activation2(self.bn2(self.conv2(self.binarize2(x))) + x)


def basic_block(cin: int, cout: int, style: Optional[BinaryStyle], entry: Optional[str] = None,
                momentum: float = 0.1, binary_shortcut: bool = False) -> nn.Module:
    """A residual block in the given style; ``entry`` overrides the first binarizer (features that end in ReLU)."""
    if style is None:
        return BasicBlock(cin, cout, momentum)
    return BinaryBasicBlock(cin, cout, style, entry, binary_shortcut)


class Bottleneck(nn.Module):
    """Float 1x1, 3x3, 1x1 residual block of HRNet's first layer, expansion 4."""

    def __init__(self, cin: int, planes: int, momentum: float = 0.1):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes, momentum=momentum)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes, momentum=momentum)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * planes, momentum=momentum)
        self.relu1, self.relu2, self.relu3 = nn.ReLU(), nn.ReLU(), nn.ReLU()
        self.downsample = conv1x1_bn(cin, 4 * planes, momentum) if cin != 4 * planes else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.relu2(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu3(y + (x if self.downsample is None else self.downsample(x)))


class BinaryBottleneck(nn.Module):
    """Binary 1x1, 3x3, 1x1 block; a shortcut around every convolution that keeps the shape, and around the block."""

    def __init__(self, cin: int, planes: int, style: BinaryStyle):
        super().__init__()
        cout = 4 * planes
        self.same1 = cin == planes
        self.binarize1, self.conv1 = style.binarize(cin), style.conv(cin, planes, 1)
        self.bn1, self.activation1 = nn.BatchNorm2d(planes), style.act(planes)
        self.binarize2, self.conv2 = style.binarize(planes), style.conv(planes, planes, 3)
        self.bn2, self.activation2 = nn.BatchNorm2d(planes), style.act(planes)
        self.binarize3, self.conv3 = style.binarize(planes), style.conv(planes, cout, 1)
        self.bn3, self.activation3 = nn.BatchNorm2d(cout), style.act(cout)
        self.downsample = conv1x1_bn(cin, cout) if cin != cout else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(self.binarize1(x)))
        y = self.activation1(y + x if self.same1 else y)
        y = self.activation2(self.bn2(self.conv2(self.binarize2(y))) + y)
        y = self.bn3(self.conv3(self.binarize3(y)))
        return self.activation3(y + (x if self.downsample is None else self.downsample(x)))
