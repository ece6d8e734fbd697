# SPDX-License-Identifier: Apache-2.0
"""Compares openvino_network.py with PyTorch: validate_openvino.py MODEL NAME, a network of scripts/bimtdp_bench/networks.py.

Every node gets the values that PyTorch recorded for its inputs, all of them in one OpenVINO model. Floats must agree to
1e-4 of the tensor's largest value, signs wherever the float before is farther from zero than that. A free run of a
network with random weights cannot be compared: the first sign of a value near zero that falls differently changes all.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import List

import numpy as np
import openvino as ov
import openvino.opset11 as ops

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import torch  # noqa: E402
from bimtdp_bench import networks  # noqa: E402
from bimtdp_torch.export.ir import Node  # noqa: E402
from bimtdp_torch.export.pipeline import Source, build_graph  # noqa: E402
from model_file import ModelFile  # noqa: E402
from openvino_network import PAD, Bits, Map, Targets, Translator, compact  # noqa: E402

_SIZE = (96, 128)
_TOLERANCE = 1e-4


def recorded(name: str) -> List[Node]:
    """The nodes of the model file with PyTorch's values."""
    return build_graph(networks.as_stored(name), torch.from_numpy(networks.photos(_SIZE)[0]), Source(None, name, stride=32))[0]


class Recorded(Translator):
    """Translates each node on parameters that stand for its inputs."""

    def __init__(self, file: ModelFile, nodes: List[Node]):
        super().__init__(file, *_SIZE)
        self.nodes, self.parameters, self.feeds = nodes, [], []

    def given(self, index: int):
        """A parameter with PyTorch's value of a node; an attention's is split by target."""
        value = self.nodes[index].value.numpy()
        if self.file.nodes[index]["op"] == "binary_attention":
            targets = len(self.file.nodes[index]["targets"])
            return Targets([Bits(self.parameter(v, index)) for v in np.split(value, targets, 1)], value.shape[1] // targets)
        given = self.parameter(value, index)
        return Bits(given) if self.nodes[index].bits else given

    def parameter(self, value: np.ndarray, index: int) -> Map:
        layout = self.layout(index, value.shape[1])
        padded = np.zeros((1, len(layout), *value.shape[2:]), np.float32)
        padded[:, layout != PAD] = value
        self.feeds.append(padded)
        self.parameters.append(ops.parameter(list(padded.shape), np.float32))
        return Map(self.parameters[-1], layout)

    def outputs(self, index: int) -> List[Map]:
        value = self.translate(index)
        values = value.values if isinstance(value, Targets) else [value]
        return [compact(v.as_map() if isinstance(v, Bits) else v) for v in values]

    def run(self) -> List[np.ndarray]:
        """OpenVINO's value of every node but the input."""
        results, counts = [], []
        for index in range(1, len(self.nodes)):
            self.values = {i: self.given(i) for i in self.file.nodes[index]["inputs"]}
            maps = self.outputs(index)
            counts.append(len(maps))
            results += [ops.result(m.node) for m in maps]
        compiled = ov.Core().compile_model(ov.Model(results, self.parameters, "nodes"), "CPU",
                                           {"INFERENCE_PRECISION_HINT": "f32"})
        found = iter(compiled.create_infer_request().infer(self.feeds).to_tuple())
        return [np.concatenate([next(found) for _ in range(count)], 1) for count in counts]


def compare(nodes: List[Node], found: List[np.ndarray]) -> int:
    """Prints a summary; the number of nodes that disagree."""
    worst, ties, wrong = 0.0, 0, 0
    for node, got in zip(nodes[1:], found):
        want = node.value.numpy()
        if node.bits:
            differ = got != want
            scale = 1.0 if node.presign is None else float(node.presign.abs().max())
            near = np.ones_like(differ) if node.presign is None else np.abs(node.presign.numpy()) <= _TOLERANCE * scale
            bad = bool((differ & ~near).any()) or (node.presign is None and bool(differ.any()))
            ties += int(differ.sum())
        else:
            difference = float(np.abs(got - want).max() / max(np.abs(want).max(), 1e-30))
            worst, bad = max(worst, difference), difference > _TOLERANCE
        if bad:
            wrong += 1
            print(f"{node.name} ({node.op}) disagrees", file=sys.stderr)
    print(f"{len(found)} nodes, {wrong} disagree; largest float difference {worst:.1e} of the largest value, {ties} ties")
    return wrong


if __name__ == "__main__":
    expected = recorded(sys.argv[2])
    sys.exit(compare(expected, Recorded(ModelFile(Path(sys.argv[1])), expected).run()) > 0)
