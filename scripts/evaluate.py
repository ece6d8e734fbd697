#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Scores a model on NYUDv2: evaluate.py MODEL|CHECKPOINT --data DIR.

A checkpoint (.pt) runs in PyTorch, a converted model (.safetensors) in the C++ library. Photos are resized and maps
are compared by the same code for both, so the figures must agree.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bimtdp_torch.config import load_checkpoint  # noqa: E402
from bimtdp_torch.cpp_predictor import cpp_predictor, preferred_size  # noqa: E402
from bimtdp_torch.data import load_frames, read_list, split_validation  # noqa: E402
from bimtdp_torch.evaluation import format_metrics, score, torch_predictor  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="checkpoint of train.py or converted .safetensors model")
    parser.add_argument("--data", type=Path, required=True, help="folder with image/ depth/ label/ normal/ edge/ *.txt")
    parser.add_argument("--list", default="test", choices=("test", "train", "validation"),
                        help="validation: the part of train.txt that train.py leaves out")
    parser.add_argument("--validation-every", type=int, default=20, help="as in the training configuration")
    parser.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"),
                        help="input size of the network (default: the model file's, or the last training size)")
    parser.add_argument("--limit", type=int, help="use only the first frames of the list")
    parser.add_argument("--threads", type=int, help="threads of PyTorch")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.model.suffix == ".safetensors":
        size = tuple(arguments.size or preferred_size(arguments.model))
        predictor = cpp_predictor(arguments.model, size)
    else:
        config, network = load_checkpoint(str(arguments.model))
        size = tuple(arguments.size or config["train"]["phases"][-1]["size"])
        predictor = torch_predictor(network.to(memory_format=torch.channels_last))
    if arguments.list == "validation":
        ids = split_validation(read_list(arguments.data, "train"), arguments.validation_every)[1]
    else:
        ids = read_list(arguments.data, arguments.list)
    ids = ids[:arguments.limit]
    started = time.time()
    metrics = score(load_frames(arguments.data, ids), predictor, size)
    print(f"{arguments.model.name} at {size[0]}x{size[1]}, {len(ids)} frames of {arguments.list}, "
          f"{time.time() - started:.0f} s: {format_metrics(metrics)}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"model": arguments.model.name, "size": size, "frames": len(ids),
                                              "list": arguments.list, **metrics}, indent=1) + "\n")


if __name__ == "__main__":
    main()
