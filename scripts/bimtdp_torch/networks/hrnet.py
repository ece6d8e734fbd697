# SPDX-License-Identifier: Apache-2.0
"""HRNet backbone, float or binary, with the key names of the public MTI-Net checkpoints.

The binary form keeps conv1, the 1x1 shortcut of layer1 and the 1x1 upward fusions in float; everything else is
binary (with ``binarize_1x1`` those 1x1, too). ReLUs are dropped or replaced by the style's activation, for a sign
behind a ReLU would be constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from torch import Tensor, nn

from .blocks import BinaryBottleneck, Bottleneck, basic_block, conv_unit, fusion1x1
from .layers import Resize
from .style import BinaryStyle


@dataclass(frozen=True)
class HRNetSize:
    """Widths of the four branches, bottlenecks of layer1, modules of stages 2 to 4, blocks per branch."""

    channels: Tuple[int, int, int, int]
    bottlenecks: int
    modules: Tuple[int, int, int]
    blocks: int


SIZES = {
    "hrnet_w18": HRNetSize((18, 36, 72, 144), 2, (1, 3, 2), 2),
    "hrnet_w32": HRNetSize((32, 64, 128, 256), 4, (1, 4, 3), 4),
    "hrnet_w48": HRNetSize((48, 96, 192, 384), 4, (1, 4, 3), 4),
}
_FLOAT_MOMENTUM = 0.01  # of HRNet's batch normalisations; the binary form is trained from scratch with 0.1


class HRModule(nn.Module):
    """Residual blocks on every branch, then y_i = activation(sum over j of f_ij(x_j)), summed in order of j."""

    def __init__(self, channels: Sequence[int], blocks: int, style: Optional[BinaryStyle]):
        super().__init__()
        self.count = len(channels)
        momentum = _FLOAT_MOMENTUM if style is None else 0.1
        self.branches = nn.ModuleList(
            nn.Sequential(*[basic_block(c, c, style, momentum=momentum) for _ in range(blocks)]) for c in channels
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(self._fuse(channels, i, j, style, momentum) for j in range(self.count)) for i in range(self.count)
        )
        self.resize = Resize("bilinear")
        self.activations = nn.ModuleList(nn.ReLU() if style is None else style.act(c) for c in channels)

    @staticmethod
    def _fuse(channels: Sequence[int], i: int, j: int, style: Optional[BinaryStyle], momentum: float) -> nn.Module:
        if i == j:
            return nn.Identity()
        if j > i:
            return fusion1x1(channels[j], channels[i], style, momentum)
        steps = i - j
        return nn.Sequential(
            *[
                conv_unit(
                    channels[j], channels[i] if k == steps - 1 else channels[j], 2, style, activate=k < steps - 1, momentum=momentum
                )
                for k in range(steps)
            ]
        )

    def forward(self, x: List[Tensor]) -> List[Tensor]:
        x = [branch(feature) for branch, feature in zip(self.branches, x)]
        fused = []
        for i in range(self.count):
            total = None
            for j in range(self.count):
                term = self.fuse_layers[i][j](x[j])
                if j > i:
                    term = self.resize(term, x[i])
                total = term if total is None else total + term
            fused.append(self.activations[i](total))
        return fused


class HRNet(nn.Module):
    """(B, 3, H, W) photo -> list of four maps of strides 4, 8, 16 and 32 (H, W multiples of 32).

    ``stem_width``: channels of the two stem convolutions (the public networks have 64).
    """

    def __init__(self, size: str, style: Optional[BinaryStyle], binary_conv2: bool, stem_width: int):
        super().__init__()
        spec = SIZES[size]
        self.channels, self.strides = spec.channels, (4, 8, 16, 32)
        channels = spec.channels
        momentum = _FLOAT_MOMENTUM if style is None else 0.1
        self.conv1 = nn.Conv2d(3, stem_width, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem_width, momentum=momentum)
        self.activation1 = nn.ReLU() if style is None else style.act(stem_width)
        self.binary_conv2 = binary_conv2
        if self.binary_conv2:
            self.binarize2, self.conv2 = style.binarize(stem_width), style.conv(stem_width, stem_width, 3, 2)
            self.shortcut2 = nn.AvgPool2d(2, 2)
        else:
            self.conv2 = nn.Conv2d(stem_width, stem_width, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(stem_width, momentum=momentum)
        self.activation2 = nn.ReLU() if style is None else style.act(stem_width)
        self.layer1 = nn.Sequential(
            *[
                Bottleneck(stem_width if n == 0 else 256, 64, momentum)
                if style is None
                else BinaryBottleneck(stem_width if n == 0 else 256, 64, style)
                for n in range(spec.bottlenecks)
            ]
        )

        def unit(cin: int, cout: int, stride: int) -> nn.Sequential:
            return conv_unit(cin, cout, stride, style, momentum=momentum)

        self.transition1 = nn.ModuleList([unit(256, channels[0], 1), nn.Sequential(unit(256, channels[1], 2))])
        # A transition makes its new branch from the last one; the others pass.
        self.transition2 = nn.ModuleList([nn.Identity(), nn.Identity(), nn.Sequential(unit(channels[1], channels[2], 2))])
        self.transition3 = nn.ModuleList(
            [nn.Identity(), nn.Identity(), nn.Identity(), nn.Sequential(unit(channels[2], channels[3], 2))]
        )

        def stage(branches: int, modules: int) -> nn.Sequential:
            return nn.Sequential(*[HRModule(channels[:branches], spec.blocks, style) for _ in range(modules)])

        self.stage2, self.stage3, self.stage4 = (stage(n + 2, spec.modules[n]) for n in range(3))

    def stem(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 256, H / 4, W / 4): two convolutions and layer1."""
        x = self.activation1(self.bn1(self.conv1(x)))
        if self.binary_conv2:
            x = self.bn2(self.conv2(self.binarize2(x))) + self.shortcut2(x)
        else:
            x = self.bn2(self.conv2(x))
        return self.layer1(self.activation2(x))

    def final_activations(self) -> List[nn.Module]:
        """The layers that make the maps of ``forward``."""
        return list(self.stage4[-1].activations)

    def forward(self, x: Tensor) -> List[Tensor]:
        x = self.stem(x)
        maps = self.stage2([self.transition1[0](x), self.transition1[1](x)])
        maps = self.stage3(maps + [self.transition2[2](maps[-1])])
        return self.stage4(maps + [self.transition3[3](maps[-1])])
