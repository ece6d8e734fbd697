# SPDX-License-Identifier: Apache-2.0
"""Handlers of functions and methods that change shapes or slide windows: concat, slices, pooling, resizing."""

from __future__ import annotations

import operator
from typing import Any, Optional, Tuple

import torch
import torch.nn.functional as F

from . import float_layers as layers
from .ir import Map, Size
from .lowering import Handlers, Lowering, constant_tensor, lower_slice

HANDLERS = Handlers()

# -- shape -----------------------------------------------------------------------------------------------------------


@HANDLERS.function(torch.cat, torch.concat, torch.concatenate)
def concat(lowering: Lowering, tensors: Any, dim: int = 0) -> Map:
    maps = [lowering.map(t) for t in tensors]
    if dim not in (1, 1 - maps[0].rank):
        raise lowering.refuse(f"concatenation along dimension {dim} (only along the channels, 1)")
    bits = all(m.node.bits for m in maps)
    nodes = [m.node if bits else lowering.floats(m) for m in maps]
    return Map(lowering.emit("concat", nodes, bits=bits, pixel=all(n.pixel for n in nodes)), maps[0].rank)


@HANDLERS.function(torch.chunk, torch.split, methods=("chunk", "split"))
def split(lowering: Lowering, x: Any, size: Any, dim: int = 0) -> Tuple[Map, ...]:
    x = lowering.map(x)
    if dim not in (1, 1 - x.rank):
        raise lowering.refuse(f"split along dimension {dim} (only along the channels, 1)")
    parts, begin = [], 0
    for value in lowering.value:
        parts.append(lower_slice(lowering, x, begin, begin + value.shape[1], value))
        begin += value.shape[1]
    return tuple(parts)


@HANDLERS.function(operator.getitem)
def get_item(lowering: Lowering, x: Any, index: Any) -> Any:
    if isinstance(x, (dict, tuple, list)):
        return x[index]
    if isinstance(x, Size):
        dims = x.dims[index]
        return Size(x.map, dims if isinstance(dims, tuple) else (dims,), not isinstance(dims, tuple))
    x = lowering.map(x)
    index = index if isinstance(index, tuple) else (index,)
    everything = slice(None)
    rest = [i for n, i in enumerate(index) if n != 1]
    if (
        len(index) < 2
        or not isinstance(index[1], slice)
        or any(i not in (everything, Ellipsis) for i in rest)
        or Ellipsis in index[:1]
    ):
        raise lowering.refuse("only slices of channels, x[:, a:b], are supported")
    begin, end, step = index[1].indices(x.node.channels)
    if step != 1 or begin >= end:
        raise lowering.refuse(f"slice {begin}:{end}:{step} of {x.node.channels} channels")
    return lower_slice(lowering, x, begin, end, lowering.value)


@HANDLERS.function(getattr)
def get_attribute(lowering: Lowering, x: Any, name: str, *default: Any) -> Any:
    if name == "shape":
        return size(lowering, x)
    raise lowering.refuse(f"attribute '{name}' of a tensor is not supported")


@HANDLERS.function(methods=("size",))
def size(lowering: Lowering, x: Any, dim: Optional[int] = None) -> Size:
    x = lowering.map(x)
    dims = tuple(range(x.rank))
    return Size(x, dims) if dim is None else Size(x, (dims[dim],), True)


@HANDLERS.function(
    torch.flatten, torch.reshape, torch.squeeze, torch.unsqueeze, methods=("flatten", "reshape", "view", "squeeze", "unsqueeze")
)
def reshape(lowering: Lowering, x: Any, *shape: Any, **options: Any) -> Map:
    x = lowering.map(x)
    result = tuple(lowering.value.shape)
    if not x.node.pixel or result not in [(1, x.node.channels) + (1,) * n for n in range(3)]:
        raise lowering.refuse("only a map of one pixel (after global pooling) can change between (B, C) and (B, C, 1, 1)")
    return Map(x.node, len(result))


@HANDLERS.function(torch.mean, methods=("mean",))
def mean(lowering: Lowering, x: Any, dim: Any = None, keepdim: bool = False) -> Map:
    x = lowering.map(x)
    dims = [dim] if isinstance(dim, int) else list(dim or [])
    if x.rank != 4 or sorted(d % 4 for d in dims) != [2, 3]:
        raise lowering.refuse("only the mean over height and width, x.mean((2, 3)), is supported")
    node = lowering.emit("adaptive_avg_pool2d", [lowering.floats(x)], {"size": [1, 1]}, pixel=True)
    return Map(node, 4 if keepdim else 2)


@HANDLERS.function(methods=("contiguous", "clone", "detach", "float"))
def pass_on(lowering: Lowering, x: Any, **options: Any) -> Any:
    return x


# -- windows ---------------------------------------------------------------------------------------------------------


@HANDLERS.function(F.conv2d, torch.conv2d)
def conv2d(
    lowering: Lowering, x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Map:
    return layers.lower_conv2d(
        lowering,
        x,
        constant_tensor(lowering, weight, "weight"),
        constant_tensor(lowering, bias, "bias"),
        stride,
        padding,
        dilation,
        groups,
    )


@HANDLERS.function(F.pad)
def pad(lowering: Lowering, x: Any, pad: Any, mode: str = "constant", value: Any = None) -> Any:
    if mode != "constant" or value not in (None, 0):
        raise lowering.refuse(f"padding mode '{mode}' with value {value} (only zeros can be reproduced)")
    return layers.lower_pad(lowering, x, tuple(pad))


@HANDLERS.function(F.max_pool2d, torch.max_pool2d)
def max_pool(
    lowering: Lowering,
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Map:
    return layers.lower_max_pool(lowering, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@HANDLERS.function(F.avg_pool2d)
def avg_pool(
    lowering: Lowering,
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Optional[int] = None,
) -> Map:
    return layers.lower_avg_pool(lowering, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


@HANDLERS.function(F.adaptive_avg_pool2d)
def adaptive_pool(lowering: Lowering, x: Any, output_size: Any) -> Map:
    return layers.lower_adaptive_pool(lowering, x, output_size)


@HANDLERS.function(F.interpolate)
def interpolate(
    lowering: Lowering,
    x: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: Optional[bool] = None,
    recompute_scale_factor: Optional[bool] = None,
    antialias: bool = False,
) -> Map:
    if align_corners or antialias:
        raise lowering.refuse("align_corners=True and antialias=True cannot be reproduced (use False)")
    if size is None:
        return layers.lower_resize(lowering, x, mode, factor=scale_factor)
    sizes = [size] if isinstance(size, (int, Size)) else list(size)
    if len(sizes) == 2 and all(isinstance(s, Size) and s.scalar for s in sizes) and sizes[0].map == sizes[1].map:
        sizes = [Size(sizes[0].map, sizes[0].dims + sizes[1].dims)]
    if all(isinstance(s, int) for s in sizes):
        return layers.lower_resize(lowering, x, mode, size=layers.pair(sizes))
    if len(sizes) != 1 or not isinstance(sizes[0], Size) or sizes[0].dims != (2, 3):
        raise lowering.refuse("the size must be two numbers or height and width of another tensor (other.shape[-2:])")
    return layers.lower_resize(lowering, x, mode, like=sizes[0].map)
