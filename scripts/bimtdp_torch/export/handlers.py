# SPDX-License-Identifier: Apache-2.0
"""All handlers, and the walk through a network with them."""

from __future__ import annotations

from typing import Dict, List, Tuple

import torch
from torch import Tensor, nn

from . import activations, binary_layers, float_layers, functions, shape_functions
from .errors import ConversionError
from .ir import Map, Node
from .lowering import Handlers, Lowering
from .trace import record, trace

HANDLERS = Handlers(
    float_layers.HANDLERS, activations.HANDLERS, binary_layers.HANDLERS, functions.HANDLERS, shape_functions.HANDLERS
)


def lower(network: nn.Module, image: Tensor) -> Tuple[List[Node], Dict[str, Map]]:
    """Nodes of a network in evaluation mode, one for every step, and its results by task; nodes have their values for
    ``image``."""
    traced = trace(network, tuple(HANDLERS.modules))
    lowering = Lowering(HANDLERS, traced, record(network, traced, image))
    with torch.no_grad():
        maps = lowering.run()
    for task, result in maps.items():
        if not isinstance(result, Map):
            raise ConversionError(f"output '{task}' is not a tensor that depends on the input")
    return lowering.nodes, maps
