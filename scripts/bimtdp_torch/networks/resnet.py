# SPDX-License-Identifier: Apache-2.0
"""ResNet-18, 50 and 101, plain (strides 4 to 32) or dilated (output stride 8), float or binary; torchvision's keys.

The binary form keeps the 7x7 stem, and 1x1 shortcuts unless the style says otherwise, in float.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Tuple

from torch import Tensor, nn

from .blocks import BasicBlock, BinaryBasicBlock, BinaryBottleneck, Bottleneck, fusion1x1
from .style import BinaryStyle

# name -> (blocks of layers 1 to 4, whether they are bottlenecks)
SIZES: Dict[str, Tuple[Tuple[int, int, int, int], bool]] = {
    "resnet18": ((2, 2, 2, 2), False),
    "resnet50": ((3, 4, 6, 3), True),
    "resnet101": ((3, 4, 23, 3), True),
}


def _block(
    cin: int, planes: int, stride: int, dilation: Tuple[int, int], bottleneck: bool, style: Optional[BinaryStyle]
) -> nn.Module:
    """One residual block. ``dilation``: of the convolution that may have a stride, and of the others."""
    if bottleneck:
        if style is None:
            return Bottleneck(cin, planes, stride=stride, dilation=dilation[0])
        return BinaryBottleneck(cin, planes, style, stride, dilation[0])
    if style is None:
        return BasicBlock(cin, planes, stride=stride, dilation=dilation)
    return BinaryBasicBlock(cin, planes, style, stride=stride, dilation=dilation)


def projection(cin: int, cout: int, style: Optional[BinaryStyle]) -> nn.Sequential:
    """1x1, BN and activation that change the width of a map for the decoder."""
    return nn.Sequential(*fusion1x1(cin, cout, style), nn.ReLU() if style is None else style.act(cout))


class ResNet(nn.Module):
    """(B, 3, H, W) photo -> list of the maps of layers 1 to 4.

    ``dilated``: layers 3 and 4 keep stride 8; their 3x3 convolutions have dilation 2 and 4, those that had a stride
    half of that. ``widths``: project the maps by 1x1 + BN + activation to these widths, for MTI-Net's decoder.
    """

    def __init__(
        self,
        size: str = "resnet18",
        style: Optional[BinaryStyle] = None,
        dilated: bool = False,
        widths: Optional[Sequence[int]] = None,
    ):
        super().__init__()
        blocks, bottleneck = SIZES[size]
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.activation = nn.ReLU() if style is None else style.act(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        cin = 64
        native = []
        for index, (count, stride, dilation) in enumerate(zip(blocks, (1, 2, 2, 2), (1, 1, 2, 4))):
            if not dilated or dilation == 1:
                first, rest = (1, 1), (1, 1)
            else:
                stride, first, rest = 1, (dilation // 2, dilation), (dilation, dilation)
            planes = 64 << index
            layers = []
            for number in range(count):
                layers.append(_block(cin, planes, stride if number == 0 else 1, first if number == 0 else rest, bottleneck, style))
                cin = planes * (4 if bottleneck else 1)
            self.add_module(f"layer{index + 1}", nn.Sequential(*layers))
            native.append(cin)
        self.strides = (4, 8, 8, 8) if dilated else (4, 8, 16, 32)
        self.channels = tuple(native if widths is None else widths)
        self.projections = (
            None if widths is None else nn.ModuleList(projection(source, target, style) for source, target in zip(native, widths))
        )

    def final_activations(self) -> List[nn.Module]:
        """The layers that make the maps of ``forward``."""
        if self.projections is not None:
            return [project[-1] for project in self.projections]
        return [getattr(self, f"layer{n}")[-1].final_activation for n in range(1, 5)]

    def forward(self, x: Tensor) -> List[Tensor]:
        x = self.maxpool(self.activation(self.bn1(self.conv1(x))))
        maps = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            maps.append(x)
        if self.projections is None:
            return maps
        return [project(feature) for project, feature in zip(self.projections, maps)]
