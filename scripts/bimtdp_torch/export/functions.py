# SPDX-License-Identifier: Apache-2.0
"""Handlers of functions and tensor methods that compute: arithmetic, activations, signs."""

from __future__ import annotations

import operator
from typing import Any, Optional

import numpy as np
import torch
import torch.nn.functional as F

from . import activations, float_layers
from .binary_layers import lower_sign
from .ir import AtLeastZero, Const, Map
from .lowering import Handlers, Lowering, channel_vector, constant_tensor

HANDLERS = Handlers()


# -- arithmetic ------------------------------------------------------------------------------------------------------


def lower_affine(lowering: Lowering, x: Any, scale: Any = 1.0, bias: Any = 0.0) -> Map:
    """scale*x + bias with constants; exact where one of the two does nothing."""
    x = lowering.map(x)
    channels = x.node.channels
    fields = {"scale": channel_vector(lowering, scale, channels), "bias": channel_vector(lowering, bias, channels)}
    return Map(lowering.emit("affine", [lowering.floats(x)], fields, pixel=x.node.pixel), x.rank)


def _negated(lowering: Lowering, constant: Any) -> Any:
    return Const(-constant.value) if isinstance(constant, Const) else -constant


@HANDLERS.function(torch.add, operator.add, operator.iadd, methods=("add",))
def add(lowering: Lowering, x: Any, y: Any, alpha: float = 1) -> Map:
    if alpha != 1:
        raise lowering.refuse("alpha is not supported")
    if not isinstance(x, Map):
        x, y = y, x
    if not isinstance(y, Map):
        return lower_affine(lowering, x, bias=y)
    a, b = lowering.floats(x), lowering.floats(y)
    if a.value.shape != b.value.shape or a.pixel != b.pixel:
        raise lowering.refuse(
            f"shapes {tuple(a.value.shape)} and {tuple(b.value.shape)} differ; only maps of one shape can be added"
        )
    return Map(lowering.emit("add", [a, b], pixel=a.pixel), x.rank)


@HANDLERS.function(torch.sub, operator.sub, operator.isub, methods=("sub",))
def subtract(lowering: Lowering, x: Any, y: Any) -> Map:
    if not isinstance(y, Map):
        return lower_affine(lowering, x, bias=_negated(lowering, y))
    if not isinstance(x, Map):
        return lower_affine(lowering, y, scale=-1.0, bias=x)
    y = lowering.floats(y)
    minus = -np.ones(y.channels, np.float32)
    negative = lowering.emit("affine", [y], {"scale": minus, "bias": np.zeros_like(minus)}, value=-y.value, pixel=y.pixel)
    a = lowering.floats(x)
    if a.value.shape != y.value.shape or a.pixel != y.pixel:
        raise lowering.refuse("only maps of one shape can be subtracted")
    return Map(lowering.emit("add", [a, negative], pixel=a.pixel), x.rank)


@HANDLERS.function(torch.neg, operator.neg, methods=("neg",))
def negate(lowering: Lowering, x: Any) -> Map:
    return lower_affine(lowering, x, scale=-1.0)


@HANDLERS.function(torch.mul, operator.mul, operator.imul, methods=("mul",))
def multiply(lowering: Lowering, x: Any, y: Any) -> Map:
    if not isinstance(x, Map):
        x, y = y, x
    if not isinstance(y, Map):
        return lower_affine(lowering, x, scale=y)
    a, b = lowering.floats(x), lowering.floats(y)
    if a.pixel and not b.pixel:
        a, b, x = b, a, y
    same = a.value.shape == b.value.shape and a.pixel == b.pixel
    if not same and not (b.pixel and a.channels == b.channels and x.rank == 4):
        raise lowering.refuse(
            f"shapes {tuple(a.value.shape)} and {tuple(b.value.shape)}: only maps of one shape, or a "
            "map and one factor a channel, can be multiplied"
        )
    return Map(lowering.emit("multiply", [a, b], pixel=a.pixel), x.rank)


@HANDLERS.function(torch.div, torch.true_divide, operator.truediv, methods=("div",))
def divide(lowering: Lowering, x: Any, y: Any) -> Map:
    if isinstance(y, Map) or not isinstance(x, Map):
        raise lowering.refuse("only division by a constant is supported")
    value = y.value if isinstance(y, Const) else y
    return lower_affine(lowering, x, scale=Const(torch.as_tensor(1.0 / value)))


# -- activations -----------------------------------------------------------------------------------------------------


@HANDLERS.function(F.hardtanh)
def hardtanh(lowering: Lowering, x: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Map:
    return activations.lower_clamp(lowering, x, min_val, max_val)


@HANDLERS.function(torch.clamp, torch.clip, methods=("clamp", "clip"))
def clamp(lowering: Lowering, x: Any, min: Any = None, max: Any = None) -> Map:
    return activations.lower_clamp(lowering, x, min, max)


@HANDLERS.function(F.prelu, torch.prelu)
def prelu(lowering: Lowering, x: Any, weight: Any) -> Map:
    return activations.lower_prelu(lowering, x, constant_tensor(lowering, weight, "weight"))


@HANDLERS.function(F.leaky_relu)
def leaky_relu(lowering: Lowering, x: Any, negative_slope: float = 0.01, inplace: bool = False) -> Map:
    return activations.lower_prelu(lowering, x, torch.tensor(negative_slope))


@HANDLERS.function(F.softmax, torch.softmax, methods=("softmax",))
def softmax(lowering: Lowering, x: Any, dim: Optional[int] = None) -> Map:
    return float_layers.lower_softmax(lowering, x, dim)


@HANDLERS.function(F.normalize)
def normalize(lowering: Lowering, x: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Map:
    x = lowering.map(x)
    if p != 2 or dim not in (1, 1 - x.rank) or eps != 1e-12:
        raise lowering.refuse("only the length over the channels (p=2, dim=1, eps=1e-12) is supported")
    return Map(lowering.emit("l2_normalize", [lowering.floats(x)], pixel=x.node.pixel), x.rank)


@HANDLERS.function(F.dropout, F.dropout2d)
def dropout(lowering: Lowering, x: Any, p: float = 0.5, training: Any = True, inplace: bool = False) -> Any:
    if training:
        raise lowering.refuse("drops values at inference, too (pass training=self.training)")
    return x


# -- signs -----------------------------------------------------------------------------------------------------------


@HANDLERS.function(torch.sign, torch.sgn, methods=("sign", "sgn"))
def sign(lowering: Lowering, x: Any) -> Map:
    raise lowering.refuse(
        "torch.sign gives 0 for 0, and a bit has two states only (use "
        "bimtdp_torch.networks.estimators.Sign, or torch.where(x >= 0, 1.0, -1.0))"
    )


@HANDLERS.function(torch.ge, operator.ge, methods=("ge",))
def at_least(lowering: Lowering, x: Any, y: Any) -> AtLeastZero:
    if isinstance(y, (Map, Const)) or y != 0:
        raise lowering.refuse("only the comparison x >= 0 is supported")
    return AtLeastZero(lowering.map(x))


@HANDLERS.function(torch.where)
def where(lowering: Lowering, condition: Any, x: Any, y: Any) -> Map:
    def number(value: Any) -> Optional[float]:
        value = value.value if isinstance(value, Const) else value
        if isinstance(value, torch.Tensor):
            return float(value) if value.numel() == 1 else None
        return value

    if not isinstance(condition, AtLeastZero) or number(x) != 1 or number(y) != -1:
        raise lowering.refuse("only torch.where(x >= 0, 1.0, -1.0) is supported")
    return lower_sign(lowering, condition.map)
