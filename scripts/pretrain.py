#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pretrains a binary backbone on a folder (or tar) of photos: pretrain.py CONFIG --photos DIR [--output DIR]."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bimtdp_torch import fused  # noqa: E402
from bimtdp_torch.pretraining import BackbonePretrainer  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="YAML file, e.g. scripts/configs/pretrain_w18_rooms.yaml")
    parser.add_argument("--photos", type=Path, required=True, help="folder or tar; subfolders are classes")
    parser.add_argument("--output", type=Path, help="default: runs/<name of the configuration>")
    parser.add_argument("--threads", type=int, help="threads of PyTorch")
    arguments = parser.parse_args()
    config = yaml.safe_load(arguments.config.read_text())
    config.setdefault("name", arguments.config.stem)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    fused.enable()
    output = arguments.output or Path("runs") / config["name"]
    BackbonePretrainer(config, arguments.photos, output).run()


if __name__ == "__main__":
    main()
