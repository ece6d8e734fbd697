# SPDX-License-Identifier: Apache-2.0
"""The model file: one safetensors file whose ``__metadata__`` holds canonical JSON under "bimtdp" and the XXH3-128 of that
text under "bimtdp_hash". ``check_texts`` says which names and sentences it may have, as the C++ reader does.

Byte-reproducible: sorted keys, a fixed order of tensors (F32, F16, U8, then by name), a header padded with spaces to a
multiple of 64 bytes, no dates. PyPI's safetensors reads it; its writer would choose another layout.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple

import numpy as np
import xxhash
from safetensors import SafetensorError, safe_open

from ..files import is_printable, write_bytes
from .errors import ModelFileError
from .ir import Node, Output, Parameter

_DTYPES = {"<f4": "F32", "<f2": "F16", "|u1": "U8"}


def canonical_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _layout(tensors: Mapping[str, np.ndarray]) -> Tuple[Dict[str, dict], bytes]:
    """Header entries and data section. Wide types come first, so that every tensor is aligned to its own type."""
    order = sorted(tensors, key=lambda name: (list(_DTYPES).index(tensors[name].dtype.newbyteorder("<").str), name))
    entries, parts, offset = {}, [], 0
    for name in order:
        array = np.ascontiguousarray(tensors[name])
        data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        dtype = _DTYPES[array.dtype.newbyteorder("<").str]
        entries[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [offset, offset + len(data)]}
        parts.append(data)
        offset += len(data)
    return entries, b"".join(parts)


def write_safetensors(path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str] = {}) -> int:
    """Writes the file whole or not at all; returns the number of bytes."""
    entries, data = _layout(tensors)
    header = canonical_json({**({"__metadata__": dict(metadata)} if metadata else {}), **entries}).encode()
    header += b" " * (-(8 + len(header)) % 64)
    content = len(header).to_bytes(8, "little") + header + data
    write_bytes(path, content)
    return len(content)


# A model's name becomes that of a folder, a task's that of a file; nodes and tensors are named like tasks, with dots anywhere.
_DEVICE = r"(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])(?![^.])"  # of Windows, whatever stands behind a dot
_NAMES = {
    "name": (
        rf"(?![.-]|{_DEVICE})[A-Za-z0-9_.-]{{1,128}}(?<![.-])",
        "1 to 128 of A-Z a-z 0-9 _ . -, with none of . - at the ends, and no device of Windows",
    ),
    "task": (
        rf"(?![.]|{_DEVICE})[A-Za-z0-9_.]{{1,128}}(?<![.])",
        "1 to 128 of A-Z a-z 0-9 _ ., with no dot at the ends, and no device of Windows",
    ),
    "node": (r"[A-Za-z0-9_.]{1,128}", "1 to 128 of A-Z a-z 0-9 _ ."),
}


def _check_name(kind: str, field: str, value: Any) -> None:
    pattern, expected = _NAMES[kind]
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise ModelFileError(f"{field} (got {str(value)[:64]!r}, expected {expected})")


def _check_text(field: str, value: Any, most: int, least: int = 0) -> None:
    if not isinstance(value, str) or not is_printable(value) or not least <= len(value.encode()) <= most:
        raise ModelFileError(f"{field} (got {str(value)[:64]!r}, expected {least} to {most} bytes of printable text on one line)")


def check_texts(description: Mapping[str, Any]) -> None:
    """Checks every name and sentence of a model file's JSON that is there. ModelFileError names the field."""
    _check_name("name", "name", description.get("name", "unnamed"))
    for field, most in (("producer", 256), ("licence", 4096)):
        _check_text(field, description.get(field, ""), most)
    provenance = description.get("provenance", {})
    if not isinstance(provenance, dict) or len(provenance) > 256:
        raise ModelFileError("provenance (expected an object of at most 256 fields)")
    for key, text in provenance.items():
        _check_text("provenance: key", key, 128)
        _check_text(f"provenance: {key}", text, 65536)
    for index, node in enumerate(description.get("nodes", [])):
        _check_name("node", f"node {index}: name", node["name"])
    tasks = set()
    for output in description.get("outputs", []):
        _check_name("task", "output: task", output["task"])
        if output["task"].lower() in tasks:
            raise ModelFileError(f"two outputs for the task '{output['task']}' (perhaps in capitals), expected one")
        tasks.add(output["task"].lower())
        for name in output.get("class_names", []):
            _check_text(f"output '{output['task']}': class_names", name, 128, 1)


