# SPDX-License-Identifier: Apache-2.0
"""Every combination of BinaryAttention's options, converted and compared through C++: 288 tiny modules, 36 a network."""

import itertools

import pytest
import torch
from convert_tools import convert_module, ops, randomise
from torch import Tensor, nn

from bimtdp_torch.networks.attention import BinaryAttention

CHANNELS = 9
SOURCES = ("semseg", "normals", "depth")


class Attentions(nn.Module):
    """Many attentions on the same three features; the output of each joins its targets."""

    def __init__(self, options: list, tasks: tuple = ("depth", "semseg"), sources: tuple = SOURCES):
        super().__init__()
        self.stem = nn.Conv2d(3, CHANNELS * len(sources), 3, 2, 1)
        self.sources = sources
        self.attentions = nn.ModuleList(BinaryAttention(tasks, sources, CHANNELS, **o) for o in options)

    def forward(self, x: Tensor) -> dict:
        maps = torch.chunk(self.stem(x), len(self.sources), 1)
        features = {source: maps[index] for index, source in enumerate(self.sources)}
        outputs = {}
        for index, attention in enumerate(self.attentions):
            maps = attention(features)
            outputs[str(index)] = torch.cat([maps[task] for task in attention.tasks], 1)
        return outputs


def combinations(gate_source: str, message_weights: str, identity: str) -> list:
    scales = (
        {"message_batch_norm": True},
        {"message_batch_norm": False, "message_scale": "xnor"},
        {"message_batch_norm": False, "message_scale": "none"},
    )
    return [
        dict(
            gate_source=gate_source,
            message_weights=message_weights,
            identity=identity,
            input_binarizer=binarizer,
            gate_batch_norm=gate_norm,
            outer_sign=sign,
            **scale,
        )
        for binarizer, gate_norm, sign, scale in itertools.product(
            ("bn_sign", "rsign", "sign"), (True, False), (True, False), scales
        )
    ]


@pytest.mark.parametrize("identity", ["binary", "real"])
@pytest.mark.parametrize("message_weights", ["per_source", "pairwise"])
@pytest.mark.parametrize("gate_source", ["target", "source"])
def test_all_options(tmp_path, gate_source, message_weights, identity):
    options = combinations(gate_source, message_weights, identity)
    assert len(options) == 36
    result = convert_module(randomise(Attentions(options)), tmp_path / "m", stride=2)
    assert ops(result).count("binary_attention") == 36
    assert result.largest() < 1e-5
    assert result.flips() == 0


@pytest.mark.parametrize(
    "tasks,sources", [(("depth",), ("depth",)), (("depth",), SOURCES), (SOURCES, SOURCES)], ids=["alone", "one target", "all"]
)
def test_numbers_of_tasks(tmp_path, tasks, sources):
    options = [dict(gate_source=g, message_weights=m) for g in ("target", "source") for m in ("per_source", "pairwise")]
    result = convert_module(randomise(Attentions(options, tasks, sources)), tmp_path / "m", stride=2)
    assert ops(result).count("binary_attention") == 4 and result.flips() == 0
