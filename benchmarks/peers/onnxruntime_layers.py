# SPDX-License-Identifier: Apache-2.0
"""onnxruntime's fp32 convolutions on one thread: onnxruntime_layers.py [--seconds S] 3x3/96x96/120x160/depthwise ...

best_us is a layer inside a chain of equal ones, (time of 5 - time of 1) / 4, so that the change of layout at both ends of a
network does not count. Layers whose output has another shape than their input are left out.
"""

from __future__ import annotations

import numpy as np
import onnxruntime
from measuring import Layer, measure, parse_arguments, parse_layer, report
from onnx import TensorProto, helper, numpy_helper


def session(layer: Layer, count: int) -> onnxruntime.InferenceSession:
    random = np.random.default_rng(1)
    shape = (layer.outputs, layer.channels // layer.groups, layer.kernel, layer.kernel)
    nodes, weights = [], []
    for i in range(count):
        weights.append(numpy_helper.from_array(random.standard_normal(shape, np.float32) / shape[1], f"w{i}"))
        weights.append(numpy_helper.from_array(np.zeros(layer.outputs, np.float32), f"b{i}"))
        nodes.append(helper.make_node("Conv", [f"x{i}", f"w{i}", f"b{i}"], [f"x{i + 1}"], group=layer.groups,
                                      pads=[layer.padding] * 4, dilations=[layer.dilation] * 2))
    map_shape = [1, layer.channels, layer.height, layer.width]
    graph = helper.make_graph(nodes, "layers", [helper.make_tensor_value_info("x0", TensorProto.FLOAT, map_shape)],
                              [helper.make_tensor_value_info(f"x{count}", TensorProto.FLOAT, map_shape)], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def chain_us(layer: Layer, count: int, seconds: float) -> float:
    run = session(layer, count)
    x = np.random.default_rng(2).standard_normal((1, layer.channels, layer.height, layer.width), np.float32)
    return measure(lambda: run.run(None, {"x0": x}), seconds)["cpu_us"]


def main() -> None:
    arguments = parse_arguments(__doc__)
    report([{"name": f"onnxruntime/fp32/{layer.name}",
             "best_us": (chain_us(layer, 5, arguments.seconds) - chain_us(layer, 1, arguments.seconds)) / 4}
            for layer in map(parse_layer, arguments.names) if layer.stride == 1 and layer.channels == layer.outputs])


if __name__ == "__main__":
    main()
