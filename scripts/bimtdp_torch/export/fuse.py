# SPDX-License-Identifier: Apache-2.0
"""Joins neighbouring nodes where the engine computes them in one pass, without changing a bit of the result.

convolution -> batch normalisation -> + residual -> activation     one convolution
batch normalisation -> sign                                        one binarize, fma(x, scale, shift) >= 0
binary convolution -> batch normalisation -> sign                  one binary convolution with bits out
a + b + c                                                          one sum, from left to right

A node is joined with its producer only if it is the producer's only reader.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List

from .ir import Node, Output
from .lowering import dead_nodes_dropped
from .numerics import fma

_CONVOLUTIONS = ("conv2d", "binary_conv2d")
_MAX_ADDENDS = 16


class _Fuser:
    def __init__(self, nodes: List[Node], outputs: List[Output]):
        self.nodes = nodes
        self.readers: Dict[Node, int] = dict.fromkeys(nodes, 0)
        for node in nodes:
            for source in node.inputs:
                self.readers[source] += 1
        for output in outputs:
            self.readers[output.node] += 1
        self.dropped = set()

    def only_reader(self, node: Node) -> bool:
        return self.readers[node] == 1

    def replace(self, node: Node, producer: Node, inputs: List[Node], fields: dict) -> None:
        """``node`` becomes ``producer`` with more fields; it stays where it is in the order."""
        node.op, node.name, node.inputs, node.fields = producer.op, producer.name, inputs, fields
        self.dropped.add(producer)

    def open_convolution(self, node: Node) -> bool:
        """A convolution with nothing behind its affine part yet, read once."""
        return (
            node.op in _CONVOLUTIONS
            and self.only_reader(node)
            and len(node.inputs) == 1
            and not node.has("activation")
            and not node.bits
        )

    # -- one method an op of the consumer ----------------------------------------------------------------------------

    def affine(self, node: Node) -> None:
        conv = node.input
        if not self.open_convolution(conv) or conv.has("scale"):
            return
        scale, bias = node.fields["scale"], node.fields["bias"]
        if conv.has("bias"):
            bias = replace(bias, array=fma(scale.array, conv.fields["bias"].array, bias.array))
        self.replace(node, conv, conv.inputs, {**conv.fields, "scale": scale, "bias": bias})

    def add(self, node: Node) -> None:
        first, second = node.inputs
        ways = [(second, first), (first, second)]  # float addition commutes; a binary convolution takes the sum first
        for conv, other in sorted(ways, key=lambda way: way[0].op != "binary_conv2d"):
            if self.open_convolution(conv) and conv is not other:
                return self.replace(node, conv, [conv.input, other], conv.fields)
        for inner, other in ((first, second), (second, first)):
            if inner.op == "add" and self.only_reader(inner) and not inner.has("activation") and len(inner.inputs) < _MAX_ADDENDS:
                return self.replace(node, inner, [*inner.inputs, other], inner.fields)

    def activation(self, node: Node) -> None:
        source = node.input
        if (
            source.op in (*_CONVOLUTIONS, "affine", "add", "linear")
            and self.only_reader(source)
            and not source.has("activation")
            and not source.bits
        ):
            self.replace(node, source, source.inputs, {**source.fields, **node.fields})

    def binarize(self, node: Node) -> None:
        source = node.input
        if not self.only_reader(source) or source.has("activation"):
            return
        if source.op == "affine" and not node.has("shift"):
            fields = {"scale": source.fields["scale"], "shift": source.fields["bias"]}
            name = node.name
            self.replace(node, source, source.inputs, fields)
            node.op, node.name = "binarize", name
        elif source.op == "binary_conv2d" and self.open_convolution(source):
            fields = {**source.fields, "output": "bits"}
            if node.has("shift"):
                if source.has("scale", "bias"):
                    return  # fma, then + shift: two roundings that one pair of numbers cannot say
                fields["bias"] = node.fields["shift"]
            self.replace(node, source, source.inputs, fields)

    def run(self) -> List[Node]:
        for node in self.nodes:
            method = getattr(self, node.op, None) if node.op in ("affine", "add", "activation", "binarize") else None
            if method is not None:
                method(node)
        return [node for node in self.nodes if node not in self.dropped]


def fuse(nodes: List[Node], outputs: List[Output]) -> List[Node]:
    """The fused nodes that the outputs need, in order."""
    return dead_nodes_dropped(_Fuser(dead_nodes_dropped(nodes, outputs), outputs).run(), outputs)
