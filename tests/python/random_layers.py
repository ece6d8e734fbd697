# SPDX-License-Identifier: Apache-2.0
"""Small modules of random networks, beside those of torch and bimtdp_torch."""

from __future__ import annotations

from typing import Any, Callable, Dict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bimtdp_torch.networks.attention import BinaryAttention


class Call(nn.Module):
    """A function as a layer, which torch.fx goes into."""

    def __init__(self, function: Callable[..., Tensor]):
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


class Constant(nn.Module):
    """Arithmetic with one number, or one number a channel."""

    def __init__(self, channels: int, operation: str, each: bool):
        super().__init__()
        self.operation = operation
        self.each = nn.Parameter(torch.ones(1, channels, 1, 1)) if each else None

    def forward(self, x: Tensor) -> Tensor:
        c = 0.75 if self.each is None else self.each
        if self.operation == "c/x":
            return x / (1.5 if self.each is None else self.each)
        return {"x+c": x + c, "x-c": x - c, "c-x": c - x, "x*c": x * c, "-x": -x}[self.operation]


class Gate(nn.Module):
    """x times a factor a channel, from its mean."""

    def __init__(self, channels: int):
        super().__init__()
        self.linear = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.linear(x.mean((2, 3)))).unsqueeze(-1).unsqueeze(-1)


class PooledGate(nn.Module):
    """x times a factor a channel, from a 1x1 convolution of its pooled pixel."""

    def __init__(self, channels: int):
        super().__init__()
        self.pool, self.conv = nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.conv(self.pool(x))) * x


class ImagePooling(nn.Module):
    """DeepLab's: the pooled pixel, convolved and normalised, at every place."""

    def __init__(self, channels: int, out: int):
        super().__init__()
        self.branch = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, out, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(self.branch(x), size=x.shape[-2:], mode="bilinear", align_corners=False)


class Attention(nn.Module):
    """Several features in, the targets' joined out."""

    def __init__(self, channels: int, count: int, options: Dict[str, Any]):
        super().__init__()
        self.names = [f"task{i}" for i in range(count)]
        self.attention = BinaryAttention(self.names[: max(1, count - 1)], self.names, channels, **options)

    def forward(self, *features: Tensor) -> Tensor:
        maps = self.attention(dict(zip(self.names, features)))
        return torch.cat([maps[name] for name in self.attention.tasks], 1)
