# SPDX-License-Identifier: Apache-2.0
"""A run's record: configuration, test figures, counts, size of the model file, time in the C++ library, versions.

    {"row": "bi_mtdp_w18", "seed": 1, "steps": 2400, "photos": 36000, "config": {..}, "training": {..},
     "evaluation": {"list", "frames", "size", "engine"}, "metrics": {..}, "counts": {.., "size"},
     "file": {"bytes", "floats"}, "time": {"milliseconds", .., "size"} or null, "engines": {"frames", "pytorch": {metrics},
     "bimtdp": {metrics}} or null, "versions": {..}}

Everything in a table comes from these files, so it can be made again where the checkpoints are not.
"""

from __future__ import annotations

import copy
import csv
import json
import platform
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np
import torch

from ..checkpoints import read_checkpoint
from ..data.datasets import dataset_of, load_frames, read_list
from ..export import Options, Source, convert
from ..export.pipeline import round_weights_to_half
from ..files import write_text
from ..metrics.cpp_predictor import cpp_predictor
from ..metrics.evaluation import score, torch_predictor
from ..networks.build import build_network
from ..networks.predictor import SIDE_MULTIPLE, training_size
from ..programs import REPOSITORY, build_program
from ..sources import load_checkpoint, load_source
from .counting import count

COUNT_SIZE = (480, 640)  # the size of the published figures
_FLAT_LIST = re.compile(r"\[\s+([^\[\]{}]*?)\s+\]")  # json puts each item on a line of its own


def without_folders(value: Any) -> Any:
    """A configuration in which files are named by their last two parts: runs/a/final.pt -> a/final.pt."""
    if isinstance(value, Mapping):
        return {key: without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_folders(item) for item in value]
    if isinstance(value, str) and ("/" in value or "\\" in value):
        return "/".join(Path(value).parts[-2:])
    return value


def schedule_of(config: Mapping[str, Any]) -> Tuple[int, int]:
    """(optimizer steps, photos seen)."""
    phases = config["train"]["phases"]
    return sum(int(p["steps"]) for p in phases), sum(int(p["steps"]) * int(p["batch"]) for p in phases)


def _numbers(path: Path) -> List[Dict[str, float]]:
    if not path.exists():
        return []

    def number(text: str) -> Optional[float]:
        try:
            return float(text)
        except (TypeError, ValueError):
            return None

    with open(path, newline="") as file:
        rows = [{key: number(text) for key, text in row.items()} for row in csv.DictReader(file)]
    return [{key: value for key, value in row.items() if value is not None} for row in rows]


def training_of(run: Path, photos: int) -> Dict[str, Any]:
    """What the run's logs say: last losses, last validation, and the rate, photos per second since the start (or the last
    restart), with the minutes that all photos take at it."""
    losses, validation = (_numbers(run / f"{name}.csv") for name in ("losses", "validation"))
    rate = losses[-1].get("photos_per_second") if losses else None
    return {
        "last_losses": losses[-1] if losses else None,
        "last_validation": validation[-1] if validation else None,
        "photos_per_second": rate,
        "minutes": photos / rate / 60 if rate else None,
    }


def _write_model(source: Source, output: Path, floats: str = "f16") -> int:
    convert(source, output, Options(floats=floats, verify=False, quiet=True))
    return output.stat().st_size


def model_file(checkpoint: Path, output: Path, floats: str = "f16") -> int:
    """Bytes of the checkpoint's model file (not verified: convert.py does that for a model that is to be used)."""
    return _write_model(load_source(checkpoint), output, floats)


def fresh_model_file(config: Mapping[str, Any], output: Path) -> None:
    """A model file of a configuration's network with random weights."""
    torch.manual_seed(0)
    _write_model(Source(build_network(config["network"]).eval(), config["name"], SIDE_MULTIPLE), output)


def time_model(model: Path, size: Tuple[int, int] = COUNT_SIZE, runs: int = 20) -> Dict[str, Any]:
    """Milliseconds a photo in the C++ library on one thread: the shortest of ``runs``."""
    done = subprocess.run(
        [str(build_program("time_model")), str(model), str(size[0]), str(size[1]), "1", str(runs)], capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"time_model failed: {done.stderr.strip()}")
    return {**json.loads(done.stdout), "size": list(size), "cpu": cpu_name()}


