# SPDX-License-Identifier: Apache-2.0
"""OpenVINO's BinaryConvolution alone, and chains of four: openvino_layers.py [--seconds S] NAME...

Names: layers as in bench_kernels (3x3/256x256/56x56), chains as in bench_chain (bi_real/256/56x56). Channels are padded to a
multiple of 8, with pad channels that cancel. A layer's result is compared with numpy before it is timed, and must be exact.

  layers  best_us: the node alone (OpenVINO's own counter, whole microseconds)
  chains  best_us: all nodes but the reorders of input and output; cpu_us, wall_us: the whole request, floats NCHW in and out
"""

from __future__ import annotations

from typing import Dict, List, Tuple

import numpy as np
import openvino as ov
import openvino.opset11 as ops
from measuring import Layer, measure, parse_arguments, parse_layer, report
from openvino_ops import CHANNEL_STEP, activate, affine, binary_conv, packed_sign

_OPTIONS = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32", "PERF_COUNT": True}


def padded(channels: int) -> int:
    return -(-channels // CHANNEL_STEP) * CHANNEL_STEP


def expected(x: np.ndarray, weight: np.ndarray, layer: Layer) -> np.ndarray:
    """The convolution of signs by shifted matrix products; x (1, C, H, W), weight [out][k][k][in]."""
    p, d, s = layer.padding, layer.dilation, layer.stride
    signs = np.pad(np.where(x[0] >= 0, 1, -1).astype(np.float32), ((0, 0), (p, p), (p, p)))
    reach = d * (layer.kernel - 1)
    height, width = ((n + 2 * p - reach - 1) // s + 1 for n in (layer.height, layer.width))
    total = np.zeros((len(weight), height * width), np.float32)
    for row in range(layer.kernel):
        for column in range(layer.kernel):
            part = signs[:, row * d:row * d + s * (height - 1) + 1:s, column * d:column * d + s * (width - 1) + 1:s]
            total += np.where(weight[:, row, column], 1, -1).astype(np.float32) @ part.reshape(len(signs), -1)
    return total.reshape(1, len(weight), height, width)


class Request:
    """A model of one input, compiled for one thread."""

    def __init__(self, result, parameter, x: np.ndarray):
        compiled = ov.Core().compile_model(ov.Model([ops.result(result)], [parameter], "layers"), "CPU", _OPTIONS)
        self.request, self.x = compiled.create_infer_request(), x

    def run(self) -> np.ndarray:
        return self.request.infer([self.x], share_inputs=True, share_outputs=True)[0]

    def nodes_us(self, skip: Tuple[str, ...]) -> float:
        """Time of the last run's nodes; those whose type is in ``skip`` do not count."""
        return sum(n.real_time.microseconds for n in self.request.profiling_info if n.node_type not in skip)


def run_layer(layer: Layer, seconds: float, random: np.random.Generator) -> Dict:
    if layer.groups != 1:
        raise NotImplementedError("no groups")
    if layer.padding > 4:
        raise NotImplementedError("a padding of more than 4")
    channels = padded(layer.channels)
    x = random.standard_normal((1, channels, layer.height, layer.width), np.float32)
    weight = random.random((layer.outputs, layer.kernel, layer.kernel, channels)) < 0.5
    parameter = ops.parameter(list(x.shape), np.float32)
    p = layer.padding
    y = binary_conv(packed_sign(parameter, channels), weight, [p] * 4, [layer.stride] * 2, [layer.dilation] * 2)
    request = Request(y, parameter, x)
    if not np.array_equal(request.run(), expected(x, weight, layer)):
        raise RuntimeError("wrong result")
    times: List[float] = []

    def run():
        request.run()
        times.append(sum(n.real_time.microseconds for n in request.request.profiling_info if n.node_type == "BinaryConvolution"))

    whole = measure(run, seconds)
    return {"best_us": min(times), **whole}


def run_chain(name: str, seconds: float, random: np.random.Generator) -> Dict:
    kind, real, size = name.split("/")
    channels, (height, width) = padded(int(real)), map(int, size.split("x"))
    x = random.standard_normal((1, channels, height, width), np.float32)
    parameter = ops.parameter(list(x.shape), np.float32)

    def values(spread: float) -> np.ndarray:
        return (random.standard_normal(channels) * spread).astype(np.float32)

    y = parameter
    for _ in range(4):
        weight = random.random((channels, 3, 3, channels)) < 0.5
        shortcut, y = y, affine(binary_conv(packed_sign(y, channels), weight, [1] * 4), values(0.05), values(1.0))
        if kind == "bi_real":
            y = activate(ops.add(y, shortcut), "rprelu", values(0.2), values(0.1), values(0.1))
    request = Request(y, parameter, x)
    times: List[float] = []

    def run():
        request.run()
        times.append(request.nodes_us(("Reorder", "Parameter", "Result")))

    whole = measure(run, seconds)
    return {"best_us": min(times), **whole}


def main() -> None:
    arguments = parse_arguments(__doc__)
    results = []
    for name in arguments.names:
        random = np.random.default_rng(1)
        chain = name.startswith(("bn_sign/", "bi_real/"))
        try:
            found = (run_chain(name, arguments.seconds, random) if chain else
                     run_layer(parse_layer(name), arguments.seconds, random))
        except (NotImplementedError, RuntimeError) as error:
            found = {"error": str(error).strip().splitlines()[0]}
        results.append({"name": f"openvino_binary/{name}", **found})
    report(results)


if __name__ == "__main__":
    main()
