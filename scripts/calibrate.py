#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Last step of training: calibrate.py CHECKPOINT --data DIR --output CHECKPOINT. See bimtdp_torch/training/calibration.py.

Statistics come from whole training frames, the depth's scale from the validation part of the training frames; a
network without depth or segmentation keeps what it has there.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bimtdp_torch.checkpoints import save_checkpoint
from bimtdp_torch.data.datasets import dataset_of, load_parts, split_list
from bimtdp_torch.export.model_file import is_model_file
from bimtdp_torch.files import check_output, run_program
from bimtdp_torch.machine import add_machine_options, use_machine
from bimtdp_torch.metrics.evaluation import format_metrics, score, torch_predictor
from bimtdp_torch.networks.predictor import check_size, training_size
from bimtdp_torch.sources import load_checkpoint
from bimtdp_torch.training import freeze
from bimtdp_torch.training.calibration import calibrate


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="default: last training size")
    parser.add_argument("--tau", type=float, default=0.15, help="share of the log prior taken from the logits")
    parser.add_argument("--statistics", type=int, default=256, help="frames for batch normalisation, 0: keep it")
    add_machine_options(parser)
    return parser.parse_args()


def run(arguments: argparse.Namespace) -> None:
    """Calibrates, scores on the validation frames and writes the checkpoint."""
    if is_model_file(arguments.checkpoint):
        raise ValueError(f"{arguments.checkpoint}: a model file is calibrated already; give a checkpoint of train.py")
    config, network, step = load_checkpoint(arguments.checkpoint)
    device = use_machine(arguments)
    network = network.to(device, memory_format=torch.channels_last)
    train = config["train"]
    size = check_size(arguments.size, "--size") if arguments.size else training_size(config, arguments.checkpoint)
    dataset, tasks = dataset_of(config), list({**network.tasks, **network.auxiliary})
    check_output(arguments.output)
    parts = split_list(dataset, arguments.data, int(train.get("validation_every", 20)))
    if not parts[1]:
        raise ValueError("the checkpoint was trained without validation frames (train.validation_every: 0)")
    training, validation = load_parts(dataset, arguments.data, parts, tasks)
    found = calibrate(
        network,
        training,
        validation,
        size,
        tau=arguments.tau,
        statistics_frames=arguments.statistics,
        frozen=freeze(network, train.get("freeze", [])),
    )
    print({key: round(value, 4) for key, value in found.items()})
    print("validation:", format_metrics(score(validation, torch_predictor(network), size)))
    save_checkpoint({"config": {**config, "calibration": found}, "model": network.state_dict(), "step": step}, arguments.output)


def main() -> None:
    try:
        run(parse_arguments())
    except (OSError, ValueError, RuntimeError) as error:
        sys.exit(f"calibrate.py: {error}")


if __name__ == "__main__":
    run_program(main)
