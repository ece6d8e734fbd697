#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/data/bad_models.safetensors: a small model and many that are wrong in one way each, a tensor of bytes a file.

  python tests/python/make_bad_models.py                                          after a change of the format or a new case
  build/release/tests/test_bad_models "[.golden]" > tests/data/bad_models.txt     then read what changed in it

The C++ reader must say of each what stands in tests/data/bad_models.txt; a second reader in Python must accept and refuse
the same. The classes of faults are those of published advisories on model loaders.
"""

import copy
import json
import struct
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Optional

import numpy as np
import xxhash

CORPUS = Path(__file__).resolve().parents[1] / "data" / "bad_models.safetensors"
# Values that every field of the small model's JSON gets in turn.
SEEDS = [0, 1, -1, 1.5, 2, 3, 65, 2**20, 2**20 + 1, 2**31, 2**32, 2**63, 2**64 - 1, True, None, "", "a", "stem.weight"]
SEEDS += ["x" * 200, "../x", "\x1b[2J", "bilinear", "float", [], {}, [1, 1], [0, 0, 0, 0]]
# Of the base's nodes on its self-test photo, as the reference kernels compute them.
DIGESTS = [
    "8436d92fe26c3a2dd4eedb1acb0db280",
    "90177007ccdd151ec03d6471673b9308",
    "50469e58f10cf09eb018513233aa34ab",
    "777bc206ed7ee37b19368b4c71cdfad4",
    "777bc206ed7ee37b19368b4c71cdfad4",
    "fe8176125c3d0b8f75118b477d4cc3ec",
    "4ddd469b68dad31ceae9f1a39bf0200d",
    "0e43faac318be13c99d6e8b543214c22",
    "ebd3757cc14371149594635465f34455",
]


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


class Draft:
    """A model file in parts that can be changed; ``content`` puts it together, with hashes that are right unless given."""

    def __init__(self) -> None:
        self.model = model()
        self.tensors = weights()
        self.entries: Dict[str, Any] = {}
        self.data = b""
        for name, array in sorted(self.tensors.items(), key=lambda item: (-item[1].itemsize, item[0])):
            dtype = {"float32": "F32", "uint64": "U64"}[array.dtype.name]
            end = len(self.data) + array.nbytes
            self.entries[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [len(self.data), end]}
            self.data += array.tobytes()
        self.text: Optional[str] = None  # instead of the model's JSON
        self.metadata: Optional[Dict[str, Any]] = None
        self.header: Optional[bytes] = None
        self.tensors_hash: Optional[str] = None
        self.length: Optional[int] = None
        self.tail = b""

    def content(self) -> bytes:
        self.model["tensors_hash"] = self.tensors_hash or xxhash.xxh3_128_hexdigest(self.data)
        text = canonical(self.model) if self.text is None else self.text
        metadata = {"bimtdp": text, "bimtdp_hash": xxhash.xxh3_128_hexdigest(text.encode("utf-8", "surrogatepass"))}
        header = canonical({"__metadata__": metadata if self.metadata is None else self.metadata, **self.entries}).encode()
        header = header if self.header is None else self.header
        header += b" " * (-(8 + len(header)) % 64)
        return struct.pack("<Q", len(header) if self.length is None else self.length) + header + self.data + self.tail


def weights() -> Dict[str, np.ndarray]:
    def floats(*shape: int) -> np.ndarray:
        return (np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape) % 7 - 3) / 4

    signs = (np.arange(4 * 9, dtype=np.uint64) * 2654435761 % 16).reshape(4, 3, 3, 1).astype(np.uint64)
    return {
        "stem.weight": floats(4, 3, 3, 3),
        "stem.bias": floats(4),
        "sign.shift": floats(4),
        "body.weight": signs,
        "body.alpha": floats(4),
        "head.weight": floats(3, 1, 1, 8),
        "metres.weight": floats(1, 1, 1, 8),
        "metres.slope": floats(1),
    }


def model() -> Dict[str, Any]:
    window = {"kernel": [1, 1], "stride": [1, 1], "dilation": [1, 1], "padding": [0, 0, 0, 0], "groups": 1}
    three = {**window, "kernel": [3, 3], "padding": [1, 1, 1, 1]}
    slope = {"kind": "prelu", "slope": "metres.slope"}
    nodes = [
        {"op": "input", "name": "image", "inputs": [], "channels": 3},
        {"op": "conv2d", "name": "stem", "inputs": [0], **three, "stride": [2, 2], "weight": "stem.weight", "bias": "stem.bias"},
        {"op": "binarize", "name": "sign", "inputs": [1], "shift": "sign.shift"},
        {"op": "binary_conv2d", "name": "body", "inputs": [2, 1], **three, "weight": "body.weight", "output": "float"},
        {"op": "resize", "name": "up", "inputs": [3, 1], "mode": "bilinear"},
        {"op": "concat", "name": "joined", "inputs": [3, 4]},
        {"op": "conv2d", "name": "head", "inputs": [5], **window, "weight": "head.weight"},
        {"op": "resize", "name": "maps", "inputs": [6], "mode": "bilinear", "factor": 2},
        {"op": "conv2d", "name": "metres", "inputs": [5], **window, "weight": "metres.weight", "activation": slope},
    ]
    nodes[3]["alpha"] = "body.alpha"
    test = {"height": 8, "width": 12, "seed": 1, "digests": list(DIGESTS)}
    return {
        "format_version": 1,
        "name": "small",
        "producer": "tests",
        "licence": "Apache-2.0",
        "provenance": {"data": "none"},
        "preprocessing": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "height": 8, "width": 8},
        "stride": 4,
        "nodes": nodes,
        "outputs": [
            {"task": "semseg", "node": 7, "kind": "classes", "class_names": ["wall", "floor", "b\u00e9d"]},
            {"task": "depth", "node": 8, "kind": "depth"},
        ],
        "self_test": test,
    }


CASES: Dict[str, Callable[[], bytes]] = {}


def add(name: str, make: Callable[[], bytes]) -> None:
    assert name not in CASES, name
    CASES[name] = make


def raw(name: str, content: bytes) -> None:
    add(name, lambda: content)


def draft(name: str, change: Callable[[Draft], Any]) -> None:
    def make() -> bytes:
        made = Draft()
        change(made)
        return made.content()

    add(name, make)


def field(name: str, path: str, value: Any = None, remove: bool = False) -> None:
    """The small model with one value of its JSON replaced, added or removed."""

    def change(made: Draft) -> None:
        *parents, last = [int(key) if key.isdigit() else key for key in path.split("/")]
        at = made.model
        for key in parents:
            at = at[key]
        if remove:
            del at[last]
        else:
            at[last] = copy.deepcopy(value)

    draft(name, change)


def entry(name: str, tensor: str, **changes: Any) -> None:
    """The small model with another description of a tensor."""
    draft(name, lambda made: made.entries[tensor].update(changes))


def header(name: str, text: str, data: bytes = b"") -> None:
    """A container with this header alone."""

    def change(made: Draft) -> None:
        made.header, made.data = text.encode(), data

    draft(name, change)


def text(name: str, change: Callable[[str], str]) -> None:
    """The small model whose JSON text is edited as text; the hash is right."""

    def make(made: Draft) -> None:
        made.content()
        made.text = change(canonical(made.model))

    draft(name, make)


def set_data(made: Draft, tensor: str, offset: int, value: bytes) -> None:
    begin = made.entries[tensor]["data_offsets"][0] + offset
    made.data = made.data[:begin] + value + made.data[begin + len(value) :]


def other_files() -> None:
    raw("start.empty", b"")
    raw("start.nine_bytes", b"\0" * 9)
    raw("start.zeros", b"\0" * 4096)
    raw("start.lfs_pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    raw("start.html", b"\n <!DOCTYPE html><html></html>")
    raw("start.xml", b"<?xml version='1.0'?><Error>AccessDenied</Error>")
    raw("start.zip", b"PK\x03\x04 archive/data.pkl")
    raw("start.pickle", b"\x80\x02}q\x01(X\x05\x00\x00\x00model")
    raw("start.gguf", b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0")
    raw("start.elf", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0")
    raw("start.escape_sequences", b"\x1b]0;owned\x07\x1b[2J" * 4)
    raw("start.length_0", struct.pack("<Q", 0) + b"{}")
    raw("start.length_1", struct.pack("<Q", 1) + b"{}")
    for name, length in (("2_31", 2**31), ("2_32", 2**32), ("2_63", 2**63), ("2_64_less_1", 2**64 - 1), ("100_million", 10**8)):
        draft(f"start.length_{name}", lambda made, n=length: setattr(made, "length", n))
    draft("start.length_less_1", lambda made: setattr(made, "length", len(Draft().content()) - 8 - len(made.data) - 65))
    draft("start.no_data", lambda made: setattr(made, "data", b""))
    draft("end.one_byte_more", lambda made: setattr(made, "tail", b"\0"))
    draft("end.another_file_behind", lambda made: setattr(made, "tail", b"PK\x03\x04 a polyglot"))


def headers() -> None:
    header("header.empty", "{}")
    header("header.two_values", "{} {}")
    header("header.open", '{"a":{')
    header("header.bytes_no_utf8", "{}")
    CASES["header.bytes_no_utf8"] = lambda: struct.pack("<Q", 10) + b'{"\xff":1}   '[:10]
    header("header.nul", '{"a":1}\0')
    header("header.comment", "{/**/}")
    header("header.nan", '{"a":NaN}')
    header("header.deep", '{"a":' + "[" * 200 + "]" * 200 + "}")
    header("header.depth_9", '{"a":' * 9 + "1" + "}" * 9)
    header("header.tensor_is_number", '{"a":5}')
    header("header.metadata_is_number", '{"__metadata__":5}')
    header("header.metadata_value_is_number", '{"__metadata__":{"bimtdp":5}}')
    header("header.metadata_value_is_object", '{"__metadata__":{"bimtdp":{}}}')
    one = '"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}'
    header("header.duplicate_tensor", "{" + one + "," + one + "}", bytes(4))
    header("header.duplicate_dtype", '{"a":{"dtype":"F32","dtype":"F32","shape":[],"data_offsets":[0,4]}}', bytes(4))
    header("header.no_metadata", "{" + one + "}", bytes(4))
    header("header.name_with_escapes", '{"\\u001b[31mred":{"dtype":"F32","shape":[],"data_offsets":[0,5]}}', bytes(4))
    header("header.name_long", '{"' + "n" * 2000 + '":{}}')
    draft("header.no_bimtdp", lambda made: setattr(made, "metadata", {"format": "pt"}))
    draft("header.no_hash", lambda made: setattr(made, "metadata", {"bimtdp": "{}"}))
    draft("header.wrong_hash", lambda made: setattr(made, "metadata", {"bimtdp": "{}", "bimtdp_hash": "0" * 32}))
    draft("header.third_key", lambda made: setattr(made, "metadata", {"bimtdp": "{}", "bimtdp_hash": "", "x": ""}))
    draft("header.metadata_as_tensor", lambda made: made.entries.update({"metadata": made.entries.pop("stem.bias")}))


def shapes_and_offsets() -> None:
    for name, value in (("2_24_1", 2**24 + 1), ("2_31", 2**31), ("2_32", 2**32), ("2_63", 2**63), ("2_64_less_1", 2**64 - 1)):
        entry(f"shape.{name}", "stem.bias", shape=[value])
        entry(f"shape.{name}_times_0", "stem.bias", shape=[value, 0], data_offsets=[0, 0])
    entry("shape.product_wraps_to_0", "stem.bias", shape=[2**24, 2**24, 2**16], data_offsets=[0, 0])
    entry("shape.rank_9", "stem.bias", shape=[1] * 8 + [4])
    for name, value in (("negative", -4), ("fraction", 4.0), ("text", "4"), ("null", None), ("list", [4]), ("2_64", 2**64)):
        entry(f"shape.{name}", "stem.bias", shape=[value])
    entry("shape.no_list", "stem.bias", shape=4)
    entry("shape.other", "stem.bias", shape=[5])
    entry("shape.transposed", "head.weight", shape=[8, 1, 1, 3])
    entry("dtype.unknown", "stem.bias", dtype="F33")
    entry("dtype.number", "stem.bias", dtype=32)
    entry("dtype.escapes", "stem.bias", dtype="\u001b[0m")
    entry("dtype.half_as_wide", "stem.bias", dtype="F16")
    entry("dtype.same_width", "stem.bias", dtype="I32")
    entry("dtype.signs_for_floats", "stem.weight", dtype="U8", shape=[4, 3, 3, 12])
    entry("dtype.floats_for_signs", "body.weight", dtype="F32", shape=[4, 3, 3, 2])
    entry("dtype.half_a_byte", "stem.bias", dtype="F4", shape=[3], data_offsets=[0, 1])
    start, end = Draft().entries["stem.bias"]["data_offsets"]
    for name, offsets in (
        ("reversed", [end, start]),
        ("behind_the_end", [start + 10**6, end + 10**6]),
        ("overlap", [start - 4, end - 4]),
        ("hole", [start + 4, end + 4]),
        ("wraps", [2**64 - 16, 0]),
        ("near_2_64", [2**64 - 32, 2**64 - 16]),
        ("negative", [-16, 0]),
        ("fraction", [0.0, 16.0]),
        ("one", [start]),
        ("three", [start, end, end]),
        ("no_list", 16),
    ):
        entry(f"offsets.{name}", "stem.bias", data_offsets=offsets)
    entry("tensor.unknown_key", "stem.bias", scale=1)
    draft("tensor.missing_key", lambda made: made.entries["stem.bias"].pop("dtype"))
    draft("tensor.missing", lambda made: made.entries.pop("stem.bias"))
    draft("tensor.unused", lambda made: made.entries.update(extra=dict(made.entries["stem.bias"], shape=[0], data_offsets=[0, 0])))
    draft("tensor.bad_name", lambda made: made.entries.update({"../x": made.entries.pop("stem.bias")}))


def texts() -> None:
    text("json.cut", lambda t: t[:-1])
    text("json.empty", lambda t: "")
    text("json.list", lambda t: "[]")
    text("json.two_values", lambda t: t + t)
    text("json.duplicate_key", lambda t: t[:-1] + ',"stride":4}')
    text("json.duplicate_key_in_node", lambda t: t.replace('"op":"concat"', '"op":"concat","op":"concat"'))
    text("json.byte_order_mark", lambda t: "\ufeff" + t)
    text("json.lone_surrogate", lambda t: t.replace('"small"', '"\\ud800"'))
    text("json.huge_number", lambda t: t.replace('"stride":4', '"stride":1e999'))
    text("json.minus_zero", lambda t: t.replace('"stride":4', '"stride":-0'))
    text("json.deep", lambda t: t.replace('"stride":4', '"stride":' + "[" * 20 + "]" * 20))
    text("json.trailing_comma", lambda t: t[:-1] + ",}")
    text("json.single_quotes", lambda t: t.replace('"', "'"))
    for name, value in (("2", 2), ("0", 0), ("future", 2**63), ("fraction", 1.0), ("text", "1"), ("null", None)):
        field(f"version.{name}", "format_version", value)
    for key in ("format_version", "name", "licence", "provenance", "preprocessing", "stride", "nodes", "outputs", "self_test"):
        field(f"missing.{key}", key, remove=True)
    field("unknown.field", "pickle", "x")
    field("unknown.url", "weights_url", "file:///etc/passwd")
    for name, value in (
        ("parent", "../../x"),
        ("absolute", "/etc/cron.d/x"),
        ("backslashes", "..\\x"),
        ("drive", "C:x"),
        ("dot", "."),
        ("two_dots", ".."),
        ("hidden", ".x"),
        ("ends_in_dot", "x."),
        ("device", "CON.v1"),
        ("option", "-rf"),
        ("empty", ""),
        ("long", "n" * 129),
        ("escape", "\u001b[2J"),
        ("newline", "a\nb"),
        ("nul", "a\0b"),
        ("accent", "\u00e9"),
        ("number", 7),
    ):
        field(f"name.{name}", "name", value)
        field(f"task.{name}", "outputs/1/task", value)
        if "dot" not in name and name not in ("hidden", "device"):  # a node's name becomes no file
            field(f"node_name.{name}", "nodes/1/name", value)
    for place, most in (("producer", 256), ("licence", 4096), ("provenance/data", 65536), ("outputs/0/class_names/1", 128)):
        short = place.replace("/", ".")
        field(f"{short}.escape", place, "\u001b]0;owned\u0007")
        field(f"{short}.c1_control", place, "\u009b2J")
        field(f"{short}.right_to_left", place, "cod\u202eexe")
        field(f"{short}.line_separator", place, "a\u2028b")
        field(f"{short}.long", place, "n" * (most + 1))
    field("provenance.key_escape", "provenance", {"\u001b[1m": "x"})
    field("provenance.no_object", "provenance", [])
    field("provenance.many", "provenance", {f"k{i}": "" for i in range(257)})


def graphs() -> None:
    for key in ("stride", "dilation", "kernel", "groups"):
        field(f"zero.{key}", f"nodes/1/{key}", 0 if key == "groups" else [0, 1])
    field("zero.channels", "nodes/0/channels", 0)
    field("zero.factor", "nodes/7/factor", 0)
    field("zero.size", "nodes/7", {"op": "resize", "name": "maps", "inputs": [6], "mode": "bilinear", "size": [0, 4]})
    field("zero.model_stride", "stride", 0)
    field("zero.std", "preprocessing/std", [0.2, 0, 0.2])
    field("negative.std", "preprocessing/std", [0.2, -0.2, 0.2])
    field("tiny.std", "preprocessing/std", [0.2, 1e-300, 0.2])
    field("text.mean", "preprocessing/mean", [0.5, "0.5", 0.5])
    field("two.means", "preprocessing/mean", [0.5, 0.5])
    field("preferred.no_multiple", "preprocessing/height", 9)
    for name, value in (("2_20_1", 2**20 + 1), ("2_32", 2**32), ("2_63", 2**63), ("negative", -1), ("fraction", 1.5)):
        field(f"kernel.{name}", "nodes/1/kernel", [3, value])
        field(f"padding.{name}", "nodes/1/padding", [1, 1, 1, value])
        field(f"factor.{name}", "nodes/7/factor", value)
    field("kernel.2_20", "nodes/1/kernel", [2**20, 2**20])
    field("factor.2_20", "nodes/7/factor", 2**20)
    field("window.does_not_fit", "nodes/1/dilation", [1000, 1000])
    field("groups.no_divisor", "nodes/1/groups", 2)
    field("input.later", "nodes/1/inputs", [2])
    field("input.itself", "nodes/1/inputs", [1])
    field("input.2_64_less_1", "nodes/1/inputs", [2**64 - 1])
    field("input.negative", "nodes/1/inputs", [-1])
    field("input.none", "nodes/5/inputs", [])
    field("input.65", "nodes/5/inputs", [3] * 65)
    field("input.of_the_wrong_type", "nodes/3/inputs", [1, 1])
    field("input.of_the_source", "nodes/0/inputs", [0])
    field("input.sizes_differ", "nodes/5/inputs", [3, 0])
    field("op.unknown", "nodes/1/op", "conv3d")
    field("op.missing", "nodes/1/op", remove=True)
    field("op.second_input", "nodes/1/op", "input")
    field("op.escape", "nodes/1/op", "\u001b[5m")
    field("node.unknown_field", "nodes/2/__class__", "x")
    field("node.missing_field", "nodes/1/weight", remove=True)
    field("node.no_object", "nodes/1", 5)
    field("nodes.none", "nodes", [])
    field("nodes.no_list", "nodes", {})
    field("weight.absent", "nodes/1/weight", "none")
    field("weight.of_another", "nodes/1/weight", "body.weight")
    field("weight.path", "nodes/1/weight", "../../etc/passwd")
    field("scale.without_bias", "nodes/6/scale", "metres.slope")
    field("output.unknown", "nodes/3/output", "double")
    field("activation.unknown", "nodes/8/activation/kind", "exec")
    field("activation.without_slope", "nodes/8/activation", {"kind": "prelu"})
    field("activation.shift_for_prelu", "nodes/8/activation/shift_in", "metres.slope")
    field("resize.two_ways", "nodes/7/size", [4, 4])
    field("outputs.none", "outputs", [])
    field("outputs.65", "outputs", [{"task": f"t{i}", "node": 8, "kind": "raw"} for i in range(65)])
    field("outputs.same_task", "outputs/1/task", "semseg")
    field("outputs.same_task_in_capitals", "outputs/1/task", "SemSeg")
    field("outputs.node_behind", "outputs/1/node", 9)
    field("outputs.of_bits", "outputs/1/node", 2)
    field("outputs.kind_unknown", "outputs/1/kind", "system")
    field("outputs.depth_of_3", "outputs/1/node", 7)
    field("outputs.normals_of_1", "outputs/1/kind", "normals")
    field("outputs.names_for_depth", "outputs/1/class_names", ["x"])
    field("outputs.names_missing", "outputs/0/class_names", remove=True)
    field("outputs.names_too_few", "outputs/0/class_names", ["wall", "floor"])
    field("outputs.name_empty", "outputs/0/class_names/0", "")
    field("self_test.false", "self_test", {"unchecked": False})
    field("self_test.digests_too_few", "self_test/digests", ["0" * 32])
    field("self_test.digest_short", "self_test/digests/3", "0" * 31)
    field("self_test.digest_capital", "self_test/digests/3", "A" * 32)
    field("self_test.no_multiple", "self_test/height", 7)
    field("self_test.zero", "self_test/height", 0)
    field("self_test.seed_negative", "self_test/seed", -1)
    draft("tensors_hash.other", lambda made: setattr(made, "tensors_hash", "0" * 32))
    draft("tensors_hash.short", lambda made: setattr(made, "tensors_hash", "0"))
    for name, value in (("nan", np.nan), ("infinity", np.inf)):
        draft(f"weight.{name}", lambda made, v=value: set_data(made, "stem.weight", 8, np.float32(v).tobytes()))
    draft("weight.tail_bit", lambda made: set_data(made, "body.weight", 8, b"\x10"))


def accepted() -> None:
    """Unusual, but models."""
    draft("accepted.base", lambda made: None)
    text("accepted.other_spacing", lambda t: t.replace(",", " ,\n\t"))
    field("accepted.unchecked", "self_test", {"unchecked": True})
    field("accepted.name_with_minus", "name", "my-model.v1")
    field("accepted.licence_in_letters", "licence", "\u00a9 \u0141ukasz, \u65e5\u672c")
    field("accepted.whole_mean", "preprocessing/mean", [0, 1, 0])
    field("accepted.long_self_test", "self_test/height", 2**20)  # verify() refuses what passes its limits


def all_cases() -> Dict[str, bytes]:
    if not CASES:
        for part in (accepted, other_files, headers, shapes_and_offsets, texts, graphs):
            part()
    return {name: make() for name, make in CASES.items()}


def corpus() -> bytes:
    """The cases as one safetensors file."""
    entries: Dict[str, Any] = {"__metadata__": {"seeds": canonical(SEEDS)}}
    data = b""
    for name, content in all_cases().items():
        entries[name] = {"dtype": "U8", "shape": [len(content)], "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = canonical(entries).encode()
    text += b" " * (-(8 + len(text)) % 64)
    return struct.pack("<Q", len(text)) + text + data


if __name__ == "__main__":
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else CORPUS
    path.write_bytes(corpus())
    print(f"{path}: {len(CASES)} cases, {path.stat().st_size} bytes")
