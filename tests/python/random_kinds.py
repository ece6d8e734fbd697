# SPDX-License-Identifier: Apache-2.0
"""The kinds of steps that a random network has: how the options of each are drawn, and its layer made."""

from __future__ import annotations

import random
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from convert_tools import BiRealBlock
from random_layers import Attention, Call, Constant, Gate, ImagePooling, PooledGate
from torch import Tensor, nn

from bimtdp_torch.networks.estimators import RSign, Sign, bn_sign
from bimtdp_torch.networks.layers import BinaryConv2d, GroupedSoftmax, Pad, PReLU, Resize, RPReLU, SqueezeExcite

MAX_CHANNELS, MAX_EXTENT = 140, 64
_WIDTHS = (1, 2, 3, 5, 8, 9, 16, 18, 31, 33, 36, 64, 65, 70)


class Impossible(Exception):
    """A step cannot read what it would have to."""


class Value(NamedTuple):
    """What is known of a step's result while a network is drawn."""

    number: int
    tensor: Tensor
    bits: bool

    @property
    def channels(self) -> int:
        return self.tensor.shape[1]

    @property
    def extent(self) -> Tuple[int, int]:
        return tuple(self.tensor.shape[2:])


class Kind(NamedTuple):
    """How a step is drawn and made.

    draw: options, or None where the first input does not allow it; make: the layer; bits: of the result, None: as the input's;
    others: the further inputs that fit the first, of all values; needs: whether the first input must be bits, None: either.
    """

    make: Callable[[List[Value], Dict[str, Any]], nn.Module]
    draw: Callable[[random.Random, Value], Optional[Dict[str, Any]]] = lambda r, x: {}
    needs: Optional[bool] = False
    bits: Optional[bool] = False
    others: Callable[[random.Random, Value, Sequence[Value]], Optional[List[Value]]] = lambda r, x, values: []


