# SPDX-License-Identifier: Apache-2.0
"""A second reader of model files, written from the format's rules alone: says of any bytes whether they are a model.

It knows the operations of ``make_bad_models.base`` and takes every other for unknown. The verdicts of the C++ reader are in
``tests/data/bad_models.txt``; ``test_bad_models.py`` compares.
"""

import json
import math
import re
import unicodedata
from typing import Any, Dict, List, NamedTuple

import numpy as np
import xxhash

DTYPES = {"BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8}
DTYPES.update({"F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32})
DTYPES.update({"F32": 32, "F64": 64, "I64": 64, "U64": 64, "C64": 64})
EXTENT = 2**20  # the largest extent of anything
ACTIVATIONS = ("relu", "relu6", "hardtanh", "sigmoid", "prelu", "rprelu")


class Refused(Exception):
    """The bytes are no model."""


def demand(condition: bool, why: str) -> None:
    if not condition:
        raise Refused(why)


class Negative(int):
    """A number that is written with a minus sign, -0 among them: no integer >= 0."""


def strict_json(text: bytes) -> Any:
    """One JSON value: no duplicate keys, no NUL, at most 8 levels and 2^20 values, numbers of their own kind."""

    def integer(digits: str) -> Any:
        value = int(digits)
        if digits.startswith("-"):
            return Negative(value) if value >= -(2**63) else float(value)
        return value if value < 2**64 else float(value)

    def number(digits: str) -> float:
        demand(math.isfinite(float(digits)), "a number is too large")
        return float(digits)

    def pairs(items: List) -> Dict:
        demand(len(dict(items)) == len(items), "duplicate key")
        return dict(items)

    def constant(name: str) -> None:
        raise Refused(f"{name} is no JSON")

    demand(b"\0" not in text and not text.startswith(b"\xef\xbb\xbf"), "NUL or byte order mark")
    try:
        decoded = text.decode("utf-8")
        value = json.loads(decoded, parse_int=integer, parse_float=number, parse_constant=constant, object_pairs_hook=pairs)
        decoded.encode("utf-8")
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # lone surrogates cannot be encoded
    except (ValueError, RecursionError) as error:
        raise Refused(f"malformed JSON: {error}") from error
    demand(_count(value, 0) <= 2**20, "too many values")
    return value


def _count(value: Any, level: int) -> int:
    if not isinstance(value, (dict, list)):
        return 1
    demand(level < 8, "nested too deep")
    return 1 + sum(_count(item, level + 1) for item in (value.values() if isinstance(value, dict) else value))


class Tensor(NamedTuple):
    dtype: str
    shape: List[int]
    begin: int
    end: int


def _unsigned(value: Any, most: int) -> int:
    demand(isinstance(value, int) and not isinstance(value, (bool, Negative)) and value <= most, f"no integer up to {most}")
    return value


def _tensor(entry: Any, data: int) -> Tensor:
    demand(isinstance(entry, dict) and set(entry) == {"dtype", "shape", "data_offsets"}, "fields of a tensor")
    demand(isinstance(entry["dtype"], str) and entry["dtype"] in DTYPES, "dtype")
    demand(isinstance(entry["shape"], list) and len(entry["shape"]) <= 8, "shape")
    elements = 1
    for extent in entry["shape"]:
        elements *= _unsigned(extent, 2**24)
        demand(elements <= 2**31, "too many elements")
    offsets = entry["data_offsets"]
    demand(isinstance(offsets, list) and len(offsets) == 2, "data_offsets")
    begin, end = (_unsigned(offset, 2**64 - 1) for offset in offsets)
    bits = elements * DTYPES[entry["dtype"]]
    demand(begin <= end <= data and bits % 8 == 0 and end - begin == bits // 8, "data_offsets")
    return Tensor(entry["dtype"], entry["shape"], begin, end)


def container(content: bytes):
    """Metadata, tensors and data section of a safetensors file."""
    demand(len(content) >= 10 and content[8:9] == b"{", "no safetensors file")
    length = int.from_bytes(content[:8], "little")
    demand(2 <= length <= min(10**8, len(content) - 8), "header length")
    header, data = strict_json(content[8 : 8 + length]), content[8 + length :]
    metadata = header.pop("__metadata__", {})
    demand(isinstance(metadata, dict) and all(isinstance(text, str) for text in metadata.values()), "__metadata__")
    tensors = {name: _tensor(entry, len(data)) for name, entry in header.items()}
    position = 0
    for tensor in sorted(tensors.values(), key=lambda t: (t.begin, t.end)):
        demand(tensor.begin == position, "hole or overlap")
        position = tensor.end
    demand(position == len(data), "trailing bytes")
    return metadata, tensors, data


def _fields(value: Any, required: set, optional: set = frozenset()) -> Dict[str, Any]:
    demand(isinstance(value, dict) and required <= set(value) <= required | optional, f"fields {sorted(required)}")
    return value


def _text(value: Any, most: int, least: int = 0) -> str:
    demand(isinstance(value, str) and least <= len(value.encode()) <= most, "text")
    turns = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    demand(not any(unicodedata.category(c) in ("Cc", "Zl", "Zp") or c in turns for c in value), "not printable")
    return value


_DEVICE = r"(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])(?![^.])"  # of Windows


def _name(value: Any, pattern: str = r"[A-Za-z0-9_.]{1,128}") -> str:
    demand(isinstance(value, str) and re.fullmatch(pattern, value) is not None, f"name {value!r}")
    return value


def _list(value: Any, least: int, most: int) -> List:
    demand(isinstance(value, list) and least <= len(value) <= most, "list")
    return value


class Value(NamedTuple):
    kind: str  # float, bits, integer
    channels: int
    height: int  # for the self-test's photo; 0 without one
    width: int


class Graph:
    """Nodes and weights under examination; ``values`` are those of the nodes so far."""

    def __init__(self, tensors: Dict[str, Tensor], data: bytes, size):
        self.tensors, self.data, self.size = tensors, data, size
        self.values: List[Value] = []
        self.used = set()
        for name, tensor in tensors.items():
            _name(name)
            demand(tensor.dtype in ("F32", "F16", "U64", "U8"), "dtype of a weight")
            if tensor.dtype.startswith("F"):
                array = np.frombuffer(data[tensor.begin : tensor.end], "<f4" if tensor.dtype == "F32" else "<f2")
                demand(bool(np.isfinite(array).all()), "weight is not finite")

    def floats(self, name: Any, shape: List[int]) -> None:
        demand(_name(name) in self.tensors, "no such weight")
        tensor = self.tensors[name]
        demand(tensor.dtype in ("F32", "F16") and tensor.shape == shape, "float weight")
        self.used.add(name)

    def signs(self, name: Any, shape: List[int], channels: int) -> None:
        demand(_name(name) in self.tensors, "no such weight")
        tensor = self.tensors[name]
        words = tensor.dtype == "U64"
        demand(words or tensor.dtype == "U8", "signs")
        last = tensor.shape[-1] if words or not tensor.shape else -(-tensor.shape[-1] // 8)
        demand([*tensor.shape[:-1], last] == [*shape, -(-channels // 64)], "shape of signs")
        rows = np.frombuffer(self.data[tensor.begin : tensor.end], np.uint8).reshape(math.prod(shape), -1)
        demand(not np.unpackbits(rows, axis=1, bitorder="little")[:, channels:].any(), "tail bits")
        self.used.add(name)

    def optional(self, node: Dict, fields: Dict[str, int]) -> None:
        for field, channels in fields.items():
            if field in node:
                self.floats(node[field], [channels])

    def output_channels(self, name: Any) -> int:
        demand(_name(name) in self.tensors and bool(self.tensors[name].shape), "no such weight")
        channels = self.tensors[name].shape[0]
        demand(1 <= channels <= EXTENT, "output channels")
        return channels

    def activation(self, node: Dict, channels: int) -> None:
        if "activation" not in node:
            return
        spec = _fields(node["activation"], {"kind"}, {"slope", "shift_in", "shift_out"})
        demand(isinstance(spec["kind"], str) and spec["kind"] in ACTIVATIONS, "activation")
        demand(("slope" in spec) == (spec["kind"] in ("prelu", "rprelu")), "slope")
        demand({"shift_in", "shift_out"} & set(spec) == ({"shift_in", "shift_out"} if spec["kind"] == "rprelu" else set()), "shift")
        self.optional(spec, dict.fromkeys(("slope", "shift_in", "shift_out"), channels))


def _pair(value: Any, least: int) -> List[int]:
    for extent in _list(value, 2, 2):
        demand(_unsigned(extent, EXTENT) >= least, "extent")
    return value


def _window(node: Dict, x: Value) -> List[int]:
    """Height and width behind the window; 0 where there is no photo."""
    kernel, stride, dilation = (_pair(node[field], 1) for field in ("kernel", "stride", "dilation"))
    padding = [_unsigned(side, EXTENT) for side in _list(node["padding"], 4, 4)]
    if not x.height:
        return [0, 0]
    sizes = []
    for axis, extent in enumerate((x.height, x.width)):
        rest = extent + padding[2 * axis] + padding[2 * axis + 1] - dilation[axis] * (kernel[axis] - 1) - 1
        demand(rest >= 0, "the window does not fit")
        sizes.append(rest // stride[axis] + 1)
    return sizes


def convolution(graph: Graph, node: Dict, inputs: List[Value], binary: bool) -> Value:
    fields = {"kernel", "stride", "dilation", "padding", "groups", "weight"} | ({"output"} if binary else set())
    _fields(node, {"op", "name", "inputs"} | fields, {"scale", "bias", "activation"} | ({"alpha"} if binary else set()))
    kind = node["output"] if binary else "float"
    demand(isinstance(kind, str) and kind in ("integer", "float", "bits"), "output")
    demand(1 <= len(inputs) <= (2 if kind == "float" else 1) and inputs[0].kind == ("bits" if binary else "float"), "inputs")
    x, out, groups = inputs[0], graph.output_channels(node["weight"]), _unsigned(node["groups"], EXTENT)
    size = _window(node, x)
    demand(1 <= groups and x.channels % groups == 0 and out % groups == 0, "groups")
    taps, depth = math.prod(node["kernel"]), x.channels // groups
    demand(taps * depth <= 2**24 and (not binary or taps <= 2**16), "kernel too large")
    if binary:
        graph.signs(node["weight"], [out, *node["kernel"]], depth)
    else:
        graph.floats(node["weight"], [out, *node["kernel"], depth])
    graph.optional(node, {"alpha": out, "scale": out, "bias": out})
    demand("scale" not in node or "bias" in node, "scale needs bias")
    demand(kind == "float" or "activation" not in node, "activation")
    demand(kind != "integer" or not {"alpha", "scale", "bias"} & set(node), "affine of an integer output")
    graph.activation(node, out)
    if len(inputs) == 2:
        demand(inputs[1] == Value("float", out, *size), "residual")
    return Value(kind, out, *size)


def resize(graph: Graph, node: Dict, inputs: List[Value]) -> Value:
    _fields(node, {"op", "name", "inputs", "mode"}, {"factor", "size"})
    demand(isinstance(node["mode"], str) and node["mode"] in ("bilinear", "nearest"), "mode")
    demand(1 <= len(inputs) <= 2 and ("factor" in node) + ("size" in node) + (len(inputs) == 2) == 1, "one of three")
    x = inputs[0]
    demand(x.kind == "float" or (x.kind == "bits" and node["mode"] == "nearest"), "type")
    if "factor" in node:
        factor = _unsigned(node["factor"], EXTENT)
        demand(factor >= 1, "factor")
        return Value(x.kind, x.channels, x.height * factor, x.width * factor)
    if "size" in node:
        size = _pair(node["size"], 1)
        return Value(x.kind, x.channels, *(size if x.height else (0, 0)))
    return Value(x.kind, x.channels, inputs[1].height, inputs[1].width)


def binarize(graph: Graph, node: Dict, inputs: List[Value]) -> Value:
    _fields(node, {"op", "name", "inputs"}, {"scale", "shift"})
    demand(len(inputs) == 1 and inputs[0].kind == "float", "inputs")
    graph.optional(node, dict.fromkeys(("scale", "shift"), inputs[0].channels))
    demand("scale" not in node or "shift" in node, "scale needs shift")
    return inputs[0]._replace(kind="bits")


def concat(graph: Graph, node: Dict, inputs: List[Value]) -> Value:
    _fields(node, {"op", "name", "inputs"})
    demand(bool(inputs) and inputs[0].kind in ("float", "bits"), "inputs")
    demand(all(x._replace(channels=0) == inputs[0]._replace(channels=0) for x in inputs), "sizes or types")
    return inputs[0]._replace(channels=sum(x.channels for x in inputs))


def source(graph: Graph, node: Dict, inputs: List[Value]) -> Value:
    _fields(node, {"op", "name", "inputs", "channels"})
    demand(not inputs and _unsigned(node["channels"], EXTENT) >= 1, "input")
    return Value("float", node["channels"], *graph.size)


OPERATIONS = {
    "input": source,
    "conv2d": lambda graph, node, inputs: convolution(graph, node, inputs, False),
    "binary_conv2d": lambda graph, node, inputs: convolution(graph, node, inputs, True),
    "binarize": binarize,
    "resize": resize,
    "concat": concat,
}


def _nodes(graph: Graph, nodes: Any) -> None:
    for index, node in enumerate(_list(nodes, 1, 2**14)):
        demand(isinstance(node, dict) and {"op", "name", "inputs"} <= set(node), "fields of a node")
        _name(node["name"])
        demand(isinstance(node["op"], str) and node["op"] in OPERATIONS and (node["op"] == "input") == (index == 0), "op")
        inputs = [_unsigned(i, index - 1) for i in _list(node["inputs"], 0, 64)]
        value = OPERATIONS[node["op"]](graph, node, [graph.values[i] for i in inputs])
        demand(value.channels <= EXTENT and max(value.height, value.width) <= EXTENT, "too large")
        demand(value.height * value.width * value.channels <= 2**31, "too many elements")
        graph.values.append(value)
    demand(graph.used == set(graph.tensors), "a weight that no node uses")


def _outputs(graph: Graph, outputs: Any) -> None:
    tasks = set()
    for output in _list(outputs, 1, 64):
        classes = isinstance(output, dict) and output.get("kind") == "classes"
        _fields(output, {"task", "node", "kind"} | ({"class_names"} if classes else set()))
        task = _name(output["task"], rf"(?![.]|{_DEVICE})[A-Za-z0-9_.]{{1,128}}(?<![.])").lower()
        demand(task not in tasks, "two outputs for a task")
        tasks.add(task)
        value = graph.values[_unsigned(output["node"], len(graph.values) - 1)]
        demand(isinstance(output["kind"], str) and output["kind"] in ("classes", "depth", "normals", "edges", "raw"), "kind")
        demand(output["kind"] == "raw" or value.kind == "float", "type of an output")
        if classes:
            names = _list(output["class_names"], 1, 2**16)
            demand([len(_text(name, 128, 1)) > 0 for name in names] == [True] * value.channels, "class_names")
        demand(value.channels == {"depth": 1, "edges": 1, "normals": 3}.get(output["kind"], value.channels), "channels")


def _preprocessing(value: Any, stride: int) -> None:
    value = _fields(value, {"mean", "std", "height", "width"})
    for field in ("mean", "std"):
        for number in _list(value[field], 3, 3):
            demand(isinstance(number, (int, float)) and not isinstance(number, bool), field)
    for mean, deviation in zip(value["mean"], value["std"]):
        demand(deviation > 0, "std")
        worst = max(abs(0 - float(mean)), abs(1 - float(mean))) / float(deviation)
        demand(worst <= float(np.finfo(np.float32).max), "std too small")
    demand(all(_unsigned(value[side], EXTENT) % stride == 0 for side in ("height", "width")), "preferred size")


def _self_test(value: Any, nodes: Any, stride: int):
    """Height and width of the photo; 0 for an unchecked file."""
    if isinstance(value, dict) and "unchecked" in value:
        demand(_fields(value, {"unchecked"})["unchecked"] is True, "unchecked")
        return 0, 0
    value = _fields(value, {"height", "width", "seed", "digests"})
    _unsigned(value["seed"], 2**64 - 1)
    for digest in _list(value["digests"], len(nodes), len(nodes)):
        _name(digest, r"[0-9a-f]{32}")
    size = [_unsigned(value[side], EXTENT) for side in ("height", "width")]
    demand(all(extent >= 1 and extent % stride == 0 for extent in size), "size of the self-test")
    return size


def check(content: bytes) -> None:
    """Raises ``Refused`` unless the bytes are a model file."""
    metadata, tensors, data = container(content)
    demand(set(metadata) == {"bimtdp", "bimtdp_hash"}, "keys of __metadata__")
    text = metadata["bimtdp"].encode()
    demand(metadata["bimtdp_hash"] == xxhash.xxh3_128_hexdigest(text), "bimtdp_hash")
    model = _fields(
        strict_json(text),
        {"format_version", "name", "producer", "licence", "provenance", "preprocessing", "stride", "nodes", "outputs"}
        | {"tensors_hash", "self_test"},
    )
    demand(_unsigned(model["format_version"], 2**64 - 1) == 1, "format_version")
    _name(model["name"], rf"(?![.-]|{_DEVICE})[A-Za-z0-9_.-]{{1,128}}(?<![.-])")
    _text(model["producer"], 256)
    _text(model["licence"], 4096)
    demand(isinstance(model["provenance"], dict) and len(model["provenance"]) <= 256, "provenance")
    for key, value in model["provenance"].items():
        _text(key, 128)
        _text(value, 65536)
    demand(_unsigned(model["stride"], EXTENT) >= 1, "stride")
    _preprocessing(model["preprocessing"], model["stride"])
    demand(_name(model["tensors_hash"], r"[0-9a-f]{32}") == xxhash.xxh3_128_hexdigest(data), "tensors_hash")
    nodes = _list(model["nodes"], 1, 2**14)
    graph = Graph(tensors, data, _self_test(model["self_test"], nodes, model["stride"]))
    _nodes(graph, nodes)
    demand(graph.size[0] == 0 or graph.values[0].channels == 3, "photos have 3 channels")
    _outputs(graph, model["outputs"])
