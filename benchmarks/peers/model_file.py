# SPDX-License-Identifier: Apache-2.0
"""Reads our model files: a graph as JSON inside a safetensors file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

_DTYPES = {"F32": np.float32, "F16": np.float16, "U8": np.uint8, "U64": np.uint8}


class ModelFile:
    """``nodes`` and ``outputs`` as in the file; ``floats`` and ``signs`` give tensors by the name that a field holds."""

    def __init__(self, path: Path):
        content = Path(path).read_bytes()
        end = 8 + int.from_bytes(content[:8], "little")
        self._entries = json.loads(content[8:end])
        self._data = memoryview(content)[end:]
        graph = json.loads(self._entries.pop("__metadata__")["bimtdp"])
        self.nodes: List[Dict[str, Any]] = graph["nodes"]
        self.outputs: List[Dict[str, Any]] = graph["outputs"]

    def shape(self, name: str) -> Tuple[int, ...]:
        return tuple(self._entries[name]["shape"])

    def _tensor(self, name: str) -> np.ndarray:
        entry = self._entries[name]
        begin, end = entry["data_offsets"]
        return np.frombuffer(self._data[begin:end], _DTYPES[entry["dtype"]])

    def floats(self, name: Optional[str]) -> Optional[np.ndarray]:
        """Float32 tensor, or None where the field is absent."""
        if name is None:
            return None
        return self._tensor(name).astype(np.float32).reshape(self.shape(name))

    def signs(self, name: str, channels: int) -> np.ndarray:
        """Binary weights, bool [out][kernel][kernel][channels], True for +1."""
        bits = np.unpackbits(self._tensor(name).reshape(*self.shape(name)[:3], -1), axis=-1, bitorder="little")
        return bits[..., :channels].astype(bool)
