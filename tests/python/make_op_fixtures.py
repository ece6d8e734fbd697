# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/ops.safetensors: inputs of single ops and what PyTorch makes of them.

Usage: python tests/python/make_op_fixtures.py [OUTPUT]

Tensors are called "NN.op.part"; tests/test_against_pytorch.cpp reads them. Maps are height x width x channels, weights
out x kernel x kernel x in/groups. "options" holds the op's integers; a window is ten of them: kernel, stride and dilation as
(vertical, horizontal) and padding as (top, bottom, left, right).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Dict, Sequence

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

tensors: Dict[str, Tensor] = {}
count = 0


def add(op: str, options: Sequence[int] = (), **parts: Tensor) -> None:
    """Stores one case; what fits F16 exactly is stored so."""
    global count
    parts["options"] = torch.tensor(list(options) or [0], dtype=torch.float32)
    for name, value in parts.items():
        value = value.detach().float().contiguous().clone()
        half = value.half()
        tensors[f"{count:02d}.{op}.{name}"] = half if torch.equal(half.float(), value) else value
    count += 1


def randn(*shape: int) -> Tensor:
    """Normal values that fit F16: the file is half as large."""
    return torch.randn(*shape).half().float()


def hwc(x: Tensor) -> Tensor:
    return x[0].permute(1, 2, 0)


def ohwi(weight: Tensor) -> Tensor:
    return weight.permute(0, 2, 3, 1)


def sign(x: Tensor) -> Tensor:
    return torch.where(x >= 0, 1.0, -1.0)


def window(kernel, stride=(1, 1), dilation=(1, 1), padding=(0, 0, 0, 0)):
    return [*kernel, *stride, *dilation, *padding]


def convolve(x: Tensor, weight: Tensor, w: Sequence[int], groups: int = 1) -> Tensor:
    top, bottom, left, right = w[6:]
    if top == bottom and left == right:  # PyTorch's own padding where it can express it
        return F.conv2d(x, weight, stride=tuple(w[2:4]), dilation=tuple(w[4:6]), padding=(top, left), groups=groups)
    return F.conv2d(F.pad(x, (left, right, top, bottom)), weight, stride=tuple(w[2:4]), dilation=tuple(w[4:6]), groups=groups)


