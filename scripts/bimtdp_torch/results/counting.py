# SPDX-License-Identifier: Apache-2.0
"""Parameters and multiply-accumulates of a network, counted while it runs.

Conventions of the literature: one MAC is one multiplication with its addition in a convolution or linear layer, taps
on padding included; batch normalisation, resizing, softmax and elementwise operations do not count; batch 1. A binary
convolution's MACs are bit operations (BOPs): an XNOR and a count. Operations of both kinds are added as
MACs + BOPs / 64 (Bi-Real Net, Bi-MTDP's background section: a 64-bit word holds 64 of them).
"""

from __future__ import annotations

import copy
from typing import Any, Callable, Dict, NamedTuple, Tuple

import torch
from torch import Tensor, nn

from ..networks.layers import BinaryConv2d


class Counts(NamedTuple):
    """``parameters`` includes the decoders of deep supervision; ``macs`` and ``bops`` are those of one inference."""

    parameters: int
    binary_parameters: int
    macs: int
    bops: int

    @property
    def operations(self) -> float:
        """MACs + BOPs / 64."""
        return self.macs + self.bops / 64


def count_parameters(network: nn.Module) -> Tuple[int, int]:
    """(all parameters, those of them that are used as signs only)."""
    binary = sum(m.weight.numel() for m in network.modules() if isinstance(m, BinaryConv2d))
    return sum(p.numel() for p in network.parameters()), binary


def _macs(layer: nn.Module, output: Tensor) -> int:
    """One output element of a convolution needs a filter's worth of MACs, of a linear layer a row's."""
    return output.numel() * layer.weight[0].numel()


def count_operations(
    network: nn.Module, size: Tuple[int, int], run: Callable[[nn.Module, Tensor], Any] = lambda network, x: network(x)
) -> Tuple[int, int]:
    """(MACs of float layers, BOPs of binary ones) of ``run(network, photo)`` at ``size``, (H, W)."""
    totals: Dict[bool, int] = {False: 0, True: 0}

    def add(layer: nn.Module, inputs: Tuple[Tensor, ...], output: Tensor) -> None:
        totals[isinstance(layer, BinaryConv2d)] += _macs(layer, output)

    shapes = copy.deepcopy(network).eval().to("meta")  # shapes without values: no photo is too large
    for module in shapes.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear, BinaryConv2d)):
            module.register_forward_hook(add)
    with torch.no_grad():
        run(shapes, torch.zeros(1, 3, *size, device="meta"))
    return totals[False], totals[True]


def count(network: nn.Module, size: Tuple[int, int] = (480, 640)) -> Counts:
    """Everything at once."""
    return Counts(*count_parameters(network), *count_operations(network, size))
