# SPDX-License-Identifier: Apache-2.0
"""Our model files in OpenVINO, node by node, binary convolutions as BinaryConvolution.

Channels of what becomes bits are padded to a multiple of 8. Pad channels are 0 as floats and so +1 as bits; half of their
weights are +1, half -1, so that they cancel in every tap. validate_openvino.py compares every node with PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Set, Tuple

import numpy as np
import openvino as ov
import openvino.opset11 as ops
from model_file import ModelFile
from openvino_ops import CHANNEL_STEP, activate, affine, binary_conv, float_sign, packed_sign

PAD = -1  # in a layout: a channel that the network does not have


@dataclass
class Map:
    """Floats (1, C, H, W); ``layout`` gives the network's channel of each of them, or PAD."""

    node: Any
    layout: np.ndarray


@dataclass
class Bits:
    """Signs of x * scale + shift. Packed and float forms are made when first used."""

    x: Map
    scale: Optional[np.ndarray] = None  # in x's layout
    shift: Optional[np.ndarray] = None
    packed: Any = None
    floats: Any = None

    @property
    def layout(self) -> np.ndarray:
        return self.x.layout

    def as_packed(self):
        if self.packed is None:
            self.packed = packed_sign(self.x.node, len(self.layout), self.scale, self.shift)
        return self.packed

    def as_map(self) -> Map:
        if self.floats is None:
            self.floats = float_sign(self.x.node, len(self.layout), self.scale, self.shift)
        return Map(self.floats, self.layout)


@dataclass
class Targets:
    """What an attention makes for each of its targets, `channels` of the network's channels each."""

    values: List[Any]
    channels: int


def shape_of(node) -> List[int]:
    return list(node.output(0).shape)


def expand(values: Optional[np.ndarray], layout: np.ndarray, fill: float = 0.0, axis: int = 0) -> Optional[np.ndarray]:
    """Per-channel values in a layout, ``fill`` for the pads."""
    if values is None:
        return None
    taken = np.take(values, np.maximum(layout, 0), axis=axis)
    shape = [1] * values.ndim
    shape[axis] = len(layout)
    return np.where((layout == PAD).reshape(shape), np.asarray(fill, values.dtype), taken)


def compact(x: Map) -> Map:
    """Without pads, in the network's order."""
    order = np.argsort(x.layout, kind="stable")[np.count_nonzero(x.layout == PAD):]
    if np.array_equal(order, np.arange(len(x.layout))):
        return x
    return Map(ops.gather(x.node, ops.constant(order.astype(np.int32)), ops.constant(np.int32(1))), np.arange(len(order)))


def alike(*maps: Map) -> Tuple[Map, ...]:
    """The maps in one layout."""
    if all(np.array_equal(maps[0].layout, m.layout) for m in maps[1:]):
        return maps
    return tuple(compact(m) for m in maps)


