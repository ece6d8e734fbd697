# SPDX-License-Identifier: Apache-2.0
"""1x1 convolutions of small batches on one thread of a CPU.

PyTorch hands float32 1x1 convolutions to oneDNN only for batches of 16 or more, or where it has several threads; else it
copies and calls BLAS, which takes twice as long. A 1x1 convolution knows no neighbours, so the rows of the images are as
good a batch as the images: the same sums, and in channels-last order no byte is moved.
"""

from __future__ import annotations

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_ONEDNN_BATCH = 16  # from here on PyTorch itself chooses oneDNN
_FEW_OUTPUTS = 8  # below, BLAS is the faster one


def _rows_pay(x: Tensor, weight: Tensor) -> bool:
    count, _, height, _ = x.shape
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and count < _ONEDNN_BATCH <= count * height
        and weight.shape[0] >= _FEW_OUTPUTS
        and torch.get_num_threads() == 1
        and x.is_contiguous(memory_format=torch.channels_last)
    )


def pointwise_conv2d(x: Tensor, weight: Tensor, bias: Optional[Tensor] = None) -> Tensor:
    """F.conv2d(x, weight, bias) for a weight of (out, in, 1, 1)."""
    if not _rows_pay(x, weight):
        return F.conv2d(x, weight, bias)
    count, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(count * height, 1, width, channels).permute(0, 3, 1, 2)
    y = F.conv2d(rows, weight, bias)
    return y.permute(0, 2, 3, 1).reshape(count, height, width, -1).permute(0, 3, 1, 2)


class _PointwiseConv2d(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return pointwise_conv2d(x, self.weight, self.bias)


def is_pointwise(layer: nn.Module) -> bool:
    """Whether a convolution is 1x1 with stride 1 and neither padding nor groups."""
    return (tuple(layer.kernel_size), tuple(layer.stride), tuple(layer.padding), layer.groups) == ((1, 1), (1, 1), (0, 0), 1)


def speed_up_pointwise(network: nn.Module) -> None:
    """Makes every float 1x1 convolution of a network in training call ``pointwise_conv2d``; keys stay the same."""
    for module in network.modules():
        if type(module) is nn.Conv2d and is_pointwise(module):
            module.__class__ = _PointwiseConv2d
