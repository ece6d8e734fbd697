# SPDX-License-Identifier: Apache-2.0
"""Runs a converted model through the C++ library: builds examples/predict_maps.cpp and reads the maps it writes."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Dict, Iterator, Tuple

import numpy as np
from PIL import Image
from safetensors import safe_open

from .evaluation import Predictor

_REPOSITORY = Path(__file__).resolve().parents[2]
_CHUNK = 50  # photos per call: bounds the space that the maps take


def preferred_size(model: Path) -> Tuple[int, int]:
    """(height, width) that a converted model names for its photos."""
    with safe_open(str(model), "numpy") as file:
        metadata = file.metadata() or {}
    if "bimtdp" not in metadata:
        raise RuntimeError(f"{model}: a safetensors file, but no bimtdp model")
    preprocessing = json.loads(metadata["bimtdp"])["preprocessing"]
    return int(preprocessing["height"]), int(preprocessing["width"])


def build_predict_maps(build: Path = _REPOSITORY / "build" / "evaluate") -> Path:
    """Path of the compiled program (CMake builds it again only when sources changed)."""
    if shutil.which("cmake") is None:
        raise RuntimeError("evaluating a .safetensors model needs cmake and a C++20 compiler")
    for command in (["cmake", "-S", str(_REPOSITORY), "-B", str(build), "-DCMAKE_BUILD_TYPE=Release",
                     "-DBIMTDP_TESTS=OFF", "-DBIMTDP_EXAMPLES=ON"],
                    ["cmake", "--build", str(build), "--target", "predict_maps"]):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    programs = [p for p in build.rglob("predict_maps") if p.is_file()]
    if not programs:
        raise RuntimeError(f"CMake built no predict_maps below {build}")
    return programs[0]


def _read_maps(prefix: Path) -> Dict[str, np.ndarray]:
    maps = {path.name[len(prefix.name) + 1:-4]: np.load(path) for path in prefix.parent.glob(f"{prefix.name}.*.npy")}
    if not maps:
        raise RuntimeError(f"predict_maps wrote no {prefix.name}.*.npy")
    return maps


def cpp_predictor(model: Path, size: Tuple[int, int]) -> Predictor:
    """Predictor of a .safetensors model: photos of ``size`` go out as PPM files, maps come back as .npy files."""
    program = build_predict_maps()

    def predict(photos: np.ndarray) -> Iterator[Dict[str, np.ndarray]]:
        for start in range(0, len(photos), _CHUNK):
            with tempfile.TemporaryDirectory() as folder:
                prefixes, lines = [], []
                for index, photo in enumerate(photos[start:start + _CHUNK]):
                    path = Path(folder) / f"{index}.ppm"
                    Image.fromarray(photo).save(path)
                    prefixes.append(Path(folder) / f"maps{index}")
                    lines.append(f"{path}\t{prefixes[-1]}\n")
                done = subprocess.run([str(program), str(model), str(size[0]), str(size[1])], input="".join(lines),
                                      capture_output=True, text=True)
                if done.returncode != 0:
                    raise RuntimeError(f"predict_maps failed: {done.stderr.strip()}")
                for prefix in prefixes:
                    yield _read_maps(prefix)

    return predict