def binary_convolutions() -> None:
    cases = [  # input, out, groups, window
        ((7, 9, 18), 18, 1, window((3, 3), padding=(1, 1, 1, 1))),
        ((6, 8, 36), 20, 1, window((3, 3), (2, 2), padding=(1, 1, 1, 1))),
        ((5, 7, 65), 7, 1, window((3, 3), dilation=(12, 12), padding=(12, 12, 12, 12))),
        ((6, 7, 15), 9, 3, window((3, 3), dilation=(2, 1), padding=(2, 2, 1, 1))),
        ((6, 9, 33), 33, 33, window((3, 3), padding=(1, 1, 1, 1))),
        ((4, 5, 130), 12, 1, window((1, 1))),
        ((7, 8, 24), 10, 1, window((5, 3), (2, 1), padding=(1, 2, 0, 1))),
    ]
    for (h, w, c), out, groups, win in cases:
        x = sign(randn(1, c, h, w))
        weight = sign(randn(out, c // groups, *win[:2]))
        dots = convolve(x, weight, win, groups)
        norm = torch.nn.BatchNorm2d(out).eval()
        with torch.no_grad():
            norm.weight.normal_()
            norm.weight[0] = 0.0
            norm.bias.normal_()
            norm.running_mean.normal_(0, 3)
            norm.running_var.uniform_(1, 50)
            scale = norm.weight * (1 / torch.sqrt(norm.running_var + norm.eps))
            bias = torch.addcmul(norm.bias.double(), -norm.running_mean.double(), scale.double()).float()
            y = norm(dots)
        assert y.abs().min() > 1e-5  # no ties: the bits do not depend on rounding
        add(
            "binary_conv2d",
            [*win, groups],
            x=hwc(x),
            weight=ohwi(weight),
            dots=hwc(dots),
            scale=scale,
            bias=bias,
            floats=hwc(y),
            bits=hwc(sign(y)),
        )


def attention() -> None:
    targets, sources, c, h, w = [2, 0], 3, 18, 5, 7
    x = [sign(randn(1, c, h, w)) for _ in range(sources)]
    gates = [sign(randn(c, c, 3, 3)) for _ in targets]
    messages = [sign(randn(c, c, 3, 3)) for _ in range(sources)]
    alpha = [(torch.rand(c) * 0.1).half().float() for _ in range(sources)]
    results = []
    for k, target in enumerate(targets):
        total = None
        for s in range(sources):
            if s != target:
                m = F.conv2d(x[s], messages[s], padding=1) * alpha[s].view(1, -1, 1, 1)
                total = m if total is None else total + m
        gate = (F.conv2d(x[target], gates[k], padding=1) >= 0).float()
        results.append(sign(x[target] + gate * total))
    add(
        "binary_attention",
        targets,
        x=torch.stack([hwc(v) for v in x]),
        gates=torch.stack([ohwi(v) for v in gates]),
        messages=torch.stack([ohwi(v) for v in messages]),
        alpha=torch.stack(alpha),
        bits=hwc(torch.cat(results, 1)),
    )


def convolutions() -> None:
    cases = [
        ((15, 17, 3), 8, 1, window((7, 7), (2, 2), padding=(3, 3, 3, 3))),
        ((7, 9, 12), 12, 1, window((3, 3), padding=(1, 1, 1, 1))),
        ((8, 12, 10), 10, 10, window((5, 5), (2, 2), padding=(1, 2, 1, 2))),
        ((7, 9, 20), 20, 20, window((3, 3), padding=(1, 1, 1, 1))),
        ((6, 7, 12), 8, 4, window((3, 3), (1, 2), padding=(1, 1, 1, 1))),
        ((6, 7, 30), 17, 1, window((1, 1))),
        ((7, 9, 5), 6, 1, window((3, 3), dilation=(4, 12), padding=(4, 4, 12, 12))),
        ((8, 8, 6), 12, 6, window((3, 3), (2, 2), padding=(0, 1, 0, 1))),
    ]
    for i, ((h, w, c), out, groups, win) in enumerate(cases):
        x = randn(1, c, h, w)
        weight = randn(out, c // groups, *win[:2])
        scale, bias = randn(out), randn(out)
        y = convolve(x, weight, win, groups) * scale.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)
        residual = randn(*y.shape)
        y = F.relu6(y + residual) if i % 2 == 0 else y + residual
        add(
            "conv2d",
            [*win, groups, int(i % 2 == 0)],
            x=hwc(x),
            weight=ohwi(weight),
            scale=scale,
            bias=bias,
            residual=hwc(residual),
            y=hwc(y),
        )


def resizes() -> None:
    for (h, w, c), size in [
        ((5, 7, 6), (10, 14)),
        ((3, 4, 5), (12, 16)),
        ((2, 3, 3), (16, 24)),
        ((5, 7, 4), (13, 11)),
        ((11, 13, 3), (4, 5)),
        ((1, 6, 3), (5, 6)),
        ((15, 20, 2), (17, 33)),
    ]:
        x = randn(1, c, h, w)
        add("resize_bilinear", x=hwc(x), y=hwc(F.interpolate(x, size=size, mode="bilinear", align_corners=False)))
        add("resize_nearest", x=hwc(x), y=hwc(F.interpolate(x, size=size, mode="nearest")))
    x = randn(1, 2, 3, 5)
    add("resize_bilinear", x=hwc(x), y=hwc(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)))


def pools() -> None:
    x = randn(1, 7, 9, 10)
    for k, s, d, p in [(3, 2, 1, 1), (2, 2, 1, 0), (3, 1, 2, 1), ((2, 3), (1, 2), 1, (1, 0))]:
        pair = lambda v: v if isinstance(v, tuple) else (v, v)
        win = window(pair(k), pair(s), pair(d), (pair(p)[0], pair(p)[0], pair(p)[1], pair(p)[1]))
        add("max_pool2d", win, x=hwc(x), y=hwc(F.max_pool2d(x, k, s, p, d)))
        if d == 1:
            for include in (True, False):
                add("avg_pool2d", [*win, int(include)], x=hwc(x), y=hwc(F.avg_pool2d(x, k, s, p, count_include_pad=include)))
    for size in [(1, 1), (3, 4), (9, 10), (12, 11), (2, 7)]:
        add("adaptive_avg_pool2d", size, x=hwc(x), y=hwc(F.adaptive_avg_pool2d(x, size)))


def gates_and_activations() -> None:
    for tasks, channels in [(2, 6), (4, 5), (5, 3)]:
        x = randn(1, tasks * channels, 4, 5) * 4
        y = F.softmax(x.view(1, channels, tasks, 4, 5), dim=2).reshape_as(x)  # over consecutive channels
        add("softmax", [tasks], x=hwc(x), y=hwc(y))
    c, hidden = 24, 3
    x, reduce, expand = randn(1, c, 5, 6), torch.nn.Linear(c, hidden), torch.nn.Linear(hidden, c)
    gate = torch.sigmoid(expand(F.relu(reduce(x.mean((2, 3))))))
    add(
        "squeeze_excite",
        x=hwc(x),
        reduce_weight=reduce.weight,
        reduce_bias=reduce.bias,
        expand_weight=expand.weight,
        expand_bias=expand.bias,
        y=hwc(x * gate.view(1, -1, 1, 1)),
    )
    x, layer = randn(1, 37), torch.nn.Linear(37, 11)
    add("linear", x=x.view(1, 1, -1), weight=layer.weight, bias=layer.bias, y=layer(x).view(1, 1, -1))
    x = randn(1, 3, 5, 6)
    x[:, :, 0, 0] = 0
    add("l2_normalize", x=hwc(x), y=hwc(F.normalize(x, dim=1)))
    x, slope, shift_in, shift_out = randn(1, 13, 4, 5) * 5, randn(13), randn(13), randn(13)
    shift = lambda v: v.view(1, -1, 1, 1)
    results = [
        F.relu(x),
        F.relu6(x),
        F.hardtanh(x),
        torch.sigmoid(x),
        F.prelu(x, slope),
        F.prelu(x + shift(shift_in), slope) + shift(shift_out),
    ]
    for kind, y in enumerate(results, start=1):  # the order of kernels::ActivationKind
        add("activation", [kind], x=hwc(x), slope=slope, shift_in=shift_in, shift_out=shift_out, y=hwc(y))
    x[0, :, 0, 0] = 0.0
    x[0, :, 0, 1] = -0.0
    add("binarize", x=hwc(x), bits=hwc(sign(x)))


def main() -> None:
    torch.manual_seed(1)
    torch.set_num_threads(1)
    for make in (binary_convolutions, attention, convolutions, resizes, pools, gates_and_activations):
        make()
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1] / "data" / "ops.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, str(path), metadata={"torch": torch.__version__})
    print(f"{path}: {count} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
