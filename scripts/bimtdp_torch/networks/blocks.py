# SPDX-License-Identifier: Apache-2.0
"""Residual blocks and convolution units, each in a float form (MTI-Net's, torchvision's) and a binary form with the
same keys.

A binary convolution is: binarizer -> sign weights -> batch normalisation -> + shortcut -> activation. Every
convolution that keeps the width has its own real-valued shortcut (Bi-Real net); there is no ReLU before a sign.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Optional, Tuple

from torch import Tensor, nn

from .style import BinaryStyle


def conv1x1_bn(cin: int, cout: int, momentum: float = 0.1, stride: int = 1) -> nn.Sequential:
    """Float 1x1 convolution and batch normalisation: block shortcuts and HRNet's upward fusion."""
    return nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout, momentum=momentum))


def fusion1x1(cin: int, cout: int, style: Optional[BinaryStyle], momentum: float = 0.1) -> nn.Sequential:
    """1x1 convolution and batch normalisation in float unless the style binarizes 1x1 convolutions, too."""
    if style is not None and style.binarize_1x1:
        return style.conv1x1_bn(cin, cout)
    return conv1x1_bn(cin, cout, momentum)


def binary_block_shortcut(cin: int, cout: int, stride: int, style: BinaryStyle, on_bits: bool) -> Optional[nn.Module]:
    """Shortcut around a binary block: average pooling for a stride (Bi-Real net), then 1x1 + BN; None for identity.

    ``on_bits``: a binary 1x1 + BN of the block's own bits instead.
    """
    if on_bits:
        return nn.Sequential(style.conv(cin, cout, 1), nn.BatchNorm2d(cout))
    if cin == cout:
        return nn.AvgPool2d(stride, stride) if stride > 1 else None
    unit = fusion1x1(cin, cout, style)
    if stride == 1:
        return unit
    return nn.Sequential(OrderedDict([("pool", nn.AvgPool2d(stride, stride)), *unit.named_children()]))


def conv_unit(
    cin: int,
    cout: int,
    stride: int,
    style: Optional[BinaryStyle],
    activate: bool = True,
    momentum: float = 0.1,
    kernel: int = 3,
    dilation: int = 1,
    entry: Optional[str] = None,
) -> nn.Sequential:
    """Convolution (key 0), batch normalisation (key 1) and activation, without a shortcut; ``entry`` overrides the
    binarizer."""
    bn = nn.BatchNorm2d(cout, momentum=momentum)
    if style is None:
        conv = nn.Conv2d(cin, cout, kernel, stride, dilation * (kernel // 2), dilation, bias=False)
        return nn.Sequential(conv, bn, *([nn.ReLU()] if activate else []))
    layers = OrderedDict(
        [("binarize", style.binarize(cin, entry)), ("0", style.conv(cin, cout, kernel, stride, dilation)), ("1", bn)]
    )
    if activate:
        layers["activation"] = style.act(cout)
    return nn.Sequential(layers)


class BasicBlock(nn.Module):
    """Float residual block of two 3x3 convolutions with their dilations."""

    expansion = 1

    def __init__(self, cin: int, cout: int, momentum: float = 0.1, stride: int = 1, dilation: Tuple[int, int] = (1, 1)):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, dilation[0], dilation[0], bias=False)
        self.bn1 = nn.BatchNorm2d(cout, momentum=momentum)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, dilation[1], dilation[1], bias=False)
        self.bn2 = nn.BatchNorm2d(cout, momentum=momentum)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
        self.downsample = conv1x1_bn(cin, cout, momentum, stride) if cin != cout or stride > 1 else None

    @property
    def final_activation(self) -> nn.Module:
        return self.relu2

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(y + (x if self.downsample is None else self.downsample(x)))


