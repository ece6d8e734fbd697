#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains a network: train.py CONFIG --data DIR [--output DIR]. Run it again after a kill and it resumes.

Several processes: torchrun --nproc-per-node N scripts/train.py CONFIG --data DIR

OUTPUT gets config.yaml (the resolved configuration), losses.csv, validation.csv, tensorboard/, losses.png, last.pt
(all that resuming needs), best.pt (best on the validation frames) and final.pt (the last step's network with exact
statistics of batch normalisation).
SIGINT and SIGTERM end the run after the step in progress, with last.pt saved; the exit code is then 130 or 143
(torchrun has its own: 1). Exit code 2: the configuration, a file or the run itself is at fault; the message says what.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Dict

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bimtdp_torch.configuration import read_config
from bimtdp_torch.files import fail, run_program
from bimtdp_torch.machine import add_machine_options, use_machine
from bimtdp_torch.networks import fused
from bimtdp_torch.training import Stopped, Trainer
from bimtdp_torch.training.parallel import Parallel
from bimtdp_torch.training.settings import describe, resolve


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="YAML file, e.g. scripts/configs/bi_mtdp_c_lite0_nyud4.yaml")
    parser.add_argument("--data", type=Path, required=True, help="folder of NYUD (image/, depth/ ..) or PASCAL")
    parser.add_argument("--output", type=Path, help="default: runs/<name of the configuration>")
    parser.add_argument("--seed", type=int, help="replaces the configuration's; the default output gets _seedN")
    parser.add_argument(
        "--steps-scale",
        type=float,
        default=1.0,
        metavar="F",
        help="multiplies the steps of every phase, of warm-up and between validations; recorded",
    )
    parser.add_argument("--stop-after", type=int, help="stop at this step, to resume later")
    for option in ("teacher", "init"):
        parser.add_argument(f"--{option}", type=Path, help=f"checkpoint that replaces the configuration's {option}")
    parser.add_argument("--photos", type=Path, help="folder or tar of photos without labels (distillation.photos)")
    parser.add_argument("--teacher-cache", type=Path, help="folder that runs share for the teacher's computed maps")
    add_machine_options(parser)
    return parser.parse_args()


def read(arguments: argparse.Namespace) -> Dict[str, Any]:
    """The resolved configuration with the command line's replacements."""
    config = read_config(arguments.config)
    given = {"teacher": arguments.teacher, "photos": arguments.photos, "cache": arguments.teacher_cache}
    given = {key: str(path) for key, path in given.items() if path}
    distillation = config.get("distillation") or ({} if arguments.teacher else None)
    if isinstance(distillation, dict):
        config["distillation"] = {**distillation, **given}
    elif given:
        raise ValueError(f"{arguments.config} has no distillation, so --photos and --teacher-cache have no effect")
    if arguments.init:
        config["init"] = {**(config.get("init") or {}), "checkpoint": str(arguments.init)}
    if arguments.seed is not None and "train" in config:
        config["train"]["seed"] = arguments.seed
    return resolve(config, arguments.steps_scale)


def main() -> int:
    arguments = parse_arguments()
    try:
        config = read(arguments)
        parallel = Parallel(use_machine(arguments))
    except (ValueError, OSError) as error:
        return fail("train.py", error, 2)
    if config["train"]["fused"] and parallel.device.type == "cpu":
        fused.enable()
    suffix = "" if arguments.seed is None else f"_seed{arguments.seed}"
    output = arguments.output or Path("runs") / (config["name"] + suffix)
    try:
        if parallel.main:
            print(f"{describe(config)}# {parallel.world} process(es) on {parallel.device.type}, output: {output}", flush=True)
        Trainer(config, arguments.data, output, parallel).run(arguments.stop_after)
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        return stopped.exit_code
    except (ValueError, OSError) as error:
        return fail("train.py", error, 2)
    finally:
        parallel.close()
    return 0


if __name__ == "__main__":
    run_program(main)
