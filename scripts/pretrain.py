#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pretrains a backbone on any photos: pretrain.py CONFIG --photos FOLDER_OR_TAR [--output DIR].

The backbone (binary or float) of the configuration's network learns to predict the features of an ImageNet
EfficientNet-Lite; labels are not needed (photos in one folder a class add a small classification loss). OUTPUT gets
losses.csv, tensorboard/, last.pt and final.pt, which train.py --init takes; so does backbone.safetensors, the same
weights in half precision. Run it again after a kill and it resumes; SIGINT and SIGTERM end it after the step in progress,
with exit code 130 or 143.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bimtdp_torch.configuration import dump_config, read_config
from bimtdp_torch.files import fail, run_program
from bimtdp_torch.machine import add_machine_options, use_machine
from bimtdp_torch.networks import fused
from bimtdp_torch.training import Stopped
from bimtdp_torch.training.pretraining import BackbonePretrainer, resolve


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="YAML file, e.g. scripts/configs/pretrain_w18_rooms.yaml")
    parser.add_argument("--photos", type=Path, required=True, help="folder or tar of JPEG or PNG files")
    parser.add_argument("--output", type=Path, help="default: runs/<name of the configuration>")
    parser.add_argument("--steps-scale", type=float, default=1.0, metavar="F", help="multiplies the steps and the warm-up")
    add_machine_options(parser)
    arguments = parser.parse_args()
    try:
        device = use_machine(arguments)
        if device.type == "cpu":
            fused.enable()
        config = resolve(read_config(arguments.config), arguments.steps_scale)
        output = arguments.output or Path("runs") / config["name"]
        pretrainer = BackbonePretrainer(config, arguments.photos, output, device)
        print(f"{dump_config(pretrainer.config)}# {len(pretrainer.photos)} photos, output: {output}", flush=True)
        pretrainer.run()
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        return stopped.exit_code
    except (ValueError, OSError) as error:
        return fail("pretrain.py", error, 2)
    return 0


if __name__ == "__main__":
    run_program(main)