class BinaryBasicBlock(nn.Module):
    """Binary residual block: two 3x3 convolutions, each with its own shortcut (the first a float 1x1 if needed).

    ``binary_shortcut``: a 1x1 shortcut reads the block's bits and is binary, too.
    """

    expansion = 1

    def __init__(
        self,
        cin: int,
        cout: int,
        style: BinaryStyle,
        entry: Optional[str] = None,
        binary_shortcut: bool = False,
        stride: int = 1,
        dilation: Tuple[int, int] = (1, 1),
    ):
        super().__init__()
        self.binary_shortcut = (binary_shortcut or style.binarize_1x1) and cin != cout and stride == 1
        self.binarize1 = style.binarize(cin, entry)
        self.conv1 = style.conv(cin, cout, 3, stride, dilation[0])
        self.bn1 = nn.BatchNorm2d(cout)
        self.activation1 = style.act(cout)
        self.binarize2 = style.binarize(cout)
        self.conv2 = style.conv(cout, cout, 3, 1, dilation[1])
        self.bn2 = nn.BatchNorm2d(cout)
        self.activation2 = style.act(cout)
        self.downsample = binary_block_shortcut(cin, cout, stride, style, self.binary_shortcut)

    @property
    def final_activation(self) -> nn.Module:
        return self.activation2

    def forward(self, x: Tensor) -> Tensor:
        bits = self.binarize1(x)
        if self.downsample is None:
            shortcut = x
        else:
            shortcut = self.downsample(bits if self.binary_shortcut else x)
        x = self.activation1(self.bn1(self.conv1(bits)) + shortcut)
        return self.activation2(self.bn2(self.conv2(self.binarize2(x))) + x)


def basic_block(
    cin: int,
    cout: int,
    style: Optional[BinaryStyle],
    entry: Optional[str] = None,
    momentum: float = 0.1,
    binary_shortcut: bool = False,
) -> nn.Module:
    """A residual block in the given style; ``entry`` overrides the first binarizer (features that end in ReLU)."""
    if style is None:
        return BasicBlock(cin, cout, momentum)
    return BinaryBasicBlock(cin, cout, style, entry, binary_shortcut)


class Bottleneck(nn.Module):
    """Float 1x1, 3x3, 1x1 residual block, expansion 4; a stride is in the 3x3 convolution (torchvision)."""

    expansion = 4

    def __init__(self, cin: int, planes: int, momentum: float = 0.1, stride: int = 1, dilation: int = 1):
        super().__init__()
        cout = 4 * planes
        self.conv1 = nn.Conv2d(cin, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes, momentum=momentum)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(planes, momentum=momentum)
        self.conv3 = nn.Conv2d(planes, cout, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(cout, momentum=momentum)
        self.relu1, self.relu2, self.relu3 = nn.ReLU(), nn.ReLU(), nn.ReLU()
        self.downsample = conv1x1_bn(cin, cout, momentum, stride) if cin != cout or stride > 1 else None

    @property
    def final_activation(self) -> nn.Module:
        return self.relu3

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.relu2(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu3(y + (x if self.downsample is None else self.downsample(x)))


class BinaryBottleneck(nn.Module):
    """Binary 1x1, 3x3, 1x1 block; a shortcut around every convolution that keeps the width, and around the block."""

    expansion = 4

    def __init__(self, cin: int, planes: int, style: BinaryStyle, stride: int = 1, dilation: int = 1):
        super().__init__()
        cout = 4 * planes
        self.same1 = cin == planes
        self.binary_shortcut = style.binarize_1x1 and cin != cout and stride == 1
        self.binarize1, self.conv1 = style.binarize(cin), style.conv(cin, planes, 1)
        self.bn1, self.activation1 = nn.BatchNorm2d(planes), style.act(planes)
        self.binarize2, self.conv2 = style.binarize(planes), style.conv(planes, planes, 3, stride, dilation)
        self.bn2, self.activation2 = nn.BatchNorm2d(planes), style.act(planes)
        self.shortcut2 = nn.AvgPool2d(stride, stride) if stride > 1 else nn.Identity()
        self.binarize3, self.conv3 = style.binarize(planes), style.conv(planes, cout, 1)
        self.bn3, self.activation3 = nn.BatchNorm2d(cout), style.act(cout)
        self.downsample = binary_block_shortcut(cin, cout, stride, style, self.binary_shortcut)

    @property
    def final_activation(self) -> nn.Module:
        return self.activation3

    def forward(self, x: Tensor) -> Tensor:
        bits = self.binarize1(x)
        y = self.bn1(self.conv1(bits))
        y = self.activation1(y + x if self.same1 else y)
        y = self.activation2(self.bn2(self.conv2(self.binarize2(y))) + self.shortcut2(y))
        y = self.bn3(self.conv3(self.binarize3(y)))
        shortcut = x if self.downsample is None else self.downsample(bits if self.binary_shortcut else x)
        return self.activation3(y + shortcut)