def _window(r: random.Random, x: Value, kernels: Sequence[Tuple[int, int]]) -> Dict[str, Any]:
    kernel, dilation = r.choice(kernels), (r.choice((1, 1, 2, 3)), r.choice((1, 1, 2)))
    padding = tuple(r.randint(0, d * (k - 1)) if r.random() < 0.3 else d * (k - 1) // 2 for k, d in zip(kernel, dilation))
    return {"kernel": kernel, "stride": (r.choice((1, 1, 2, 3)), r.choice((1, 1, 2))), "padding": padding, "dilation": dilation}


_KERNELS = ((1, 1), (3, 3), (3, 3), (5, 5), (1, 3), (3, 1), (2, 2), (7, 7))


def _conv(r: random.Random, x: Value) -> Dict[str, Any]:
    divisors = [g for g in range(1, x.channels + 1) if x.channels % g == 0]
    groups = r.choice((1, 1, 1, r.choice(divisors), x.channels))
    out = r.choice(_WIDTHS) if groups == 1 else groups * r.choice((1, 1, 2, 3))
    return {"out": min(out, MAX_CHANNELS // groups * groups), "groups": groups, "bias": r.random() < 0.5, **_window(r, x, _KERNELS)}


def _conv_layer(inputs: List[Value], o: Dict[str, Any]) -> nn.Module:
    return nn.Conv2d(
        inputs[0].channels, o["out"], o["kernel"], o["stride"], o["padding"], o["dilation"], o["groups"], bias=o["bias"]
    )


def _binary_conv(r: random.Random, x: Value) -> Dict[str, Any]:
    return {**_conv(r, x), "bias": r.choice(("plain", "scaled", "standardise", "power_of_two"))}


def _binary_conv_layer(inputs: List[Value], o: Dict[str, Any]) -> nn.Module:
    if o["bias"] == "standardise" and o["kernel"] == (1, 1) and inputs[0].channels == o["groups"]:
        raise Impossible("a filter of one weight has no deviation")
    options = {"scaled": o["bias"] != "plain"}
    if o["bias"] in ("standardise", "power_of_two"):
        options[o["bias"]] = True
    return BinaryConv2d(inputs[0].channels, o["out"], o["kernel"], o["stride"], o["padding"], o["dilation"], o["groups"], **options)


def _pool(r: random.Random, x: Value) -> Dict[str, Any]:
    kernel = r.choice(((2, 2), (3, 3), (3, 2), (1, 3), (5, 5)))
    return {"kernel": kernel, "stride": r.choice((1, 2, (2, 1), 3)), "padding": tuple(r.randint(0, k // 2) for k in kernel)}


def _same_shape(r: random.Random, x: Value, values: Sequence[Value]) -> Optional[List[Value]]:
    return [r.choice([v for v in values if v.tensor.shape == x.tensor.shape])]


def _same_extent(r: random.Random, x: Value, values: Sequence[Value]) -> Optional[List[Value]]:
    fitting = [v for v in values if v.extent == x.extent and v.channels + x.channels <= MAX_CHANNELS]
    return [r.choice(fitting)] if fitting else None


def _any_other(r: random.Random, x: Value, values: Sequence[Value]) -> Optional[List[Value]]:
    fitting = [v for v in values if v.extent != (1, 1)]
    return [r.choice(fitting)] if fitting else None


def _features(r: random.Random, x: Value, values: Sequence[Value]) -> Optional[List[Value]]:
    fitting = [v for v in values if v.tensor.shape == x.tensor.shape and not v.bits]
    return [r.choice(fitting) for _ in range(r.randint(0, 2))] if x.channels <= 40 and fitting else None


def _attention(r: random.Random, x: Value) -> Dict[str, Any]:
    return {
        "gate_source": r.choice(("target", "source")),
        "message_weights": r.choice(("per_source", "pairwise")),
        "input_binarizer": r.choice(("bn_sign", "rsign", "sign")),
        "gate_batch_norm": r.random() < 0.5,
        "message_batch_norm": r.random() < 0.5,
        "message_scale": r.choice(("xnor", "power_of_two", "none")),
        "identity": r.choice(("binary", "real")),
        "outer_sign": r.random() < 0.7,
    }


def _part(r: random.Random, x: Value) -> Optional[Dict[str, Any]]:
    if x.channels < 2:
        return None
    begin = r.randrange(x.channels)
    return {"begin": begin, "end": r.randint(begin + 1, x.channels)}


def _slice(x: Tensor, o: Dict[str, Any]) -> Tensor:
    return x[:, o["begin"] : o["end"]]


def _groups(r: random.Random, x: Value) -> Dict[str, Any]:
    return {"group": r.choice([g for g in range(1, x.channels + 1) if x.channels % g == 0])}


def _sides(r: random.Random, x: Value) -> Dict[str, Any]:
    return {"sides": tuple(r.randint(0, 3) for _ in range(4)), **_conv(r, x)}


def _factor(r: random.Random, x: Value) -> Optional[Dict[str, Any]]:
    return {"factor": r.choice((2, 3))} if max(x.extent) * 3 <= MAX_EXTENT else None


def _size(r: random.Random, x: Value) -> Dict[str, Any]:
    return {"size": (r.randint(1, 40), r.randint(1, 40))}


def _activation(make: Callable[[int], nn.Module]) -> Kind:
    return Kind(lambda inputs, o: make(inputs[0].channels), needs=None)


def _resized(mode: str) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, y: F.interpolate(x, size=y.shape[-2:], mode=mode)


def _function(function: Callable[..., Tensor]) -> Callable[[List[Value], Dict[str, Any]], nn.Module]:
    return lambda inputs, o: Call(function)


def _even(r: random.Random, x: Value) -> Optional[Dict[str, Any]]:
    stride = 2 if min(x.extent) >= 2 and not (x.extent[0] % 2 or x.extent[1] % 2) else 1
    return {"out": r.choice((4, 18, 36)), "stride": stride} if stride == 2 else {"out": x.channels, "stride": 1}


KINDS: Dict[str, Kind] = {
    "conv2d": Kind(_conv_layer, _conv, None),
    "pad_conv2d": Kind(lambda i, o: nn.Sequential(Pad(*o["sides"]), _conv_layer(i, o)), _sides, None),
    "zero_pad_conv2d": Kind(lambda i, o: nn.Sequential(nn.ZeroPad2d(o["sides"]), _conv_layer(i, o)), _sides, None),
    "batch_norm": Kind(lambda i, o: nn.BatchNorm2d(i[0].channels), needs=None),
    "relu": _activation(lambda c: nn.ReLU()),
    "relu6": _activation(lambda c: nn.ReLU6()),
    "sigmoid": _activation(lambda c: nn.Sigmoid()),
    "hardtanh": _activation(lambda c: nn.Hardtanh()),
    "leaky_relu": _activation(lambda c: nn.LeakyReLU(0.1)),
    "prelu_one": _activation(lambda c: nn.PReLU()),
    "prelu": _activation(PReLU),
    "rprelu": _activation(RPReLU),
    "constant": Kind(
        lambda i, o: Constant(i[0].channels, **o),
        lambda r, x: {"operation": r.choice(("x+c", "x-c", "c-x", "x*c", "-x", "c/x")), "each": r.random() < 0.5},
        None,
    ),
    "max_pool2d": Kind(lambda i, o: nn.MaxPool2d(o["kernel"], o["stride"], o["padding"]), _pool, None, None),
    "avg_pool2d": Kind(
        lambda i, o: nn.AvgPool2d(o["kernel"], o["stride"], o["padding"], count_include_pad=o["include"]),
        lambda r, x: {**_pool(r, x), "include": r.random() < 0.5},
        None,
    ),
    "adaptive_avg_pool2d": Kind(
        lambda i, o: nn.AdaptiveAvgPool2d(o["size"]), lambda r, x: {"size": (r.randint(1, 6), r.randint(2, 6))}, None
    ),
    "upsample_nearest": Kind(lambda i, o: nn.Upsample(scale_factor=o["factor"], mode="nearest"), _factor, None, None),
    "upsample_bilinear": Kind(lambda i, o: nn.Upsample(scale_factor=o["factor"], mode="bilinear"), _factor, None),
    "resize_factor": Kind(lambda i, o: Resize("bilinear", o["factor"]), _factor, None),
    "interpolate_bilinear": Kind(lambda i, o: Call(lambda x: F.interpolate(x, size=o["size"], mode="bilinear")), _size, None),
    "interpolate_nearest": Kind(lambda i, o: Call(lambda x: F.interpolate(x, size=o["size"])), _size, None, None),
    "bilinear_like": Kind(_function(_resized("bilinear")), needs=None, others=_any_other),
    "nearest_like": Kind(_function(_resized("nearest")), needs=None, bits=None, others=_any_other),
    "softmax": Kind(lambda i, o: nn.Softmax(1), needs=None),
    "grouped_softmax": Kind(lambda i, o: GroupedSoftmax(o["group"]), _groups, None),
    "normalize": Kind(_function(lambda x: F.normalize(x, dim=1)), needs=None),
    "squeeze_excite": Kind(
        lambda i, o: SqueezeExcite(i[0].channels, o["reduction"]),
        lambda r, x: {"reduction": r.randint(1, max(1, x.channels // 2))},
        None,
    ),
    "gate": Kind(lambda i, o: Gate(i[0].channels), needs=None),
    "pooled_gate": Kind(lambda i, o: PooledGate(i[0].channels), needs=None),
    "image_pooling": Kind(lambda i, o: ImagePooling(i[0].channels, o["out"]), lambda r, x: {"out": r.choice(_WIDTHS)}, None),
    "slice": Kind(lambda i, o: Call(lambda x: _slice(x, o)), _part, None, None),
    "chunk": Kind(
        lambda i, o: Call(lambda x: torch.chunk(x, 2, 1)[o["which"]]),
        lambda r, x: {"which": r.randint(0, 1)} if x.channels > 1 else None,
        None,
        None,
    ),
    "cat": Kind(_function(lambda x, y: torch.cat([x, y], 1)), needs=None, others=_same_extent),
    "cat_bits": Kind(
        _function(lambda x, y: torch.cat([x, y], 1)),
        needs=True,
        bits=True,
        others=lambda r, x, values: _same_extent(r, x, [v for v in values if v.bits]),
    ),
    "add": Kind(_function(lambda x, y: x + y), needs=None, others=_same_shape),
    "subtract": Kind(_function(lambda x, y: x - y), needs=None, others=_same_shape),
    "multiply": Kind(_function(lambda x, y: x * torch.sigmoid(y)), needs=None, others=_same_shape),
    "sign": Kind(lambda i, o: Sign(), bits=True),
    "rsign": Kind(lambda i, o: RSign(i[0].channels), bits=True),
    "bn_sign": Kind(lambda i, o: bn_sign(i[0].channels), bits=True),
    "where": Kind(_function(lambda x: torch.where(x >= 0, 1.0, -1.0)), bits=True),
    "binary_conv2d": Kind(_binary_conv_layer, _binary_conv, True),
    "pad_binary_conv2d": Kind(
        lambda i, o: nn.Sequential(Pad(*o["sides"]), _binary_conv_layer(i, o)),
        lambda r, x: {**_sides(r, x), **_binary_conv(r, x)},
        True,
    ),
    "bireal_block": Kind(lambda i, o: BiRealBlock(i[0].channels, o["out"], o["stride"], 1, nn.Hardtanh()), _even),
    "binary_attention": Kind(lambda i, o: Attention(i[0].channels, len(i), o), _attention, False, None, _features),
}
