# SPDX-License-Identifier: Apache-2.0
"""The heads, float or binary: MTI-Net's (with its keys), and DeepLabV3's with atrous spatial pyramid pooling (torchvision's).

DeepLab's binary form keeps the pooled branch (one pixel) and the last 1x1 convolution in float.
"""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from .blocks import conv_unit
from .layers import PReLU, Resize
from .style import BinaryStyle

RATES = (12, 24, 36)
_WIDTH = 256


class HighResolutionHead(nn.Module):
    """All scales to the finest, concatenation, 1x1 + BN + activation, 1x1. ``last_layer`` has MTI-Net's keys."""

    def __init__(self, channels: Sequence[int], outputs: int, style: Optional[BinaryStyle], dropout: float = 0.0):
        super().__init__()
        width = sum(channels)
        self.binary = style is not None
        self.resize = Resize("bilinear")
        first = style.conv(width, width, 1) if self.binary else nn.Conv2d(width, width, 1)
        self.last_layer = nn.ModuleDict({"0": first, "1": nn.BatchNorm2d(width), "3": nn.Conv2d(width, outputs, 1)})
        if self.binary:
            self.binarize = style.binarize(width)
        self.activation = PReLU(width) if self.binary else nn.ReLU()
        self.dropout = nn.Dropout2d(dropout)

    def with_hidden(self, maps: Sequence[Tensor]) -> Tuple[Tensor, Tensor]:
        """(B, outputs, H_0, W_0) and the hidden (B, sum C, H_0, W_0) that the last layer reads."""
        x = torch.cat([maps[0]] + [self.resize(m, maps[0]) for m in maps[1:]], 1)
        if self.binary:
            hidden = self.last_layer["1"](self.last_layer["0"](self.binarize(x))) + x
        else:
            hidden = self.last_layer["1"](self.last_layer["0"](x))
        hidden = self.activation(hidden)
        return self.last_layer["3"](self.dropout(hidden)), hidden

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        return self.with_hidden(maps)[0]


class PooledBranch(nn.Sequential):
    """Global average, 1x1 (key 1), BN (key 2), ReLU, and the one pixel spread over the map again."""

    def __init__(self, cin: int, width: int):
        super().__init__(nn.AdaptiveAvgPool2d(1), nn.Conv2d(cin, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.resize = Resize("bilinear")

    def forward(self, x: Tensor) -> Tensor:
        pooled = x
        for index in range(4):
            pooled = self[index](pooled)
        return self.resize(pooled, x)


class ASPP(nn.Module):
    """A 1x1 branch, one dilated 3x3 branch a rate, and a pooled branch, joined and projected to 256 channels."""

    def __init__(self, cin: int, style: Optional[BinaryStyle], rates: Sequence[int] = RATES, dropout: float = 0.5):
        super().__init__()
        self.convs = nn.ModuleList(
            [conv_unit(cin, _WIDTH, 1, style, kernel=1)]
            + [conv_unit(cin, _WIDTH, 1, style, dilation=rate) for rate in rates]
            + [PooledBranch(cin, _WIDTH)]
        )
        # The pooled branch ends in a ReLU, so the joined map has to be centred before a sign.
        self.project = conv_unit(_WIDTH * len(self.convs), _WIDTH, 1, style, kernel=1, entry="bn_sign")
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.project(torch.cat([branch(x) for branch in self.convs], 1)))


class DeepLabHead(nn.Module):
    """ASPP (key 0), 3x3 (key 1), BN (key 2), activation, 1x1 (key 4) on the coarsest map of a backbone."""

    def __init__(self, channels: Sequence[int], outputs: int, style: Optional[BinaryStyle], dropout: float = 0.5):
        super().__init__()
        self.binary = style is not None
        self.add_module("0", ASPP(channels[-1], style, dropout=dropout))
        if self.binary:
            self.binarize = style.binarize(_WIDTH)
        self.add_module("1", style.conv(_WIDTH, _WIDTH, 3) if self.binary else nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1, bias=False))
        self.add_module("2", nn.BatchNorm2d(_WIDTH))
        self.activation = style.act(_WIDTH) if self.binary else nn.ReLU()
        self.add_module("4", nn.Conv2d(_WIDTH, outputs, 1))

    def with_hidden(self, maps: Sequence[Tensor]) -> Tuple[Tensor, Tensor]:
        """(B, outputs, H_s, W_s) and the hidden (B, 256, H_s, W_s) that the last layer reads."""
        x = getattr(self, "0")(maps[-1])
        if self.binary:
            hidden = getattr(self, "2")(getattr(self, "1")(self.binarize(x))) + x
        else:
            hidden = getattr(self, "2")(getattr(self, "1")(x))
        hidden = self.activation(hidden)
        return getattr(self, "4")(hidden), hidden

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        return self.with_hidden(maps)[0]


# kind -> head: all maps joined at the finest, or ASPP on the last map
HEADS = {"hrnet": HighResolutionHead, "deeplab": DeepLabHead}