def cpu_name() -> str:
    """Of /proc/cpuinfo where there is one."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def versions() -> Dict[str, str]:
    """Of what made the figures; ``commit`` is this checkout's, marked where it has changes."""

    def git(*command: str) -> str:
        done = subprocess.run(["git", "-C", str(REPOSITORY), *command], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = git("rev-parse", "--short", "HEAD") or "unknown"
    changed = git("status", "--porcelain", "--untracked-files=no")
    return {
        "commit": commit + ("+changes" if changed else ""),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def evaluate(
    network: torch.nn.Module, config: Mapping[str, Any], data: Path, size: Tuple[int, int], limit: Optional[int] = None
) -> Tuple[int, Dict[str, float]]:
    """(frames, metrics) on the test list, in PyTorch on the network's device."""
    dataset = dataset_of(config)
    ids = read_list(dataset, data, "test")[:limit]
    frames = load_frames(dataset, data, ids, list(network.tasks))
    return len(ids), score(frames, torch_predictor(network.to(memory_format=torch.channels_last)), size, progress=True)


def compare_engines(
    network: torch.nn.Module, model: Path, config: Mapping[str, Any], data: Path, size: Tuple[int, int], frames: int
) -> Dict[str, Any]:
    """Metrics of PyTorch and of the C++ library on the first test photos, both with the weights of the model file."""
    network = copy.deepcopy(network)
    round_weights_to_half(network)
    chosen = load_frames(dataset_of(config), data, read_list(dataset_of(config), data, "test")[:frames], list(network.tasks))
    return {
        "frames": len(chosen.ids),
        "pytorch": score(chosen, torch_predictor(network.to(memory_format=torch.channels_last)), size),
        "bimtdp": score(chosen, cpp_predictor(model, size), size),
    }


def make_record(
    run: Path,
    checkpoint: Path,
    data: Path,
    *,
    timed: bool = False,
    compared: int = 0,
    limit: Optional[int] = None,
    device: torch.device = torch.device("cpu"),
) -> Dict[str, Any]:
    """The record of a finished run in the folder ``run``; ``compared``: photos for ``compare_engines`` (on the CPU),
    ``device``: where the test photos are scored."""
    config, network, _ = load_checkpoint(checkpoint)
    size = training_size(config, checkpoint)
    counts = count(network, COUNT_SIZE)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.safetensors"
        stored = model_file(checkpoint, model)
        time = time_model(model) if timed else None
        engines = compare_engines(network, model, config, data, size, compared) if compared else None
    frames, metrics = evaluate(network.to(device), config, data, size, limit)
    steps, photos = schedule_of(config)
    return {
        "row": config["name"],
        "seed": int(config["train"].get("seed", 0)),
        "steps": steps,
        "photos": photos,
        "tasks": list(network.tasks),
        "config": without_folders(dict(config)),
        "training": {**training_of(run, photos), "precision": read_checkpoint(checkpoint).get("precision")},
        "evaluation": {
            "checkpoint": checkpoint.name,
            "list": "test",
            "frames": frames,
            "size": list(size),
            "engine": "pytorch",
            "device": device.type,
        },
        "metrics": metrics,
        "counts": {**counts._asdict(), "size": list(COUNT_SIZE)},
        "file": {"bytes": stored, "floats": "f16"},
        "time": time,
        "engines": engines,
        "versions": versions(),
    }


def write_record(record: Mapping[str, Any], path: Path) -> None:
    """Readable JSON; floats keep six digits, which is more than a table shows."""

    def rounded(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: rounded(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [rounded(item) for item in value]
        return float(f"{value:.6g}") if isinstance(value, float) else value

    path.parent.mkdir(parents=True, exist_ok=True)
    text = _FLAT_LIST.sub(lambda match: "[" + " ".join(match[1].split()) + "]", json.dumps(rounded(record), indent=1))
    write_text(path, text + "\n")


def read_records(folder: Path) -> Dict[str, Dict[str, Any]]:
    """All records of a folder by the names of their files."""
    records = {}
    for path in sorted(folder.glob("*.json")):
        try:
            records[path.stem] = json.loads(path.read_text())
            records[path.stem]["metrics"], records[path.stem]["row"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: no record of a run ({type(error).__name__}: {error})") from error
    return records
