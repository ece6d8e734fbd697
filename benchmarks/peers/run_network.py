# SPDX-License-Identifier: Apache-2.0
"""One network in one engine: run_network.py ENGINE FILE HEIGHT WIDTH THREADS [--seconds S]

  onnxruntime          an ONNX file (fp32, or QDQ int8)
  openvino             the same, computing in f32 what is not int8
  openvino_default     the same in OpenVINO's own choice of precision: bf16 on a CPU that has instructions for it
  openvino_binary      a model file of ours, binary convolutions as BinaryConvolution

One a process, so that the memory is its own: rss_bytes is what loading and running added to the process after the engine's
package was imported; process_rss_bytes is all of it.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
from measuring import measure, memory, report


def load_onnxruntime(path: str, threads: int, x: np.ndarray) -> Callable[[], Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"image": x})


def channels_last(model: Any) -> Any:
    """The model with maps of height, width, channels, as ours are: OpenVINO works in that order, and turning the largest map
    round would take it 20 % of the binary network's time."""
    from openvino.preprocess import PrePostProcessor

    editor = PrePostProcessor(model)
    for index in range(len(model.outputs)):
        editor.output(index).model().set_layout("NCHW")
        editor.output(index).tensor().set_layout("NHWC")
    return editor.build()


def load_openvino(model: Any, threads: int, x: np.ndarray, precision: str = "f32") -> Callable[[], Any]:
    import openvino

    options: Dict[str, Any] = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    if precision:
        options["INFERENCE_PRECISION_HINT"] = precision
    core = openvino.Core()
    model = channels_last(core.read_model(model) if isinstance(model, str) else model)
    request = core.compile_model(model, "CPU", options).create_infer_request()
    return lambda: request.infer([x], share_inputs=True, share_outputs=True)


def load_openvino_binary(path: str, threads: int, x: np.ndarray) -> Callable[[], Any]:
    from model_file import ModelFile
    from openvino_network import Translator

    return load_openvino(Translator(ModelFile(Path(path)), *x.shape[2:]).model(), threads, x)


ENGINES = {"onnxruntime": load_onnxruntime, "openvino": load_openvino, "openvino_binary": load_openvino_binary,
           "openvino_default": lambda path, threads, x: load_openvino(path, threads, x, "")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=sorted(ENGINES))
    parser.add_argument("file")
    parser.add_argument("height", type=int)
    parser.add_argument("width", type=int)
    parser.add_argument("threads", type=int)
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    __import__("onnxruntime" if arguments.engine == "onnxruntime" else "openvino")
    x = np.random.default_rng(1).standard_normal((1, 3, arguments.height, arguments.width), np.float32)
    before = memory()
    start = time.perf_counter()
    run = ENGINES[arguments.engine](arguments.file, arguments.threads, x)
    loaded = time.perf_counter()
    run()
    first = time.perf_counter()
    result = measure(run, arguments.seconds)
    result.update(load_us=(loaded - start) * 1e6, first_us=(first - loaded) * 1e6, rss_bytes=memory() - before,
                  process_rss_bytes=memory(), peak_rss_bytes=memory("VmHWM") - before)
    name = Path(arguments.file).stem
    report([{"name": f"{arguments.engine}/{name}/{arguments.height}x{arguments.width}/threads{arguments.threads}", **result}])


if __name__ == "__main__":
    main()
