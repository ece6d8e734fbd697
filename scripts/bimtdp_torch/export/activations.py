# SPDX-License-Identifier: Apache-2.0
"""Handlers of activation layers, and of the functions that are the same."""

from __future__ import annotations

from typing import Any, Callable, List, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..networks.layers import PReLU, RPReLU
from .ir import Map
from .lowering import Handlers, Lowering, finite_array, set_tensor

HANDLERS = Handlers()


def lower_activation(lowering: Lowering, x: Any, kind: str, **parameters: np.ndarray) -> Map:
    x = lowering.map(x)
    fields = {"activation": {"kind": kind, **parameters}}
    return Map(lowering.emit("activation", [lowering.floats(x)], fields, pixel=x.node.pixel), x.rank)


def lower_prelu(lowering: Lowering, x: Any, slope: Tensor) -> Map:
    channels = lowering.map(x).node.channels
    slope = np.broadcast_to(finite_array(lowering, slope, "slope").reshape(-1), (channels,))
    return lower_activation(lowering, x, "prelu", slope=np.ascontiguousarray(slope))


def lower_clamp(lowering: Lowering, x: Any, low: Any, high: Any) -> Map:
    kinds = {(-1, 1): "hardtanh", (0, 6): "relu6", (0, None): "relu"}
    if (low, high) not in kinds:
        raise lowering.refuse(f"clamping to [{low}, {high}] (only [-1, 1], [0, 6] and [0, inf) are supported)")
    return lower_activation(lowering, x, kinds[low, high])


def _same_everywhere(kind: str, layer: type, *functions: Callable, methods: Tuple[str, ...] = ()) -> None:
    """Handlers of an activation without parameters."""
    HANDLERS.module(layer)(lambda lowering, layer, x: lower_activation(lowering, x, kind))
    HANDLERS.function(*functions, methods=methods)(lambda lowering, x, inplace=False: lower_activation(lowering, x, kind))


_same_everywhere("relu", nn.ReLU, F.relu, F.relu_, torch.relu, methods=("relu",))
_same_everywhere("relu6", nn.ReLU6, F.relu6)
_same_everywhere("sigmoid", nn.Sigmoid, F.sigmoid, torch.sigmoid, methods=("sigmoid",))


@HANDLERS.module(nn.Hardtanh)
def hardtanh(lowering: Lowering, layer: nn.Hardtanh, x: Any) -> Map:
    return lower_clamp(lowering, x, layer.min_val, layer.max_val)


@HANDLERS.module(nn.LeakyReLU)
def leaky_relu(lowering: Lowering, layer: nn.LeakyReLU, x: Any) -> Map:
    return lower_prelu(lowering, x, torch.tensor(layer.negative_slope))


@HANDLERS.module(nn.PReLU, PReLU)
def prelu(lowering: Lowering, layer: nn.PReLU, x: Any) -> Map:
    return lower_prelu(lowering, x, layer.weight)


@HANDLERS.inverse(PReLU)
def set_prelu(layer: nn.PReLU, field: str, array: np.ndarray) -> List[str]:
    set_tensor(layer.weight, array)
    return ["weight"]


@HANDLERS.module(RPReLU)
def rprelu(lowering: Lowering, layer: RPReLU, x: Any) -> Map:
    channels = lowering.map(x).node.channels
    vectors = {"shift_in": layer.shift_in, "slope": layer.prelu.weight, "shift_out": layer.shift_out}
    return lower_activation(
        lowering,
        x,
        "rprelu",
        **{key: np.ascontiguousarray(np.broadcast_to(finite_array(lowering, v, key), (channels,))) for key, v in vectors.items()},
    )


@HANDLERS.inverse(RPReLU)
def set_rprelu(layer: RPReLU, field: str, array: np.ndarray) -> List[str]:
    name = {"activation.slope": "prelu.weight"}.get(field, field.split(".")[-1])
    set_tensor(layer.get_parameter(name), array)
    return [name]
