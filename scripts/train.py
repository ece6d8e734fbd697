#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains a network: train.py CONFIG --data DIR [--output DIR]. Run it again after a kill and it resumes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bimtdp_torch import fused  # noqa: E402
from bimtdp_torch.training import Trainer  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="YAML file, e.g. scripts/configs/bi_mtdp_c_lite0_nyud4.yaml")
    parser.add_argument("--data", type=Path, required=True, help="folder with image/ depth/ label/ normal/ edge/ train.txt")
    parser.add_argument("--output", type=Path, help="default: runs/<name of the configuration>")
    parser.add_argument("--threads", type=int, help="threads of PyTorch (a resumed run needs the same number)")
    parser.add_argument("--stop-after", type=int, help="stop at this step, to resume later")
    for option in ("teacher", "init"):
        parser.add_argument(f"--{option}", type=Path, help=f"checkpoint that replaces the configuration's {option}")
    arguments = parser.parse_args()
    config = yaml.safe_load(arguments.config.read_text())
    config.setdefault("name", arguments.config.stem)
    if arguments.teacher:
        config.setdefault("distillation", {})["teacher"] = str(arguments.teacher)
    if arguments.init:
        config.setdefault("init", {})["checkpoint"] = str(arguments.init)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if config["train"].get("fused", True):
        fused.enable()
    output = arguments.output or Path("runs") / config["name"]
    Trainer(config, arguments.data, output).run(arguments.stop_after)


if __name__ == "__main__":
    main()