class Translator:
    """Builds an ov.Model from a model file, for photos of one size."""

    def __init__(self, file: ModelFile, height: int, width: int):
        self.file, self.values = file, []
        self.size = (height, width)
        self.padded = self._before_signs()

    def _before_signs(self) -> Set[int]:
        """Nodes that make bits or whose values reach a sign: their channels are padded."""
        found: Set[int] = set()
        for index in reversed(range(len(self.file.nodes))):
            node = self.file.nodes[index]
            if node["op"] in ("binarize", "binary_attention") or node.get("output") == "bits":
                found.add(index)
            if index in found:
                found.update(node["inputs"])
        return found

    def layout(self, index: int, channels: int) -> np.ndarray:
        pads = -channels % CHANNEL_STEP if index in self.padded else 0
        return np.concatenate([np.arange(channels), np.full(pads, PAD)])

    def convolution_layout(self, index: int, channels: int) -> np.ndarray:
        """The layout of the residual where one is added, so that nothing has to be put in another order."""
        inputs = self.file.nodes[index]["inputs"]
        return self.floats(inputs[1]).layout if len(inputs) > 1 else self.layout(index, channels)

    def model(self) -> ov.Model:
        parameter = ops.parameter([1, self.file.nodes[0]["channels"], *self.size], np.float32, name="image")
        self.values = [Map(parameter, np.arange(self.file.nodes[0]["channels"]))]
        for index in range(1, len(self.file.nodes)):
            self.values.append(self.translate(index))
        results = [ops.result(compact(self.floats(o["node"])).node, name=o["task"]) for o in self.file.outputs]
        return ov.Model(results, [parameter], "binary")

    def translate(self, index: int):
        node = self.file.nodes[index]
        return getattr(self, node["op"])(index, node)

    def floats(self, index: int) -> Map:
        value = self.values[index]
        return value.as_map() if isinstance(value, Bits) else value

    def per_channel(self, node: dict, key: str, layout: np.ndarray) -> Optional[np.ndarray]:
        return expand(self.file.floats(node.get(key)), layout)

    def activated(self, node: dict, y: Map) -> Map:
        spec = node.get("activation", {"kind": "none"})
        parameters = [self.per_channel(spec, key, y.layout) for key in ("slope", "shift_in", "shift_out")]
        return Map(activate(y.node, spec["kind"], *parameters), y.layout)

    def finished(self, node: dict, y: Map) -> Map:
        """Residual and activation behind a convolution."""
        if len(node["inputs"]) > 1:
            first, second = alike(y, self.floats(node["inputs"][1]))
            y = Map(ops.add(first.node, second.node), first.layout)
        return self.activated(node, y)

    # -- one method an operation of the model file ------------------------------------------------------------------------

    def conv2d(self, index: int, node: dict) -> Map:
        x, weight = self.floats(node["inputs"][0]), self.file.floats(node["weight"])
        groups = node["groups"]
        out = x.layout if groups > 1 else self.convolution_layout(index, len(weight))
        weight = expand(weight, out)
        if groups == 1:
            weight = expand(weight, x.layout, axis=3)
        elif weight.shape[3] != 1:
            raise NotImplementedError("groups of more than one channel")
        scale = self.per_channel(node, "scale", out)
        if scale is not None:
            weight = weight * scale[:, None, None, None]
        weight = np.ascontiguousarray(weight.transpose(0, 3, 1, 2))
        top, bottom, left, right = node["padding"]
        window = (node["stride"], [top, left], [bottom, right], node["dilation"])
        if groups == 1:
            y = ops.convolution(x.node, ops.constant(weight), *window)
        else:
            y = ops.group_convolution(x.node, ops.constant(weight[:, None]), *window)
        return self.finished(node, Map(affine(y, self.per_channel(node, "bias", out)), out))

    def dots(self, bits: Bits, weight_name: str, out: np.ndarray, padding, stride=(1, 1), dilation=(1, 1)):
        if len(bits.layout) % CHANNEL_STEP:
            raise NotImplementedError("bits of a width that was not padded")
        pads = np.flatnonzero(bits.layout == PAD)
        assert len(pads) % 2 == 0, "pad channels cancel in pairs"
        weight = expand(self.file.signs(weight_name, len(bits.layout) - len(pads)), bits.layout, axis=3)
        weight[..., pads[::2]] = True
        return binary_conv(bits.as_packed(), expand(weight, out), padding, stride, dilation)

    def binary_conv2d(self, index: int, node: dict):
        if node["groups"] != 1:
            raise NotImplementedError("OpenVINO's BinaryConvolution has no groups")
        out = self.convolution_layout(index, self.file.shape(node["weight"])[0])
        y = self.dots(self.values[node["inputs"][0]], node["weight"], out, node["padding"], node["stride"], node["dilation"])
        alpha, scale, bias = (self.per_channel(node, key, out) for key in ("alpha", "scale", "bias"))
        if node["output"] == "bits":
            factor = alpha if scale is None else scale if alpha is None else alpha * scale
            return Bits(Map(y, out), factor, bias)
        return self.finished(node, Map(affine(y, alpha, scale, bias), out))

    def binarize(self, index: int, node: dict) -> Bits:
        x = self.floats(node["inputs"][0])
        missing = -len(x.layout) % CHANNEL_STEP
        if missing:  # a map that compact() made
            x = Map(ops.pad(x.node, [0, 0, 0, 0], [0, missing, 0, 0], "constant", ops.constant(np.float32(0))),
                    np.concatenate([x.layout, np.full(missing, PAD)]))
        return Bits(x, self.per_channel(node, "scale", x.layout), self.per_channel(node, "shift", x.layout))

    def unpack(self, index: int, node: dict) -> Map:
        return self.floats(node["inputs"][0])

    def binary_attention(self, index: int, node: dict) -> Targets:
        """Eq. (2) and (3)."""
        if node["gate_source"] != "target" or node["message_weights"] != "per_source":
            raise NotImplementedError("attention of another kind")
        bits = [self.values[i] for i in node["inputs"]]
        messages = [self.attention_dots(conv, b, node) for conv, b in zip(node["messages"], bits)]
        results = []
        for target, conv in zip(node["targets"], node["gates"]):
            gate = float_sign(self.attention_dots(conv, bits[target], node), len(bits[target].layout), low=0.0)
            others = [m for source, m in enumerate(messages) if source != target]
            total = others[0]
            for message in others[1:]:
                total = ops.add(total, message)
            base = bits[target].as_map() if node["identity"] == "binary" else self.values[node["inputs"][len(messages) + target]]
            result = Map(ops.add(base.node, ops.multiply(gate, total)), bits[target].layout)
            results.append(Bits(result) if node["outer_sign"] else result)
        return Targets(results, int(np.count_nonzero(bits[0].layout >= 0)))

    def attention_dots(self, conv: dict, bits: Bits, node: dict):
        y = self.dots(bits, conv["weight"], bits.layout, node["padding"])
        alpha, scale, bias = (self.per_channel(conv, key, bits.layout) for key in ("alpha", "scale", "bias"))
        return affine(y, alpha, scale, bias)

    def affine(self, index: int, node: dict) -> Map:
        x = self.floats(node["inputs"][0])
        y = affine(x.node, self.per_channel(node, "scale", x.layout), self.per_channel(node, "bias", x.layout))
        return self.activated(node, Map(y, x.layout))

    def activation(self, index: int, node: dict) -> Map:
        return self.activated(node, self.floats(node["inputs"][0]))

    def add(self, index: int, node: dict) -> Map:
        terms = alike(*(self.floats(i) for i in node["inputs"]))
        total = terms[0].node
        for term in terms[1:]:
            total = ops.add(total, term.node)
        return self.activated(node, Map(total, terms[0].layout))

    def multiply(self, index: int, node: dict) -> Map:
        first, second = alike(*(self.floats(i) for i in node["inputs"]))
        return Map(ops.multiply(first.node, second.node), first.layout)

    def avg_pool2d(self, index: int, node: dict) -> Map:
        x, (top, bottom, left, right) = self.floats(node["inputs"][0]), node["padding"]
        y = ops.avg_pool(x.node, node["stride"], [top, left], [bottom, right], node["kernel"], not node["count_include_pad"])
        return Map(y, x.layout)

    def resize(self, index: int, node: dict) -> Map:
        x = self.floats(node["inputs"][0])
        height, width = shape_of(x.node)[2:]
        if "factor" in node:
            size = [height * node["factor"], width * node["factor"]]
        else:
            size = node.get("size") or shape_of(self.floats(node["inputs"][1]).node)[2:]
        mode = {"bilinear": "linear_onnx", "nearest": "nearest"}[node["mode"]]
        transform = {"bilinear": "half_pixel", "nearest": "asymmetric"}[node["mode"]]
        y = ops.interpolate(x.node, ops.constant(np.array(size, np.int64)), mode, "sizes",
                            axes=ops.constant(np.array([2, 3], np.int64)), coordinate_transformation_mode=transform,
                            nearest_mode="floor")
        return Map(y, x.layout)

    def concat(self, index: int, node: dict) -> Map:
        parts = [self.floats(i) for i in node["inputs"]]
        layouts, first = [], 0
        for part in parts:
            layouts.append(np.where(part.layout == PAD, PAD, part.layout + first))
            first += np.count_nonzero(part.layout >= 0)
        return Map(ops.concat([part.node for part in parts], 1), np.concatenate(layouts))

    def slice(self, index: int, node: dict):
        value = self.values[node["inputs"][0]]
        if isinstance(value, Targets):
            if node["begin"] % value.channels or node["end"] != node["begin"] + value.channels:
                raise NotImplementedError("slices across the targets of an attention")
            return value.values[node["begin"] // value.channels]
        x = compact(self.floats(node["inputs"][0]))
        count = node["end"] - node["begin"]
        begin, end, step, axis = (ops.constant(np.array([v], np.int64)) for v in (node["begin"], node["end"], 1, 1))
        return Map(ops.slice(x.node, begin, end, step, axis), np.arange(count))

    def softmax(self, index: int, node: dict) -> Map:
        x = compact(self.floats(node["inputs"][0]))
        _, channels, height, width = shape_of(x.node)
        group = node["group"]
        y = ops.reshape(x.node, np.array([1, channels // group, group, height, width], np.int64), False)
        y = ops.reshape(ops.softmax(y, 2), np.array([1, channels, height, width], np.int64), False)
        return Map(y, x.layout)

    def squeeze_excite(self, index: int, node: dict) -> Map:
        x = self.floats(node["inputs"][0])
        mean = ops.reduce_mean(x.node, np.array([2, 3], np.int64), True)
        reduce = expand(self.file.floats(node["reduce_weight"]), x.layout, axis=1)
        grow = expand(self.file.floats(node["expand_weight"]), x.layout)
        window = ([1, 1], [0, 0], [0, 0], [1, 1])
        hidden = ops.relu(affine(ops.convolution(mean, ops.constant(reduce[..., None, None]), *window),
                                 self.file.floats(node["reduce_bias"])))
        factor = ops.sigmoid(affine(ops.convolution(hidden, ops.constant(grow[..., None, None]), *window),
                                    self.per_channel(node, "expand_bias", x.layout)))
        return Map(ops.multiply(x.node, factor), x.layout)
