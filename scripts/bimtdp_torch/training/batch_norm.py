# SPDX-License-Identifier: Apache-2.0
"""Frozen modules and exact statistics of batch normalisation."""

from __future__ import annotations

from typing import Iterable, List, Sequence

import torch
from torch import Tensor, nn


def freeze(network: nn.Module, names: Sequence[str]) -> List[nn.Module]:
    """Excludes the modules of these names from training; returns their batch normalisations."""
    modules = dict(network.named_modules())
    missing = [name for name in names if name not in modules]
    if missing:
        raise ValueError(f"train.freeze: the network has no {', '.join(missing)}")
    frozen = [modules[name] for name in names]
    for module in frozen:
        module.requires_grad_(False)
    return [m for module in frozen for m in module.modules() if isinstance(m, nn.BatchNorm2d)]


@torch.no_grad()
def recalibrate(network: nn.Module, batches: Iterable[Tensor], frozen: Sequence[nn.Module] = ()) -> None:
    """Replaces the running statistics of batch normalisation by exact averages over ``batches`` of inputs."""
    layers = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d) and m not in set(frozen)]
    momenta = [m.momentum for m in layers]
    forward = getattr(network, "maps", network)  # without the last resize, which nothing reads
    network.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # cumulative average
        layer.train()
    for image in batches:
        forward(image)
    for layer, momentum in zip(layers, momenta):
        layer.momentum = momentum
    network.eval()
