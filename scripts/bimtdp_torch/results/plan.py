# SPDX-License-Identifier: Apache-2.0
"""What is still to be trained for a table, as commands in an order in which each finds the checkpoints it starts from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping

from ..configuration import read_config


def needed_runs(config: Mapping[str, Any]) -> List[str]:
    """Names of the runs whose checkpoints a configuration names: runs/NAME/final.pt -> NAME. A safetensors file
    is no run."""
    files = ((config.get("init") or {}).get("checkpoint"), (config.get("distillation") or {}).get("teacher"))
    return [Path(file).parent.name for file in files if file and Path(file).suffix == ".pt"]


def find_config(name: str, folders: Iterable[Path]) -> Path:
    """The configuration of a run."""
    folders = list(folders)
    for folder in folders:
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    raise ValueError(f"no configuration {name}.yaml in {', '.join(map(str, folders))}")


def commands(runs: Iterable[str], done: Iterable[str], folders: Iterable[Path], output: Path) -> List[str]:
    """One line for each run, those that it needs before it. ``done``: runs with a record; a finished run without one
    (output/NAME/final.pt) is only collected."""
    folders, done = list(folders), set(done)
    lines: Dict[str, str] = {}

    def add(name: str, record: bool) -> None:
        finished = (output / name / "final.pt").exists()
        if name in lines or (finished and not record):
            return
        path = Path(os.path.relpath(find_config(name, folders)))
        config = read_config(path)
        if not finished:
            for other in needed_runs(config):
                add(other, record=False)
        if "phases" not in config["train"]:  # pretraining has one size and no table
            lines[name] = f"python scripts/pretrain.py {path} --photos PHOTOS --output {output / name}"
            return
        train = f"python scripts/train.py {path} --data DATA --output {output / name}"
        collect = f"python scripts/results.py collect {output / name} --data DATA --compare 50"
        lines[name] = " && ".join(([] if finished else [train]) + ([] if name in done else [collect]))

    for name in runs:
        if name not in done:
            add(name, record=True)
    return list(lines.values())
