# SPDX-License-Identifier: Apache-2.0
"""Shared by the tests of the converter: converting a module, and networks that were made to exercise it."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import torch
from torch import Tensor, nn

REPOSITORY = Path(__file__).resolve().parents[2]
_built = Path(os.environ.get("BIMTDP_BUILD_DIR", "/nonexistent")) / "examples" / "verify_model"
if _built.is_file():  # the C++ build made it already
    os.environ.setdefault("BIMTDP_VERIFY_MODEL", str(_built))

from bimtdp_torch.export import Options, Result, Source, convert  # noqa: E402
from bimtdp_torch.networks.estimators import RSign, bn_sign  # noqa: E402
from bimtdp_torch.networks.layers import BinaryConv2d, RPReLU  # noqa: E402


def randomise(network: nn.Module, seed: int = 0) -> nn.Module:
    """Weights and statistics like those of a trained network: both signs of gamma, off-centre means, all different."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in [*network.parameters(), *network.buffers()]:
            if tensor.dtype.is_floating_point:
                tensor.normal_(0, 0.3, generator=random)
        for layer in network.modules():
            if isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm1d)):
                layer.weight.uniform_(0.5, 1.5, generator=random)
                layer.weight[::5] *= -1
                layer.running_var.uniform_(0.5, 4, generator=random)
            elif isinstance(layer, (nn.Conv2d, nn.Linear)):
                layer.weight.mul_(3.0 / layer.weight[0].numel() ** 0.5)
    return network.eval()


def convert_module(network: nn.Module, path: Path, stride: int = 1, **options) -> Result:
    """Converts and verifies a module on a small photo."""
    options.setdefault("self_test_size", (24, 40))
    return convert(Source(network, "test", stride), path, Options(quiet=True, **options))


def read_metadata(path) -> dict:
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + struct.unpack("<Q", content[:8])[0]])
    assert list(header["__metadata__"]) == ["bimtdp", "bimtdp_hash"]
    return json.loads(header["__metadata__"]["bimtdp"])


def ops(result: Result) -> list:
    return [node["op"] for node in result.report["nodes"]]


class BiRealBlock(nn.Module):
    """RSign -> binary 3x3 -> BN -> + shortcut -> activation; stride 2 with an averaging 1x1 shortcut."""

    def __init__(self, cin: int, cout: int, stride: int, groups: int, activation: nn.Module):
        super().__init__()
        self.sign = RSign(cin)
        self.conv = BinaryConv2d(cin, cout, 3, stride, 1, groups=groups)
        self.bn = nn.BatchNorm2d(cout)
        self.activation = activation
        self.shortcut = (
            nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(cin, cout, 1, bias=False), nn.BatchNorm2d(cout))
            if stride == 2
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.bn(self.conv(self.sign(x))) + self.shortcut(x))


class UserNet(nn.Module):
    """A small dense network as somebody else would write it: functions, slices, gates, several outputs."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 20, 5, 2, 2), nn.BatchNorm2d(20), nn.PReLU())
        self.blocks = nn.Sequential(
            BiRealBlock(20, 20, 1, 1, nn.PReLU(20)),
            BiRealBlock(20, 36, 2, 4, RPReLU(36)),
            BiRealBlock(36, 36, 1, 36, nn.Hardtanh()),
        )
        self.mid_sign, self.mid = bn_sign(36), BinaryConv2d(36, 70, 1, scaled=False)
        self.last_sign = bn_sign(70)
        self.last = BinaryConv2d(70, 24, (3, 1), padding=(2, 0), dilation=(2, 1))
        self.gate = nn.Linear(24, 24)
        self.register_buffer("gain", torch.ones(1, 12, 1, 1))
        self.head = nn.Conv2d(12, 5, 1)

    def forward(self, x: Tensor) -> dict:
        y = self.blocks(self.stem(x))
        y = self.last(self.last_sign(self.mid(self.mid_sign(y))))
        y = y * torch.sigmoid(self.gate(y.mean((2, 3)))).unsqueeze(-1).unsqueeze(-1)
        a, b = torch.chunk(y, 2, dim=1)
        z = torch.relu(a * self.gain - b) + 0.25 * y[:, 3:15]
        big = nn.functional.interpolate(self.head(z), size=x.shape[-2:], mode="bilinear", align_corners=False)
        small = nn.functional.max_pool2d(torch.cat([a, b], 1), 3, 2, 1)
        return {
            "map": big,
            "probability": torch.softmax(big, dim=1),
            "small": small,
            "direction": nn.functional.normalize(big, dim=1),
        }
