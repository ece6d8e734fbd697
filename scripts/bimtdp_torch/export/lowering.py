# SPDX-License-Identifier: Apache-2.0
"""Walks a traced network and turns every step into nodes of the engine, one small handler a layer or function.

A handler is found by the type of the module (exactly: a subclass may compute something else), by the function, or by the
name of the method. It gets the Lowering, the module if there is one, and the lowered arguments. handlers.py lists them all.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np
import torch
from torch import Tensor, fx

from .errors import ConversionError, ModelFileError
from .ir import Const, Map, Node, Output, Padded, as_parameters
from .trace import flatten_outputs


class Handlers:
    """Handlers of layers, functions and methods, and inverses of layers: these write an array of a model file back."""

    def __init__(self, *parts: Handlers):
        self.modules: Dict[type, Callable] = {}
        self.functions: Dict[Any, Callable] = {}
        self.methods: Dict[str, Callable] = {}
        self.inverses: Dict[type, Callable[[Any, str, np.ndarray], List[str]]] = {}
        for part in parts:
            for own, more in zip(vars(self).values(), vars(part).values()):
                own.update(more)

    def module(self, *types: type):
        """Adds a handler(lowering, module, *args) of layers."""
        return self._add((self.modules, types))

    def function(self, *targets: Any, methods: Tuple[str, ...] = ()):
        """Adds a handler(lowering, *args, **kwargs) of functions and tensor methods."""
        return self._add((self.functions, targets), (self.methods, methods))

    def inverse(self, *types: type):
        """Adds an inverse(layer, field, array) of layers, which returns the keys of the state_dict that it has set."""
        return self._add((self.inverses, types))

    @staticmethod
    def _add(*places: Tuple[dict, tuple]):
        def add(handler: Callable) -> Callable:
            for table, keys in places:
                table.update(dict.fromkeys(keys, handler))
            return handler

        return add


class Lowering:
    """State of one conversion: the nodes so far, and where in the network the walk is."""

    def __init__(self, handlers: Handlers, traced: fx.GraphModule, values: Dict[fx.Node, Any]):
        self.handlers, self.traced, self.values = handlers, traced, values
        self.nodes: List[Node] = []
        self.step: Optional[fx.Node] = None
        self._names: Dict[str, int] = {}
        self._unpacked: Dict[Node, Node] = {}

    # -- for handlers ------------------------------------------------------------------------------------------------

    @property
    def value(self) -> Any:
        """What PyTorch computed in the present step."""
        return self.values[self.step]

    @property
    def scope(self) -> str:
        """Path of the module that the present step belongs to."""
        if self.step.op == "call_module":
            return self.step.target
        stack = self.step.meta.get("nn_module_stack") or {}
        for path in reversed([p if isinstance(p, str) else "" for p in stack]):
            path = stack[path][0] if isinstance(stack[path], tuple) else path
            return path
        return ""

    @property
    def where(self) -> str:
        """For messages: the step and its module."""
        if self.step.op == "call_module":
            return f"module '{self.step.target}' ({type(self.traced.get_submodule(self.step.target)).__name__})"
        if self.step.op == "call_method":
            step = f"method '{self.step.target}'"
        else:
            step = f"function '{getattr(self.step.target, '__name__', self.step.target)}'"
        return f"{step} in " + (f"module '{self.scope}'" if self.scope else "the network's forward")

    def refuse(self, reason: str) -> ConversionError:
        return ConversionError(f"{self.where}: {reason}")

    def emit(
        self,
        op: str,
        inputs: List[Node],
        fields: Optional[dict] = None,
        *,
        value: Optional[Tensor] = None,
        presign: Optional[Tensor] = None,
        bits: bool = False,
        pixel: bool = False,
        suffix: str = "",
    ) -> Node:
        """Appends a node. ``value`` defaults to the value of the present step."""
        value = self.value if value is None else value
        if value.dtype != torch.float32:
            raise self.refuse(f"computes in {value.dtype}; only float32 networks can be compared exactly")
        base = (
            self.scope
            if self.step.op == "call_module"
            else ".".join(part for part in (self.scope, op if self.step.op != "placeholder" else "input") if part)
        )
        node = Node(
            op, self.unique(base + suffix), list(inputs), as_parameters(fields or {}, base + suffix), value, bits, presign, pixel
        )
        self.nodes.append(node)
        return node

    def unique(self, name: str) -> str:
        name = re.sub(r"[^A-Za-z0-9_.]", "_", name)[:96] or "node"
        count = self._names.get(name, 0)
        self._names[name] = count + 1
        return name if count == 0 else self.unique(f"{name}_{count}")

    def map(self, value: Any, what: str = "its input") -> Map:
        if isinstance(value, Padded):
            raise self.refuse("padding can only be taken over by a convolution that follows it directly")
        if not isinstance(value, Map):
            raise self.refuse(f"{what} must be a tensor that depends on the network's input")
        return value

    def floats(self, value: Any, what: str = "its input") -> Node:
        """The node of a float map; bits are unpacked to +-1, once."""
        node = self.map(value, what).node
        if not node.bits:
            return node
        if node not in self._unpacked:
            unpacked = Node("unpack", self.unique(node.name + ".unpack"), [node], {}, node.value, pixel=node.pixel)
            self.nodes.append(unpacked)
            self._unpacked[node] = unpacked
        return self._unpacked[node]

    # -- the walk ----------------------------------------------------------------------------------------------------

    def run(self) -> Dict[str, Map]:
        """Lowers everything; returns the network's outputs by task."""
        env: Dict[fx.Node, Any] = {}
        outputs = None
        for step in self.traced.graph.nodes:
            self.step = step
            if step.op == "output":
                outputs = fx.node.map_arg(step.args[0], lambda n: env[n])
            else:
                env[step] = self._lower(step, env)
        return flatten_outputs(outputs)

    def _lower(self, step: fx.Node, env: Dict[fx.Node, Any]) -> Any:
        if step.op == "placeholder":
            if self.nodes:
                raise ConversionError("the network's forward must take one tensor")
            return Map(self.emit("input", [], {"channels": self.value.shape[1]}))
        if step.op == "get_attr" or all(isinstance(env[n], Const) for n in step.all_input_nodes):
            return Const(self.value)
        self._check_in_place(step)
        args = fx.node.map_arg(step.args, lambda n: env[n])
        # None is every handler's default for what it does not support ("out", "dtype"); _stacklevel serves warnings.
        kwargs = {
            key: value
            for key, value in fx.node.map_arg(step.kwargs, lambda n: env[n]).items()
            if value is not None and key != "_stacklevel"
        }
        if step.op == "call_module":
            target = self.traced.get_submodule(step.target)
            handler = self.handlers.modules.get(type(target))
            if handler is None:
                raise self.refuse("this kind of layer is not supported")
            return self._call(handler, target, *args, **kwargs)
        methods = self.handlers.methods
        handler = (methods if step.op == "call_method" else self.handlers.functions).get(step.target)
        if handler is None and step.op == "call_method" and step.target.endswith("_"):
            handler = methods.get(step.target.rstrip("_"))
        if handler is None:
            raise self.refuse("not supported")
        return self._call(handler, *args, **kwargs)

    def _call(self, handler: Callable, *args: Any, **kwargs: Any) -> Any:
        try:
            return handler(self, *args, **kwargs)
        except TypeError as error:  # an argument that the handler does not know
            raise self.refuse(f"called in a way that is not supported ({error})") from error

    def _check_in_place(self, step: fx.Node) -> None:
        """A step that overwrites its input is fine only where nothing else reads that input."""
        in_place = (
            (step.op == "call_method" and step.target.endswith("_") and not step.target.endswith("__"))
            or step.kwargs.get("inplace") is True
            or (step.op == "call_module" and getattr(self.traced.get_submodule(step.target), "inplace", False))
        )
        if in_place and isinstance(step.args[0], fx.Node) and len(step.args[0].users) > 1:
            raise self.refuse("works in place on a tensor that is also read elsewhere")


