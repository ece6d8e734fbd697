# SPDX-License-Identifier: Apache-2.0
"""Handlers of PyTorch's own layers."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

import numpy as np
from torch import Tensor, nn

from ..networks.layers import DepthwiseConv2d, GroupedSoftmax, Pad, Resize, SqueezeExcite
from .ir import Map, Padded
from .lowering import Handlers, Lowering, finite_array, set_tensor
from .numerics import fold_batch_norm, to_numpy

HANDLERS = Handlers()


def pair(value: Any) -> Tuple[int, int]:
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[-1]))


def window_padding(lowering: Lowering, padding: Any, kernel: Tuple[int, int], dilation: Tuple[int, int]) -> list:
    """[top, bottom, left, right] of PyTorch's padding argument."""
    if padding == "valid":
        return [0, 0, 0, 0]
    if padding == "same":
        totals = [d * (k - 1) for k, d in zip(kernel, dilation)]
        return [totals[0] // 2, totals[0] - totals[0] // 2, totals[1] // 2, totals[1] - totals[1] // 2]
    vertical, horizontal = pair(padding)
    return [vertical, vertical, horizontal, horizontal]


def window_fields(lowering: Lowering, x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Tuple[Map, dict]:
    """The input and the window of a convolution; takes over a padding in front of it."""
    kernel, stride, dilation = pair(kernel), pair(stride), pair(dilation)
    sides = window_padding(lowering, padding, kernel, dilation)
    if isinstance(x, Padded):
        x, sides = x.map, [a + b for a, b in zip(sides, x.padding)]
    return lowering.map(x), {"kernel": list(kernel), "stride": list(stride), "dilation": list(dilation), "padding": sides}


def lower_conv2d(
    lowering: Lowering, x: Any, weight: Tensor, bias: Optional[Tensor], stride: Any, padding: Any, dilation: Any, groups: int
) -> Map:
    x, fields = window_fields(lowering, x, weight.shape[2:], stride, padding, dilation)
    fields["groups"] = groups
    fields["weight"] = np.ascontiguousarray(finite_array(lowering, weight, "weight").transpose(0, 2, 3, 1))
    if bias is not None:
        fields["bias"] = finite_array(lowering, bias, "bias")
    source = lowering.floats(x)
    pixel = source.pixel and fields["kernel"] == [1, 1] and fields["padding"] == [0] * 4
    return Map(lowering.emit("conv2d", [source], fields, pixel=pixel))


@HANDLERS.module(nn.Conv2d, DepthwiseConv2d)
def conv2d(lowering: Lowering, layer: nn.Conv2d, x: Any) -> Map:
    if layer.padding_mode != "zeros":
        raise lowering.refuse(f"padding_mode '{layer.padding_mode}' (only zeros can be reproduced)")
    return lower_conv2d(lowering, x, layer.weight, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups)


@HANDLERS.inverse(nn.Conv2d, DepthwiseConv2d)
def set_conv2d(layer: nn.Conv2d, field: str, array: np.ndarray) -> List[str]:
    set_tensor(getattr(layer, field), array.transpose(0, 3, 1, 2) if field == "weight" else array)
    return [field]


@HANDLERS.module(nn.Linear)
def linear(lowering: Lowering, layer: nn.Linear, x: Any) -> Map:
    x = lowering.map(x)
    if x.rank != 2 or not x.node.pixel:
        raise lowering.refuse("its input must be a vector of channels: global pooling, then flatten")
    fields = {"weight": finite_array(lowering, layer.weight, "weight")}
    if layer.bias is not None:
        fields["bias"] = finite_array(lowering, layer.bias, "bias")
    return Map(lowering.emit("linear", [lowering.floats(x)], fields, pixel=True), 2)


@HANDLERS.module(nn.BatchNorm2d, nn.BatchNorm1d)
def batch_norm(lowering: Lowering, layer: nn.BatchNorm2d, x: Any) -> Map:
    x = lowering.map(x)
    scale, bias = fold_batch_norm(layer, lowering.where)
    node = lowering.emit("affine", [lowering.floats(x)], {"scale": scale, "bias": bias}, pixel=x.node.pixel)
    return Map(node, x.rank)


@HANDLERS.inverse(nn.BatchNorm2d)
def set_batch_norm(layer: nn.BatchNorm2d, field: str, array: np.ndarray) -> List[str]:
    """The factor and the addend as weight and bias; mean 0 and a variance that makes 1 with epsilon change nothing."""
    variance = np.float32(1) - np.float32(layer.eps)
    while variance + np.float32(layer.eps) < 1:
        variance = np.nextafter(variance, np.float32(2))
    layer.running_mean.zero_()
    layer.running_var.fill_(float(variance))
    name = "weight" if field == "scale" else "bias"
    set_tensor(getattr(layer, name), array)
    return [name, "running_mean", "running_var"]


def lower_max_pool(
    lowering: Lowering, x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, return_indices: bool
) -> Map:
    if ceil_mode or return_indices:
        raise lowering.refuse("ceil_mode and return_indices cannot be reproduced")
    x, fields = window_fields(lowering, lowering.map(x), kernel, kernel if stride is None else stride, padding, dilation)
    return Map(lowering.emit("max_pool2d", [x.node], fields, bits=x.node.bits))


@HANDLERS.module(nn.MaxPool2d)
def max_pool(lowering: Lowering, layer: nn.MaxPool2d, x: Any) -> Map:
    return lower_max_pool(
        lowering, x, layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode, layer.return_indices
    )


def lower_avg_pool(
    lowering: Lowering,
    x: Any,
    kernel: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: Optional[int],
) -> Map:
    if ceil_mode or divisor is not None:
        raise lowering.refuse("ceil_mode and divisor_override cannot be reproduced")
    x, fields = window_fields(lowering, lowering.map(x), kernel, stride or kernel, padding, 1)
    del fields["dilation"]
    fields["count_include_pad"] = bool(count_include_pad)
    return Map(lowering.emit("avg_pool2d", [lowering.floats(x)], fields))


@HANDLERS.module(nn.AvgPool2d)
def avg_pool(lowering: Lowering, layer: nn.AvgPool2d, x: Any) -> Map:
    return lower_avg_pool(
        lowering,
        x,
        layer.kernel_size,
        layer.stride,
        layer.padding,
        layer.ceil_mode,
        layer.count_include_pad,
        layer.divisor_override,
    )


def lower_adaptive_pool(lowering: Lowering, x: Any, size: Any) -> Map:
    size = (size, size) if size is None or isinstance(size, int) else tuple(size)
    if None in size:
        raise lowering.refuse("output size None (give both numbers)")
    fields = {"size": [int(size[0]), int(size[1])]}
    return Map(lowering.emit("adaptive_avg_pool2d", [lowering.floats(x)], fields, pixel=fields["size"] == [1, 1]))


@HANDLERS.module(nn.AdaptiveAvgPool2d)
def adaptive_pool(lowering: Lowering, layer: nn.AdaptiveAvgPool2d, x: Any) -> Map:
    return lower_adaptive_pool(lowering, x, layer.output_size)


@HANDLERS.module(nn.Identity, nn.Dropout, nn.Dropout2d)
def identity(lowering: Lowering, layer: nn.Module, x: Any) -> Any:
    return x


def lower_pad(lowering: Lowering, x: Any, sides: Tuple[int, ...]) -> Padded:
    """``sides``: left, right[, top, bottom], as F.pad takes them."""
    left, right, top, bottom = (tuple(sides) + (0, 0, 0, 0))[:4]
    if len(sides) > 4 or min(left, right, top, bottom) < 0:
        raise lowering.refuse(f"padding {tuple(sides)} (only zeros around height and width are supported)")
    return Padded(lowering.map(x), (top, bottom, left, right))


@HANDLERS.module(Pad, nn.ZeroPad2d)
def pad(lowering: Lowering, layer: nn.Module, x: Any) -> Padded:
    return lower_pad(lowering, x, layer.padding)


@HANDLERS.module(GroupedSoftmax)
def grouped_softmax(lowering: Lowering, layer: GroupedSoftmax, x: Any) -> Map:
    return Map(lowering.emit("softmax", [lowering.floats(x)], {"group": layer.group}))


def lower_softmax(lowering: Lowering, x: Any, dim: Optional[int]) -> Map:
    x = lowering.map(x)
    if dim not in (1, 1 - x.rank):
        raise lowering.refuse(f"softmax over dimension {dim} (only over the channels, 1)")
    return Map(lowering.emit("softmax", [lowering.floats(x)], {"group": x.node.channels}, pixel=x.node.pixel), x.rank)


@HANDLERS.module(nn.Softmax)
def softmax(lowering: Lowering, layer: nn.Softmax, x: Any) -> Map:
    return lower_softmax(lowering, x, layer.dim)


@HANDLERS.module(nn.Softmax2d)
def softmax2d(lowering: Lowering, layer: nn.Softmax2d, x: Any) -> Map:
    return lower_softmax(lowering, x, 1)


@HANDLERS.module(SqueezeExcite)
def squeeze_excite(lowering: Lowering, layer: SqueezeExcite, x: Any) -> Map:
    reduce, expand = layer.squeeze[0], layer.squeeze[2]
    fields = {
        "reduce_weight": to_numpy(reduce.weight),
        "reduce_bias": to_numpy(reduce.bias),
        "expand_weight": to_numpy(expand.weight),
        "expand_bias": to_numpy(expand.bias),
    }
    if not all(np.isfinite(array).all() for array in fields.values()):
        raise lowering.refuse("a weight holds NaN or infinity")
    return Map(lowering.emit("squeeze_excite", [lowering.floats(x)], fields))


@HANDLERS.inverse(SqueezeExcite)
def set_squeeze_excite(layer: SqueezeExcite, field: str, array: np.ndarray) -> List[str]:
    which, kind = field.split("_")
    name = f"squeeze.{0 if which == 'reduce' else 2}.{kind}"
    set_tensor(layer.get_parameter(name), array)
    return [name]


def lower_resize(lowering: Lowering, x: Any, mode: str, factor: Any = None, like: Optional[Map] = None, size: Any = None) -> Map:
    """Exactly one of factor, like and size is given."""
    x = lowering.map(x)
    if mode not in ("bilinear", "nearest"):
        raise lowering.refuse(f"interpolation mode '{mode}' (only bilinear and nearest are supported)")
    source = x.node if mode == "nearest" else lowering.floats(x)
    fields, inputs = {"mode": mode}, [source]
    if like is not None:
        inputs.append(like.node)
    elif size is not None:
        fields["size"] = [int(size[0]), int(size[1])]
    else:
        factors = {float(f) for f in (factor if isinstance(factor, (tuple, list)) else [factor])}
        if len(factors) != 1 or not min(factors).is_integer() or min(factors) < 1:
            raise lowering.refuse(f"scale_factor {factor} (only whole numbers, the same for height and width)")
        fields["factor"] = int(min(factors))
    return Map(lowering.emit("resize", inputs, fields, bits=source.bits))


@HANDLERS.module(Resize)
def resize(lowering: Lowering, layer: Resize, x: Any, like: Any = None) -> Map:
    if layer.scale_factor is not None:
        return lower_resize(lowering, x, layer.mode, factor=layer.scale_factor)
    return lower_resize(lowering, x, layer.mode, like=lowering.map(like, "the tensor that gives the size"))


@HANDLERS.module(nn.Upsample, nn.UpsamplingBilinear2d, nn.UpsamplingNearest2d)
def upsample(lowering: Lowering, layer: nn.Upsample, x: Any) -> Map:
    if layer.align_corners:
        raise lowering.refuse("align_corners=True cannot be reproduced (use False)")
    if layer.size is not None:
        return lower_resize(lowering, x, layer.mode, size=pair(layer.size))
    return lower_resize(lowering, x, layer.mode, factor=layer.scale_factor)