def text_hash(text: str) -> str:
    """XXH3-128 of the JSON text."""
    return xxhash.xxh3_128_hexdigest(text.encode())


def write_model_file(path: Path, tensors: Mapping[str, np.ndarray], description: Mapping[str, Any]) -> int:
    """Writes a model file whole or not at all; returns the number of bytes. ModelFileError: a name or text is not allowed."""
    check_texts(description)
    text = canonical_json(description)
    return write_safetensors(path, tensors, {"bimtdp": text, "bimtdp_hash": text_hash(text)})


def tensors_hash(tensors: Mapping[str, np.ndarray]) -> str:
    """XXH3-128 of the data section."""
    return xxhash.xxh3_128_hexdigest(_layout(tensors)[1])


def is_model_file(path: Any) -> bool:
    """Whether a path (or None) is that of a converted model. A safetensors file of tensors alone is a checkpoint; one that
    cannot be read counts as a model, so that opening it tells why."""
    if path is None or Path(path).suffix != ".safetensors":
        return False
    try:
        with safe_open(path, "pt") as file:
            return "bimtdp" in (file.metadata() or {})
    except (OSError, SafetensorError):
        return True


def read_description(path: Path) -> Dict[str, Any]:
    """The JSON of a model file."""
    return _read(path, False)[0]


def read_model_file(path: Path) -> Tuple[Dict[str, Any], Dict[str, np.ndarray]]:
    """The JSON of a model file and its tensors by name, half precision as float32."""
    return _read(path, True)


def _read(path: Path, tensors: bool) -> Tuple[Dict[str, Any], Dict[str, np.ndarray]]:
    try:
        with safe_open(str(path), "numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()} if tensors else {}
    except SafetensorError as error:
        raise ModelFileError(f"{path}: no safetensors file: {error}") from error
    return _description(metadata, path), {
        name: array.astype(np.float32) if array.dtype == np.float16 else array for name, array in arrays.items()
    }


def _description(metadata: Mapping[str, str], path: Path) -> Dict[str, Any]:
    text, digest = metadata.get("bimtdp"), metadata.get("bimtdp_hash")
    if text is None:
        raise ModelFileError(f"{path}: a safetensors file, but no bimtdp model")
    if digest != text_hash(text):
        raise ModelFileError(f"{path}: bimtdp_hash: the text is damaged (got {text_hash(text)}, expected {digest})")
    try:
        description = json.loads(text)
        check_texts(description)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path}: {error}") from error
    return description


def _named_fields(value: Any, name: str, parameters: Dict[str, Parameter]) -> Any:
    """``value`` with every parameter replaced by the name under which it goes into ``parameters``."""
    if isinstance(value, dict):
        return {key: _named_fields(item, f"{name}.{key}", parameters) for key, item in value.items()}
    if isinstance(value, list):
        return [_named_fields(item, f"{name}.{index}", parameters) for index, item in enumerate(value)]
    if not isinstance(value, Parameter):
        return value
    parameters[name] = value
    return name


def describe_nodes(nodes: List[Node]) -> Tuple[List[dict], Dict[str, Parameter]]:
    """JSON of all nodes, and the parameters that they name."""
    index = {node: i for i, node in enumerate(nodes)}
    parameters: Dict[str, Parameter] = {}
    entries = []
    for node in nodes:
        fields = _named_fields(node.fields, node.name, parameters)
        entries.append({"op": node.op, "name": node.name, "inputs": [index[i] for i in node.inputs], **fields})
    return entries, parameters


def stored_arrays(parameters: Mapping[str, Parameter], half: bool) -> Dict[str, np.ndarray]:
    """The tensors of the file; ``half``: weights of float layers in half precision, to which they were rounded before."""
    arrays = {}
    for name, parameter in parameters.items():
        array = arrays[name] = parameter.array
        if half and array.dtype == np.float32 and array.ndim > 1:
            arrays[name] = array.astype(np.float16)
            assert (arrays[name].astype(np.float32) == array).all(), f"{name} was not rounded to half precision"
    return arrays


def describe_outputs(outputs: List[Output], nodes: List[Node]) -> List[dict]:
    index = {node: i for i, node in enumerate(nodes)}
    return [
        {"task": o.task, "node": index[o.node], "kind": o.kind, **({"class_names": o.class_names} if o.kind == "classes" else {})}
        for o in outputs
    ]
