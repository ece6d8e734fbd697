# SPDX-License-Identifier: Apache-2.0
"""Shared by the tests of networks: tiny backbones that go through the real configuration, and a moment of training."""

from __future__ import annotations

from typing import Any, Iterator

import torch
from torch import Tensor, nn

from bimtdp_torch.networks import hrnet, resnet
from bimtdp_torch.networks.blocks import basic_block
from bimtdp_torch.networks.build import build_network
from bimtdp_torch.networks.style import PRESETS

# One bottleneck, one module a stage, one block a branch; widths that no word is a multiple of.
hrnet.SIZES.setdefault("hrnet_tiny", hrnet.HRNetSize((16, 18, 20, 24), 1, (1, 1, 1), 1))
resnet.SIZES.setdefault("resnet_tiny", ((1, 1, 1, 1), False))
resnet.SIZES.setdefault("resnet50_tiny", ((1, 1, 1, 1), True))


def tiny(name: str, **options: Any) -> nn.Module:
    """A network on the tiny backbone for segmentation and depth, unless the options say otherwise."""
    return build_network({"name": name, "backbone": "hrnet_tiny", "dataset": "nyud2", **options})


def small_network() -> nn.Module:
    """A binary block of IR-Net's units and a float head."""
    network = nn.Sequential()
    network.add_module("backbone", basic_block(4, 8, PRESETS["irnet"]))
    network.add_module("head", nn.Conv2d(8, 1, 1))
    return network


def tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in nested dicts and lists."""
    if isinstance(value, Tensor):
        yield value
    else:
        for item in value.values() if isinstance(value, dict) else value:
            yield from tensors(item)


def training_loss(outputs: dict, seed: int = 0) -> Tensor:
    """A loss in which every element of every entry of ``training_outputs`` has its own random weight."""
    random = torch.Generator().manual_seed(seed)
    loss = outputs.get("vib", torch.zeros(()))
    for key in ("maps", "initial", "features", "distilled", "hidden", "backbone"):
        for tensor in tensors(outputs.get(key, [])):
            loss = loss + (tensor * torch.randn(tensor.shape, generator=random)).mean()
    return loss


def train_briefly(network: nn.Module, steps: int = 2, size: tuple = (32, 64)) -> nn.Module:
    """A few steps of Adam on noise in training mode; returns the network in evaluation mode."""
    torch.manual_seed(5)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    network.train()
    for step in range(steps):
        optimizer.zero_grad()
        training_loss(network.training_outputs(torch.randn(2, 3, *size)), step).backward()
        optimizer.step()
    return network.eval()