def channel_vector(lowering: Lowering, constant: Any, channels: int) -> np.ndarray:
    """A number or constant tensor as one float32 per channel of a (1, C, H, W) map."""
    value = constant.value if isinstance(constant, Const) else constant
    tensor = torch.as_tensor(value, dtype=torch.float32) if not isinstance(value, Tensor) else value.detach().float()
    if tensor.numel() != 1:
        shape = (1,) * (4 - tensor.dim()) + tuple(tensor.shape) if tensor.dim() != 2 else tuple(tensor.shape) + (1, 1)
        if shape != (1, channels, 1, 1):
            raise lowering.refuse(
                f"constant of shape {tuple(tensor.shape)} (expected one value, or one a channel: (1, {channels}, 1, 1))"
            )
    vector = np.ascontiguousarray(np.broadcast_to(tensor.reshape(-1).numpy(), (channels,)))
    if not np.isfinite(vector).all():
        raise lowering.refuse("a constant holds NaN or infinity")
    return vector.astype(np.float32)


def constant_tensor(lowering: Lowering, value: Any, what: str) -> Optional[Tensor]:
    """The tensor of a parameter or constant; None stays None."""
    if value is None:
        return None
    if not isinstance(value, Const):
        raise lowering.refuse(f"{what} must be a parameter or a constant")
    return value.value


def finite_array(lowering: Lowering, tensor: Tensor, what: str) -> np.ndarray:
    array = np.ascontiguousarray(tensor.detach().float().numpy())
    if not np.isfinite(array).all():
        raise lowering.refuse(f"{what} holds NaN or infinity")
    return array


def set_tensor(parameter: Tensor, array: np.ndarray) -> None:
    """For inverses: writes an array of a model file into a parameter."""
    if tuple(parameter.shape) != array.shape:
        raise ModelFileError(f"a tensor has the shape {array.shape}, expected {tuple(parameter.shape)}")
    parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))


def lower_slice(lowering: Lowering, x: Map, begin: int, end: int, value: Tensor) -> Map:
    if (begin, end) == (0, x.node.channels):
        return x
    node = lowering.emit("slice", [x.node], {"begin": begin, "end": end}, value=value, bits=x.node.bits, pixel=x.node.pixel)
    return Map(node, x.rank)


def dead_nodes_dropped(nodes: List[Node], outputs: List[Output]) -> List[Node]:
    """The nodes that the outputs need, in order; the input stays whatever happens."""
    needed, stack = set(), [output.node for output in outputs] + nodes[:1]
    while stack:
        node = stack.pop()
        if node not in needed:
            needed.add(node)
            stack.extend(node.inputs)
    return [node for node in nodes if node in needed]
