#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Scores a model on the tasks it has: evaluate.py MODEL|CHECKPOINT --data DIR [--json FILE].

A checkpoint (.pt) runs in PyTorch, a converted model (.safetensors) in the C++ library or, with --engine pytorch, in
PyTorch, too. Photos are resized and maps are compared by the same code for both, so the figures must agree. DIR is what
prepare_nyud.py made, or PASCAL_MT.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bimtdp_torch.data.datasets import dataset_of, dataset_of_tasks, load_frames, read_list, split_list
from bimtdp_torch.export.model_file import is_model_file
from bimtdp_torch.files import check_output, run_program, write_text
from bimtdp_torch.machine import add_machine_options, use_machine
from bimtdp_torch.metrics.cpp_predictor import cpp_predictor, model_tasks, preferred_size
from bimtdp_torch.metrics.evaluation import Predictor, format_metrics, score, torch_predictor
from bimtdp_torch.networks.predictor import check_size, training_size
from bimtdp_torch.programs import ProgramError
from bimtdp_torch.sources import load_checkpoint


class Subject(NamedTuple):
    """What is scored: how it predicts, at which size, on which data."""

    predictor: Predictor
    size: Tuple[int, int]
    dataset: str
    tasks: List[str]
    validation_every: int


def open_model(path: Path, size: Tuple[int, int]) -> Subject:
    """A converted model; its tasks tell the data set, unless --dataset does."""
    size, tasks = tuple(size or preferred_size(path)), model_tasks(path)
    return Subject(cpp_predictor(path, size), size, dataset_of_tasks(tasks), tasks, 20)


def open_checkpoint(path: Path, size: Tuple[int, int], device: torch.device) -> Subject:
    """A checkpoint of train.py, or a model file's network."""
    config, network, _ = load_checkpoint(path)
    size = check_size(size, "--size") if size else training_size(config, path)
    return Subject(
        torch_predictor(network.to(device, memory_format=torch.channels_last)),
        size,
        dataset_of(config),
        list(network.tasks),
        int(config["train"].get("validation_every", 20)),
    )


def evaluate(subject: Subject, arguments: argparse.Namespace) -> Tuple[int, Dict[str, float]]:
    """(number of photos, metrics)."""
    dataset = arguments.dataset or subject.dataset
    every = arguments.validation_every or subject.validation_every
    if arguments.list == "validation":
        ids = split_list(dataset, arguments.data, every)[1]
    else:
        ids = read_list(dataset, arguments.data, arguments.list)
    ids = ids[: arguments.limit]
    if not ids:
        raise ValueError(f"no frames to score: --list {arguments.list}, --limit {arguments.limit}")
    frames = load_frames(dataset, arguments.data, ids, subject.tasks)
    return len(ids), score(frames, subject.predictor, subject.size, progress=sys.stderr.isatty())


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="checkpoint of train.py or converted .safetensors model")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--engine", choices=("bimtdp", "pytorch"), help="what runs a model file (default: bimtdp, the C++ library)")
    parser.add_argument(
        "--list",
        default="test",
        choices=("test", "train", "validation"),
        help="validation: the part of the training list that train.py leaves out",
    )
    parser.add_argument("--validation-every", type=int, help="default: the checkpoint's, or 20")
    parser.add_argument("--dataset", choices=("nyud", "pascal"), help="default: by the checkpoint, or the model's tasks")
    parser.add_argument(
        "--size",
        type=int,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="input size of the network (default: the model file's, or the last training size)",
    )
    parser.add_argument("--limit", type=int, help="use only the first frames of the list")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    add_machine_options(parser)
    return parser.parse_args()


def run(arguments: argparse.Namespace) -> None:
    """Scores, prints and writes."""
    if arguments.json:
        check_output(arguments.json)
    device = use_machine(arguments)
    engine = arguments.engine or ("bimtdp" if is_model_file(arguments.model) else "pytorch")
    if engine == "bimtdp" and not is_model_file(arguments.model):
        raise ValueError("--engine bimtdp: the C++ library runs converted .safetensors models")
    subject = (
        open_model(arguments.model, arguments.size)
        if engine == "bimtdp"
        else open_checkpoint(arguments.model, arguments.size, device)
    )
    started = time.time()
    count, metrics = evaluate(subject, arguments)
    height, width = subject.size
    print(
        f"{arguments.model.name} at {height}x{width}, {count} frames of {arguments.list}, "
        f"{time.time() - started:.0f} s: {format_metrics(metrics)}"
    )
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        record = {
            "model": arguments.model.name,
            "engine": engine,
            "size": [height, width],
            "frames": count,
            "list": arguments.list,
            "metrics": metrics,
        }
        write_text(arguments.json, json.dumps(record, indent=1) + "\n")


def main() -> None:
    arguments = parse_arguments()
    try:
        run(arguments)
    except (OSError, ValueError, RuntimeError, ProgramError) as error:
        sys.exit(f"evaluate.py: {error}")


if __name__ == "__main__":
    run_program(main)
