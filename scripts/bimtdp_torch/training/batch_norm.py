# SPDX-License-Identifier: Apache-2.0
"""Frozen modules, and statistics of batch normalisation: exact ones, and those of a network that came without."""

from __future__ import annotations

from typing import Dict, Iterable, List, Sequence, Tuple

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


def reset_spoilt_statistics(network: nn.Module) -> None:
    """Starts running statistics anew where a NaN or an infinity has got into them, for it would stay there."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d) and not torch.isfinite(layer.running_mean + layer.running_var).all():
            layer.reset_running_stats()


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


class _InputMoments:
    """Adds up the values and squares of what a layer reads, a channel."""

    def __init__(self, layer: nn.Module):
        self.count, self.sums = 0, torch.zeros(2, layer.num_features, dtype=torch.float64)
        self.handle = layer.register_forward_pre_hook(self._add)

    def _add(self, layer: nn.Module, inputs: Tuple[Tensor, ...]) -> None:
        values = inputs[0].double()
        self.count += values.numel() // values.shape[1]
        self.sums += torch.stack((values.sum((0, 2, 3)), values.square().sum((0, 2, 3)))).cpu()

    def finish(self) -> Tuple[Tensor, Tensor]:
        """(mean, variance)."""
        self.handle.remove()
        mean, square = self.sums / self.count
        return mean, (square - mean.square()).clamp(min=0)


@torch.no_grad()
def measure_statistics(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Gives every batch normalisation the statistics of what it reads, and the weight and bias with which the network in
    evaluation mode computes the same as before (up to rounding).

    For a network whose statistics are those of nothing, as of a model file: in training it would compute something else.
    """
    moments: Dict[nn.Module, _InputMoments] = {m: _InputMoments(m) for m in network.modules() if isinstance(m, nn.BatchNorm2d)}
    network.eval()
    for image in batches:
        getattr(network, "maps", network)(image)
    for layer, own in moments.items():
        if own.count == 0:
            own.handle.remove()
            continue
        mean, variance = own.finish()
        factor = layer.weight.double().cpu() / (layer.running_var.double().cpu() + layer.eps).sqrt()
        addend = layer.bias.double().cpu() - layer.running_mean.double().cpu() * factor
        layer.weight.copy_(factor * (variance + layer.eps).sqrt())
        layer.bias.copy_(addend + factor * mean)
        layer.running_mean.copy_(mean)
        layer.running_var.copy_(variance)
