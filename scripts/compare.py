#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A contact sheet: compare.py [NAME=]NETWORK ... --photos DIR|FILE ... (or --data DIR) --output sheet

Networks are checkpoints of train.py (they run in PyTorch) and converted .safetensors models (in the C++ library), in
any mixture. Every photo is a block of rows: the ground truth, where the data set has one, then each network.
A column is a task.
Writes sheet.png, sheet.svg, sheet.json (settings) and, with ground truth, sheet.csv (the figures below the pictures).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bimtdp_torch.analysis import comparison
from bimtdp_torch.analysis.inputs import add_photo_options, photos_of, split_name
from bimtdp_torch.files import run_program
from bimtdp_torch.machine import use_threads
from bimtdp_torch.programs import ProgramError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", metavar="[NAME=]NETWORK", help=".pt or .safetensors file")
    add_photo_options(parser, count=4)
    parser.add_argument("--output", type=Path, default=Path("compare"), help="path of the files without their suffix")
    arguments = parser.parse_args()
    use_threads(arguments)
    try:
        entrants = comparison.load_entrants(
            arguments.networks, tuple(arguments.size) if arguments.size else None, arguments.at_once
        )
        photos = photos_of(arguments, entrants[0].dataset, entrants[0].size)
        sheet, figures = comparison.build(entrants, photos, arguments.quiet)
    except (OSError, ValueError, ProgramError, RuntimeError) as error:
        sys.exit(f"compare.py: {error}")
    settings = {
        "networks": {e.name: {"file": split_name(a)[1].name, "size": e.size} for e, a in zip(entrants, arguments.networks)},
        "photos": photos.names,
    }
    for path in comparison.write(arguments.output, sheet, figures, settings):
        print(path)


if __name__ == "__main__":
    run_program(main)
