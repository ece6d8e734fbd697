# SPDX-License-Identifier: Apache-2.0
"""What the converter works on: nodes of the engine's graph, each with the value that PyTorch computed for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Parameter:
    """A tensor of the model file and where it came from, which it keeps when nodes are fused."""

    array: np.ndarray
    layer: str  # path of the module; "": of none
    field: str  # in the node that the module became: "weight", "activation.slope"


def as_parameters(value: Any, layer: str, field: str = "") -> Any:
    """``value``, a field of a node of ``layer`` or part of one, with parameters in place of its arrays."""
    if isinstance(value, np.ndarray):
        return Parameter(value, layer, field)
    if isinstance(value, (dict, list, tuple)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        made = {key: as_parameters(item, layer, f"{field}.{key}" if field else str(key)) for key, item in items}
        return made if isinstance(value, dict) else list(made.values())
    return value


@dataclass(eq=False)
class Node:
    """One node of the model file. ``fields`` are its JSON fields with parameters in place of tensor names."""

    op: str
    name: str
    inputs: List["Node"]
    fields: Dict[str, Any]
    value: Tensor  # (1, C, H, W) or (1, C), as PyTorch computed it; bits as +-1
    bits: bool = False
    presign: Optional[Tensor] = None  # floats whose sign the bits are
    pixel: bool = False  # one pixel whatever the input's size

    @property
    def channels(self) -> int:
        return self.value.shape[1]

    @property
    def input(self) -> "Node":
        return self.inputs[0]

    def has(self, *keys: str) -> bool:
        return any(key in self.fields for key in keys)


@dataclass(frozen=True)
class Map:
    """A tensor of the network: (1, C, H, W), or (1, C) when ``rank`` is 2."""

    node: Node
    rank: int = 4


@dataclass(frozen=True)
class Padded:
    """A map with zeros around it that the next convolution takes over: (top, bottom, left, right)."""

    map: Map
    padding: Tuple[int, int, int, int]


@dataclass(frozen=True)
class Size:
    """Extents of a map (``dims`` of its shape), known by reference only: the network runs on many sizes."""

    map: Map
    dims: Tuple[int, ...]
    scalar: bool = False


@dataclass(frozen=True)
class Const:
    """A value that does not depend on the network's input."""

    value: Any


@dataclass(frozen=True)
class AtLeastZero:
    """The condition x >= 0, to be used by torch.where."""

    map: Map


@dataclass
class Output:
    """A task's map in the model file."""

    task: str
    node: Node
    kind: str = "raw"
    class_names: List[str] = field(default_factory=list)


def hwc(value: Tensor) -> np.ndarray:
    """(1, C, H, W) or (1, C) -> float32 [H, W, C]."""
    array = value.detach().float().numpy()
    if array.ndim == 2:
        array = array[:, :, None, None]
    return np.ascontiguousarray(array[0].transpose(1, 2, 0))
