# SPDX-License-Identifier: Apache-2.0
"""Handlers of the binary layers: signs, binary convolutions and the binarized attention."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import torch
from torch import Tensor, nn

from ..networks.attention import BinaryAttention
from ..networks.estimators import RSign, Sign
from ..networks.layers import BinaryConv2d
from .float_layers import set_batch_norm, window_fields
from .ir import Map, Node, Parameter, as_parameters
from .lowering import Handlers, Lowering, finite_array, lower_slice, set_tensor
from .numerics import fold_batch_norm, pack_signs, to_numpy

HANDLERS = Handlers()
_SPREAD, _DRAWS = 2e-3, 64  # of the magnitudes of a filter whose mean a model file gives


def lower_sign(lowering: Lowering, x: Any, shift: Optional[np.ndarray] = None) -> Map:
    x = lowering.map(x)
    if x.node.bits:
        if shift is None:
            return x  # the sign of +-1
        raise lowering.refuse("binarizes what is binary already")
    presign = x.node.value if shift is None else x.node.value + torch.from_numpy(shift).view(1, -1, 1, 1)
    node = lowering.emit(
        "binarize", [x.node], {} if shift is None else {"shift": shift}, presign=presign, bits=True, pixel=x.node.pixel
    )
    return Map(node, x.rank)


@HANDLERS.module(Sign)
def sign(lowering: Lowering, layer: Sign, x: Any) -> Map:
    return lower_sign(lowering, x)


@HANDLERS.module(RSign)
def rsign(lowering: Lowering, layer: RSign, x: Any) -> Map:
    return lower_sign(lowering, x, finite_array(lowering, layer.bias, "bias"))


@HANDLERS.inverse(RSign)
def set_rsign(layer: RSign, field: str, array: np.ndarray) -> List[str]:
    set_tensor(layer.bias, array)
    return ["bias"]


def binary_fields(lowering: Lowering, layer: BinaryConv2d) -> Dict[str, np.ndarray]:
    """Packed signs and, where the layer has it, the scale per output channel."""
    if not layer.binarize:
        raise lowering.refuse("its weights are real (first step of two-step training): train the second step first")
    finite_array(lowering, layer.weight, "weight")
    signs = to_numpy(layer.binary_weight())
    fields = {"weight": pack_signs(signs)}
    scale = layer.weight_scale()
    if scale is not None:
        fields["alpha"] = finite_array(lowering, scale, "the scale of the weights")
    return fields


@HANDLERS.module(BinaryConv2d)
def binary_conv2d(lowering: Lowering, layer: BinaryConv2d, x: Any) -> Map:
    x, fields = window_fields(lowering, x, layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    if not x.node.bits:
        raise lowering.refuse("its input is not binary: put a Sign, RSign or BN + Sign directly in front of it")
    fields.update(groups=layer.groups, output="float", **binary_fields(lowering, layer))
    return Map(lowering.emit("binary_conv2d", [x.node], fields))


@HANDLERS.inverse(BinaryConv2d)
def set_binary_conv2d(layer: BinaryConv2d, field: str, array: np.ndarray) -> List[str]:
    """``weight`` sets the signs, ``alpha`` the magnitudes, whose mean a filter has to come out as alpha."""
    if field == "weight":
        bits = np.unpackbits(array, axis=-1, count=layer.weight.shape[1], bitorder="little").transpose(0, 3, 1, 2)
        sizes = layer.weight.abs()
        if layer.standardise:  # their sign is that of what is left after the mean: equal sizes keep it
            sizes = sizes.mean().expand_as(sizes)
        set_tensor(layer.weight, np.where(bits, 1.0, -1.0).astype(np.float32) * sizes.numpy())
        return ["weight"]
    if not layer.standardise:  # standardised filters have a scale of their own
        _set_scale(layer, torch.from_numpy(array))
    return []


def _set_scale(layer: BinaryConv2d, alpha: Tensor) -> None:
    """Sums round, so few sets of magnitudes have exactly a given mean: draws nearly equal ones until they have it."""
    random, signs, wrong = torch.Generator().manual_seed(0), layer.weight.sign(), torch.ones_like(alpha, dtype=torch.bool)
    for _ in range(_DRAWS):
        spread = 1 + _SPREAD * (torch.rand(layer.weight.shape, generator=random) - 0.5)
        layer.weight[wrong] = (signs * alpha.view(-1, 1, 1, 1) * spread)[wrong]
        if not layer.power_of_two:  # which rounds the mean itself
            rest = torch.where(wrong, alpha - layer.weight_scale(), 0) * layer.weight[0].numel()
            layer.weight[:, 0, 0, 0] += signs[:, 0, 0, 0] * rest
        wrong = layer.weight_scale() != alpha
        if not wrong.any():
            return


# -- attention -------------------------------------------------------------------------------------------------------


def _conv_fields(lowering: Lowering, unit: nn.Sequential, path: str) -> Dict[str, Parameter]:
    """A binary convolution of the attention with the batch normalisation behind it."""
    fields = as_parameters(binary_fields(lowering, unit[0]), f"{lowering.scope}.{path}.0")
    if len(unit) > 1:
        scale, bias = fold_batch_norm(unit[1], f"{lowering.where}: {path}")
        fields.update(as_parameters({"scale": scale, "bias": bias}, f"{lowering.scope}.{path}.1"))
    return fields


def _no_conv(channels: int) -> Dict[str, Parameter]:
    """Stands for a message that no target reads."""
    return as_parameters({"weight": np.zeros((channels, 3, 3, (channels + 7) // 8), np.uint8)}, layer="")


def _units(layer: BinaryAttention, which: str) -> List[Tuple[str, Optional[nn.Sequential]]]:
    """The attention's gates or messages ("gates", "messages") by key, in the order of the model file: a gate a target, or
    per source, or target-major without the target itself; None for a message that no target reads."""
    units = getattr(layer, which)
    if which == "gates" and layer.gate_source == "target":
        keys = list(layer.tasks)
    elif layer.message_weights == "per_source":
        keys = list(layer.auxiliary)
    else:
        keys = [f"{t}_from_{s}" for t in layer.tasks for s in layer.auxiliary if s != t]
    return [(key, units[key] if key in units else None) for key in keys]


def _convs(lowering: Lowering, layer: BinaryAttention, which: str, channels: int) -> List[dict]:
    return [
        _no_conv(channels) if unit is None else _conv_fields(lowering, unit, f"{which}.{key}") for key, unit in _units(layer, which)
    ]


def _binarize_source(lowering: Lowering, layer: BinaryAttention, task: str, feature: Any) -> Node:
    """Nodes of one source's binarizer: sign, RSign, batch normalisation and sign, or none where it is binary already."""
    binarizer = layer.binarizers[task]
    if isinstance(binarizer, nn.Identity):
        node = lowering.map(feature, f"the feature of '{task}'").node
        if not node.bits:
            raise lowering.refuse(f"the feature of '{task}' is not binary and has no binarizer")
        return node
    x = lowering.floats(feature, f"the feature of '{task}'")
    suffix, fields, presign = f".binarizers.{task}", {}, x.value
    if isinstance(binarizer, nn.Sequential):
        fields["scale"], fields["shift"] = fold_batch_norm(binarizer[0], f"{lowering.where}: binarizers.{task}")
        presign = binarizer[0](x.value)
    elif isinstance(binarizer, RSign):
        fields["shift"] = finite_array(lowering, binarizer.bias, "bias")
        presign = x.value + binarizer.bias.view(1, -1, 1, 1)
    return lowering.emit("binarize", [x], fields, value=binarizer(x.value), presign=presign, bits=True, suffix=suffix)


