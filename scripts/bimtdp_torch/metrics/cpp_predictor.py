# SPDX-License-Identifier: Apache-2.0
"""Runs a converted model through the C++ library: builds examples/predict_maps.cpp and reads the maps it writes."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import numpy as np
from PIL import Image

from ..export.model_file import read_description
from ..programs import build_program
from .evaluation import Predictor

_CHUNK = 50  # photos per call: bounds the space that the maps take


def preferred_size(model: Path) -> Tuple[int, int]:
    """(height, width) that a converted model names for its photos. ValueError: it names none."""
    preprocessing = read_description(model)["preprocessing"]
    size = int(preprocessing["height"]), int(preprocessing["width"])
    if not all(size):
        raise ValueError(f"{model}: names no size for its photos, give --size HEIGHT WIDTH")
    return size


def model_tasks(model: Path) -> List[str]:
    """The tasks that a converted model predicts."""
    return [output["task"] for output in read_description(model)["outputs"]]


def _read_maps(prefix: Path) -> Dict[str, np.ndarray]:
    maps = {path.name[len(prefix.name) + 1 : -4]: np.load(path) for path in prefix.parent.glob(f"{prefix.name}.*.npy")}
    if not maps:
        raise RuntimeError(f"predict_maps wrote no {prefix.name}.*.npy")
    return maps


def cpp_predictor(model: Path, size: Tuple[int, int]) -> Predictor:
    """Predictor of a .safetensors model: photos of ``size`` go out as PPM files, maps come back as .npy files."""
    program = build_program("predict_maps")

    def predict(photos: np.ndarray) -> Iterator[Dict[str, np.ndarray]]:
        for start in range(0, len(photos), _CHUNK):
            with tempfile.TemporaryDirectory() as folder:
                prefixes, lines = [], []
                for index, photo in enumerate(photos[start : start + _CHUNK]):
                    path = Path(folder) / f"{index}.ppm"
                    Image.fromarray(photo).save(path)
                    prefixes.append(Path(folder) / f"maps{index}")
                    lines.append(f"{path}\t{prefixes[-1]}\n")
                done = subprocess.run(
                    [str(program), str(model), str(size[0]), str(size[1])], input="".join(lines), capture_output=True, text=True
                )
                if done.returncode != 0:
                    raise RuntimeError(f"predict_maps failed: {done.stderr.strip()}")
                for prefix in prefixes:
                    yield _read_maps(prefix)

    return predict
