# SPDX-License-Identifier: Apache-2.0
"""From an nn.Module to a torch.fx graph and the value of every step on one input."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import torch
from torch import Tensor, fx, nn

from .errors import ConversionError


class LayerTracer(fx.Tracer):
    """Stops at the layers that have a handler and at torch's own; goes into every other module."""

    def __init__(self, layers: Tuple[type, ...]):
        super().__init__()
        self.layers = layers

    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        return type(module) in self.layers or super().is_leaf_module(module, qualified_name)


class Recorder(fx.Interpreter):
    """Runs a traced network and keeps a copy of every value (a copy, for later steps may work in place)."""

    def __init__(self, module: fx.GraphModule):
        super().__init__(module)
        self.values: Dict[fx.Node, Any] = {}

    def run_node(self, node: fx.Node) -> Any:
        value = super().run_node(node)
        self.values[node] = value.clone() if isinstance(value, Tensor) else value
        return value


def trace(network: nn.Module, layers: Tuple[type, ...]) -> fx.GraphModule:
    try:
        return fx.GraphModule(network, LayerTracer(layers).trace(network))
    except Exception as error:  # whatever the network's Python code does with a symbolic tensor
        raise ConversionError(f"{type(network).__name__}: torch.fx cannot trace its forward: {error}") from error


def flatten_outputs(value: Any) -> Dict[str, Any]:
    """Task name -> output of a forward that returns a tensor, a dict or a sequence."""
    if isinstance(value, dict):
        return {str(task): output for task, output in value.items()}
    if isinstance(value, (tuple, list)):
        return {f"output_{index}": output for index, output in enumerate(value)}
    return {"output": value}


@torch.no_grad()
def record(network: nn.Module, traced: fx.GraphModule, image: Tensor) -> Dict[fx.Node, Any]:
    """Values of all steps for ``image``; checks that the traced network computes what the network does."""
    recorder = Recorder(traced)
    got = flatten_outputs(recorder.run(image.clone()))
    expected = flatten_outputs(network(image.clone()))
    for task, tensor in expected.items():
        if not isinstance(tensor, Tensor):
            raise ConversionError(f"output '{task}' is no tensor (got {type(tensor).__name__})")
        if not torch.equal(got[task].nan_to_num(), tensor.nan_to_num()):
            raise ConversionError(
                f"output '{task}': the network computes something else on every run, or depends on "
                "its input in a way that torch.fx cannot see"
            )
    return recorder.values