@HANDLERS.inverse(nn.Sequential)
def set_binarizer(layer: nn.Sequential, field: str, array: np.ndarray) -> List[str]:
    return [f"0.{name}" for name in set_batch_norm(layer[0], "scale" if field == "scale" else "bias", array)]


def _sums(layer: BinaryAttention, features: Dict[str, Tensor]) -> Tensor:
    """What the outer sign is taken of, all targets."""
    totals = layer.sums(features)
    return torch.cat([totals[task] for task in layer.tasks], 1)


@HANDLERS.module(BinaryAttention)
def binary_attention(lowering: Lowering, layer: BinaryAttention, features: Dict[str, Any]) -> Dict[str, Map]:
    nodes = [_binarize_source(lowering, layer, task, features[task]) for task in layer.auxiliary]
    channels = nodes[0].channels
    if layer.identity == "real":
        nodes += [lowering.floats(features[task]) for task in layer.tasks]
    signed = isinstance(layer.outer_sign, Sign)
    fields = {
        "targets": [layer.auxiliary.index(t) for t in layer.tasks],
        "gate_source": layer.gate_source,
        "message_weights": layer.message_weights,
        "identity": layer.identity,
        "outer_sign": signed,
        "kernel": [3, 3],
        "padding": [1, 1, 1, 1],
        "gates": _convs(lowering, layer, "gates", channels),
        "messages": _convs(lowering, layer, "messages", channels),
    }
    results = lowering.value
    joined = lowering.emit(
        "binary_attention",
        nodes,
        fields,
        value=torch.cat([results[t] for t in layer.tasks], 1),
        presign=_sums(layer, {t: features[t].node.value for t in layer.auxiliary}) if signed else None,
        bits=signed,
    )
    return {
        task: lower_slice(lowering, Map(joined), k * channels, (k + 1) * channels, results[task])
        for k, task in enumerate(layer.tasks)
    }
