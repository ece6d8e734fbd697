# SPDX-License-Identifier: Apache-2.0
"""What cannot be reproduced exactly is refused, with the module and the reason."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from convert_tools import convert_module, randomise
from torch import Tensor, nn

from bimtdp_torch.export import ConversionError, Options, Source, VerificationError, convert, pipeline
from bimtdp_torch.networks.estimators import Sign
from bimtdp_torch.networks.layers import BinaryConv2d, Pad, Resize, set_weight_binarization


class Function(nn.Module):
    """A network of one function behind a convolution."""

    def __init__(self, function):
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 4, 1), function

    def forward(self, x: Tensor):
        return self.function(self.conv(x))


def broken(network: nn.Module, change) -> nn.Module:
    with torch.no_grad():
        change(network)
    return network


def norm(change) -> nn.Module:
    return broken(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)), lambda n: change(n[1]))


def first_step() -> nn.Module:
    network = nn.Sequential(Sign(), BinaryConv2d(3, 4, 3))
    set_weight_binarization(network, False)
    return network


CASES = {
    "align_corners": (
        Function(lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)),
        "'interpolate' in the network's forward: align_corners=True",
    ),
    "upsample": (nn.Sequential(nn.Conv2d(3, 4, 1), nn.UpsamplingBilinear2d(scale_factor=2)), "'1' .*align_corners"),
    "bicubic": (Function(lambda x: F.interpolate(x, scale_factor=2, mode="bicubic")), "mode 'bicubic'"),
    "factor": (Function(lambda x: F.interpolate(x, scale_factor=1.5)), "scale_factor 1.5"),
    "ceil_mode": (nn.Sequential(nn.MaxPool2d(2, ceil_mode=True)), r"module '0' \(MaxPool2d\): ceil_mode"),
    "no statistics": (
        nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)),
        r"module '0' \(BatchNorm2d\).*without running statistics",
    ),
    "negative variance": (norm(lambda b: b.running_var[2].fill_(-1)), r"module '1'.*negative in channel 2"),
    "nan mean": (norm(lambda b: b.running_mean[0].fill_(float("nan"))), "(running_mean|output).* NaN or infinity"),
    "infinite gamma": (norm(lambda b: b.weight[0].fill_(float("inf"))), "NaN or infinity"),
    "group norm": (
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4)),
        r"module '1' \(GroupNorm\): this kind of layer is not supported",
    ),
    "padding_mode": (nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")), "padding_mode 'reflect'"),
    "transposed": (nn.Sequential(nn.ConvTranspose2d(3, 4, 2)), "ConvTranspose2d.*not supported"),
    "unknown function": (Function(torch.erf), "function 'erf' in the network's forward: not supported"),
    "unknown method": (Function(lambda x: x.cumsum(1)), "method 'cumsum'.*not supported"),
    "torch.sign": (Function(torch.sign), "torch.sign gives 0 for 0"),
    "real input": (nn.Sequential(BinaryConv2d(3, 4, 3)), r"module '0' \(BinaryConv2d\): its input is not binary"),
    "first step": (first_step(), "first step of two-step training"),
    "loose padding": (nn.Sequential(Pad(1, 1, 1, 1), nn.ReLU()), "padding can only be taken over by a convolution"),
    "negative padding": (Function(lambda x: F.conv2d(F.pad(x, (-1, 0)), torch.ones(1, 4, 1, 1))), "padding"),
    "dropout": (Function(lambda x: F.dropout(x, 0.5, True)), "something else on every run|drops values"),
    "clamp": (Function(lambda x: x.clamp(0, 3)), r"clamping to \[0, 3\]"),
    "broadcast": (Function(lambda x: x + x.mean((2, 3), keepdim=True)), "only maps of one shape"),
    "flatten": (nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(4 * 24 * 40, 2)), "Flatten|global pooling"),
    "channel": (Function(lambda x: x[:, 0]), "only slices of channels"),
    "batch concat": (Function(lambda x: torch.cat([x, x], 2)), "along dimension 2"),
    "control flow": (Function(lambda x: x if x.sum() > 0 else -x), "cannot trace"),
    "double": (Function(lambda x: x.double()), "not supported|float64"),
    "overwritten input": (Function(lambda x: x.relu_() + x), "in place on a tensor that is also read elsewhere"),
    "pooling size": (nn.Sequential(nn.AdaptiveAvgPool2d((None, 2))), "output size None"),
    "not a tensor": (Function(lambda x: x.shape[0]), "is no tensor"),
}


@pytest.mark.parametrize("case", CASES)
def test_refused(tmp_path, case):
    network, message = CASES[case]
    with pytest.raises(ConversionError, match=message):
        convert_module(network, tmp_path / "m", verify=False)
    assert not (tmp_path / "m").exists()


def test_message_names_the_inner_module(tmp_path):
    inner = nn.Sequential()
    inner.add_module("decoder", Function(lambda x: torch.erf(x)))
    with pytest.raises(ConversionError, match="in module 'decoder'"):
        convert_module(inner, tmp_path / "m", verify=False)


def test_what_is_allowed(tmp_path):
    """Neighbours of the refused cases: a ReLU before a sign, in-place layers read once, nearest resize of bits."""

    class Allowed(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn = nn.Conv2d(3, 8, 3, padding="same"), nn.BatchNorm2d(8)
            self.relu, self.sign = nn.ReLU(inplace=True), Sign()
            self.binary, self.pad = BinaryConv2d(8, 8, 3, 2), Pad(0, 1, 0, 1)
            self.up = Resize("nearest")

        def forward(self, x):
            bits = self.sign(self.relu(self.bn(self.conv(x))))
            y = self.binary(self.pad(bits))
            again = self.sign(y)
            pooled = F.max_pool2d(again, 3, 2, 1)
            return {
                "bits": self.up(pooled, bits),
                "both": torch.cat([self.up(again, bits), bits], 1),
                "where": torch.where(y >= 0, 1.0, -1.0),
                "shape": F.interpolate(y, size=x.shape[2:], mode="nearest"),
            }

    result = convert_module(randomise(Allowed()), tmp_path / "m", stride=2)
    assert result.flips("free") == 0 and "unpack" not in [n["op"] for n in result.report["nodes"]]


def test_no_file_when_the_size_does_not_fit(tmp_path):
    network = randomise(nn.Sequential(nn.Conv2d(3, 4, 3, 2)))
    result = convert(Source(network, "odd", 8), tmp_path / "m", Options(quiet=True, self_test_size=(20, 20)))
    assert result.message.startswith("odd: 2 tensors identical")  # 20 was rounded up to 24


def no(*arguments, **options):
    raise VerificationError("the written file does not verify")


SAME = {"failures": 0, "outputs_too_far": 0, "passed": True, "nodes": [], "outputs": [], "digests": []}
OTHER = {**SAME, "failures": 1, "passed": False, "nodes": [{"agrees": False, "name": "n", "op": "conv2d"}], "messages": ""}


@pytest.mark.parametrize(
    "report, replay, function, config, error",
    [
        (SAME, no, torch.erf, {}, ConversionError),
        (OTHER, no, torch.relu, {}, VerificationError),
        (SAME, no, torch.relu, {}, VerificationError),
        (SAME, lambda *a: "good", torch.relu, None, ConversionError),
        (SAME, lambda *a: "good", torch.relu, {}, None),
    ],
    ids=["layer", "nodes", "self-test", "no checkpoint", "none"],
)
def test_a_refused_conversion_leaves_no_file(tmp_path, monkeypatch, report, replay, function, config, error):
    """Neither the model nor the checkpoint with rounded weights; where nothing is wrong both are there."""
    monkeypatch.setattr(pipeline, "build_verify_model", lambda quiet: None)
    monkeypatch.setattr(pipeline, "compare_with_pytorch", lambda *arguments: report)
    monkeypatch.setattr(pipeline, "replay_self_test", replay)
    source = Source(Function(function), "small", config=config)
    options = Options(quiet=True, self_test_size=(8, 8), rounded_checkpoint=tmp_path / "rounded.pt")
    with pytest.raises(error) if error else contextlib.nullcontext():
        convert(source, tmp_path / "m", options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ([] if error else ["m", "rounded.pt"])


def test_an_output_that_cannot_be_written_is_said_first(tmp_path):
    (tmp_path / "file").write_text("")
    script = Path(__file__).resolve().parents[2] / "scripts" / "convert.py"
    command = [sys.executable, script, "absent.pt", "-o", tmp_path / "file" / "model.safetensors"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "cannot be written" in done.stderr and "absent" not in done.stderr
