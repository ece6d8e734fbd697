# SPDX-License-Identifier: Apache-2.0
"""The layers that the analyses look at, and their real-valued maps.

Names are ``group/layer``, in the order of the network (behind the backbone that is from the coarsest scale, 3, to 0):

    backbone/...     ``stem``; every HR module, a branch each (``stage3.1/s8``: stride 8); every block of an
                     EfficientNet or ResNet (``block5``, ``layer2.1``); then the maps that the decoder reads (``out0``),
                     where they are none of these: projections, the bottleneck's means
    features/...     refined features F of a task at a scale, ``semseg.0`` (scale 0 is the finest)
    propagation/...  outputs of the feature propagation, ``semseg.1``
    distilled/...    sums S after the distillation, before their sign: F + A . M, eq. (3) of Bi-MTDP
    hidden/...       a head's hidden activation
    maps/...         a task's map before it is resized to the photo

All are the real-valued tensors after the residual add, also where a sign follows; which of the two the paper's figures
show is not stated. Networks without a part have no layers of its group.
"""

from __future__ import annotations

import re
import weakref
from typing import Any, Callable, Dict, Iterator, List, Mapping, Sequence, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.samples import to_input

GROUPS = ("backbone", "features", "propagation", "distilled", "hidden", "maps")

# Modules of the backbones whose outputs are recorded: (pattern of the module's name, name of the layer).
_BACKBONE_UNITS: Tuple[Tuple[str, str], ...] = (
    (r"backbone\.activation2", "stem"),  # HRNet
    (r"backbone\.maxpool", "stem"),  # ResNet
    (r"backbone\.relu", "stem"),  # EfficientNet-Lite
    (r"backbone\.layer(\d+)\.(\d+)", r"layer\1.\2"),  # HRNet's bottlenecks, ResNet's blocks
    (r"backbone\.stage(\d+)\.(\d+)", r"stage\1.\2"),  # HR modules: a list of branches
    (r"backbone\._blocks\.(\d+)", r"block\1"),  # inverted residuals
)
_PROPAGATION = re.compile(r"fpm_scale_(\d)")


def recorded_modules(network: nn.Module) -> Dict[str, nn.Module]:
    """Layer name -> module for the backbone's units and the feature propagations."""
    found = {}
    for name, module in network.named_modules():
        for pattern, layer in _BACKBONE_UNITS:
            match = re.fullmatch(pattern, name)
            if match:
                found["backbone/" + match.expand(layer)] = module
        match = _PROPAGATION.fullmatch(name)
        if match:
            found[f"propagation/{match[1]}"] = module
    return found


def _unpack(layer: str, value: Any, height: int) -> Iterator[Tuple[str, Tensor]]:
    """Names and tensors of what a module returned: a tensor, branches, or tasks."""
    if isinstance(value, Tensor):
        yield layer, value
    elif isinstance(value, Mapping):
        group, scale = layer.split("/")
        for task, tensor in value.items():
            yield f"{group}/{task}.{scale}", tensor
    elif isinstance(value, (list, tuple)):
        for tensor in value:
            yield f"{layer}/s{round(height / tensor.shape[-2])}", tensor


def _from_outputs(outputs: Mapping[str, Any]) -> Iterator[Tuple[str, Tensor]]:
    """Names and tensors of ``training_outputs``."""
    for scale, tensor in enumerate(outputs.get("backbone") or []):
        yield f"backbone/out{scale}", tensor
    for group in ("features", "distilled"):
        for scale, maps in reversed(list(enumerate(outputs.get(group) or []))):
            for task, tensor in maps.items():
                yield f"{group}/{task}.{scale}", tensor
    for group in ("hidden", "maps"):
        for task, tensor in (outputs.get(group) or {}).items():
            yield f"{group}/{task}", tensor


def run_network(network: nn.Module, x: Tensor, keep: Callable[[str, Tensor], None]) -> Dict[str, Any]:
    """Runs ``x`` (B, 3, H, W) in the network's mode and gives every layer's map to ``keep(name, map)``.

    Returns ``network.training_outputs(x)``. Maps of hooked modules are handed over as they appear, so a ``keep`` that
    reduces them bounds the memory.
    """
    handles, seen = [], []
    for layer, module in recorded_modules(network).items():

        def hook(_module, _inputs, value, layer=layer):
            for name, tensor in _unpack(layer, value, x.shape[-2]):
                seen.append(weakref.ref(tensor))
                keep(name, tensor)

        handles.append(module.register_forward_hook(hook))
    try:
        outputs = network.training_outputs(x)
    finally:
        for handle in handles:
            handle.remove()
    for name, tensor in _from_outputs(outputs):
        # The backbone's last layers may be what the decoder reads.
        if not (name.startswith("backbone/") and any(reference() is tensor for reference in seen)):
            keep(name, tensor)
    return outputs


def network_order(names: Sequence[str]) -> List[str]:
    """Sorted by group; inside a group in the order of appearance."""
    return sorted(names, key=lambda name: GROUPS.index(name.split("/")[0]))


def pooled(tensor: Tensor, grid: int) -> Tensor:
    """Average-pooled to at most ``grid`` x ``grid`` places; smaller maps stay as they are."""
    size = tuple(min(grid, side) for side in tensor.shape[-2:])
    return F.adaptive_avg_pool2d(tensor.float(), size)


def pooled_activations(
    network: nn.Module,
    photos: np.ndarray,
    grid: int = 8,
    batch: int = 4,
    groups: Sequence[str] = GROUPS,
    progress: Callable[[int], Any] = lambda count: None,
) -> Dict[str, np.ndarray]:
    """Layer -> (N, C, <= grid, <= grid) float32 features of (N, H, W, 3) uint8 photos, ``batch`` photos at a time.

    ``progress`` is told how many photos are done since it was called last.
    """
    pieces: Dict[str, List[Tensor]] = {}

    def keep(name: str, tensor: Tensor) -> None:
        if name.split("/")[0] in groups:
            pieces.setdefault(name, []).append(pooled(tensor.detach(), grid))

    with torch.no_grad():
        for start in range(0, len(photos), batch):
            run_network(network, to_input(photos[start : start + batch]), keep)
            progress(len(photos[start : start + batch]))
    return {name: torch.cat(pieces[name]).numpy() for name in network_order(list(pieces))}
