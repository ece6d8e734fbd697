# SPDX-License-Identifier: Apache-2.0
"""ncnn's convolutions on one thread: ncnn_layers.py [--seconds S] 3x3/256x256/56x56 ...

cpu_us is a whole extraction from floats to floats: int8 includes quantising the input and scaling the output.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Dict

import ncnn
import numpy as np
from measuring import Layer, measure, parse_arguments, parse_layer, report

_INT8_TAG, _FLOAT_TAG = 0x000D4B38, 0


def write_network(layer: Layer, int8: bool, folder: Path, random: np.random.Generator) -> Path:
    """A network of one convolution with a bias; returns the path of its .param file, the .bin lies beside it."""
    shape = (layer.outputs, layer.channels // layer.groups, layer.kernel, layer.kernel)
    size = int(np.prod(shape))
    kind = "Convolution" if layer.groups == 1 else "ConvolutionDepthWise"
    fields = {0: layer.outputs, 1: layer.kernel, 2: layer.dilation, 3: layer.stride, 4: layer.padding, 5: 1, 6: size}
    fields.update({7: layer.groups} if layer.groups > 1 else {})
    fields.update({8: 1} if int8 else {})
    line = " ".join(f"{key}={value}" for key, value in fields.items())
    path = folder / "layer.param"
    path.write_text(f"7767517\n2 2\nInput in 0 1 in\n{kind} conv 1 1 in out {line}\n")
    with open(path.with_suffix(".bin"), "wb") as file:
        file.write(np.uint32(_INT8_TAG if int8 else _FLOAT_TAG).tobytes())
        if int8:
            file.write(random.integers(-127, 128, size, np.int8).tobytes())
            file.write(b"\0" * (-size % 4))
        else:
            file.write(random.standard_normal(size, np.float32).tobytes())
        file.write(np.zeros(layer.outputs, np.float32).tobytes())
        if int8:  # one weight scale an output channel (a group where there are several), one of the input
            file.write(np.ones(layer.outputs if layer.groups == 1 else layer.groups, np.float32).tobytes())
            file.write(np.full(1, 40.0, np.float32).tobytes())
    return path


def run_layer(layer: Layer, int8: bool, winograd: bool, seconds: float) -> Dict:
    random = np.random.default_rng(1)
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_winograd_convolution = winograd
    for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage", "use_bf16_packed"):
        if hasattr(net.opt, option):
            setattr(net.opt, option, False)
    with tempfile.TemporaryDirectory() as folder:
        path = write_network(layer, int8, Path(folder), random)
        if net.load_param(str(path)) or net.load_model(str(path.with_suffix(".bin"))):
            raise RuntimeError("ncnn does not load the layer")
    values = random.standard_normal((layer.channels, layer.height, layer.width), np.float32)
    x = ncnn.Mat(values).clone()

    def run() -> None:
        extractor = net.create_extractor()
        extractor.input("in", x)
        if extractor.extract("out")[0]:
            raise RuntimeError("ncnn does not run the layer")

    return measure(run, seconds)


def main() -> None:
    arguments = parse_arguments(__doc__)
    results = []
    for layer in map(parse_layer, arguments.names):
        for kind in ("fp32_direct", "fp32_winograd", "int8_direct", "int8_winograd"):
            if kind.endswith("winograd") and (layer.kernel != 3 or layer.stride * layer.dilation * layer.groups != 1):
                continue
            try:
                found = run_layer(layer, kind.startswith("int8"), kind.endswith("winograd"), arguments.seconds)
            except RuntimeError as error:
                found = {"error": str(error)}
            results.append({"name": f"ncnn/{kind}/{layer.name}", **found})
    report(results)


if __name__ == "__main__":
    main()
