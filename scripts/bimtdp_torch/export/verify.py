# SPDX-License-Identifier: Apache-2.0
"""Compares a converted model with PyTorch: builds examples/verify_model.cpp, feeds it what PyTorch recorded.

The program is compiled once per state of its sources (about a minute) and kept in the user's cache folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, Optional

import numpy as np

from .errors import VerificationError
from .ir import Node, hwc
from .model_file import write_safetensors

_REPOSITORY = Path(__file__).resolve().parents[3]
_PACKAGES = "libxsimd-dev nlohmann-json3-dev libxxhash-dev"


def include_folder() -> Path:
    """Where the library's headers are: BIMTDP_INCLUDE_DIR, this checkout, or an installation."""
    candidates = [os.environ.get("BIMTDP_INCLUDE_DIR"), _REPOSITORY / "include", "/usr/local/include", "/usr/include"]
    for candidate in candidates:
        if candidate and (Path(candidate) / "bimtdp" / "bimtdp.hpp").is_file():
            return Path(candidate)
    raise VerificationError("the headers of bimtdp were not found: set BIMTDP_INCLUDE_DIR, or convert with --no-verify")


def _compiler() -> str:
    for name in (os.environ.get("CXX"), "c++", "g++", "clang++"):
        if name and shutil.which(name):
            return shutil.which(name)
    raise VerificationError("no C++ compiler was found (Debian, Ubuntu: apt install g++); set CXX, or convert with "
                            "--no-verify, which marks the file as unchecked")


def _cache_folder() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bimtdp"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def build_verify_model(quiet: bool = False) -> Path:
    """Path of the compiled program. BIMTDP_VERIFY_MODEL names one that is built already."""
    ready = os.environ.get("BIMTDP_VERIFY_MODEL")
    if ready:
        if not Path(ready).is_file():
            raise VerificationError(f"BIMTDP_VERIFY_MODEL names no file (got '{ready}')")
        return Path(ready)
    source, include, compiler = _REPOSITORY / "examples" / "verify_model.cpp", include_folder(), _compiler()
    flags = ["-std=c++20", "-O2", "-fopenmp"]
    key = hashlib.sha256(repr((compiler, flags, os.stat(compiler).st_mtime)).encode())
    for path in sorted([*include.glob("bimtdp/**/*.hpp"), *include.glob("bimtdp/**/*.inl")]) + [source]:
        key.update(str(path.name).encode() + path.read_bytes())
    program = _cache_folder() / f"verify_model-{key.hexdigest()[:16]}"
    if program.exists():
        return program
    if not quiet:
        print("building verify_model (once, about a minute)", file=sys.stderr, flush=True)
    temporary = Path(f"{program}.{os.getpid()}.tmp")
    for options in (flags, flags[:-1]):  # without OpenMP where the compiler has none
        done = subprocess.run([compiler, *options, f"-I{include}", str(source), "-o", str(temporary)],
                              capture_output=True, text=True)
        if done.returncode == 0:
            os.replace(temporary, program)
            return program
    errors = [line for line in done.stderr.splitlines() if "error" in line][:5] or done.stderr.splitlines()[:5]
    raise VerificationError(f"{source.name} does not compile with {compiler} (it needs C++20 and the packages {_PACKAGES}):\n  "
                            + "\n  ".join(errors))


def write_recording(path: Path, nodes: List[Node]) -> None:
    """PyTorch's value of every node, and the floats before signs that were taken of floats."""
    tensors: Dict[str, np.ndarray] = {}
    for index, node in enumerate(nodes):
        tensors[f"value.{index}"] = hwc(node.value)
        if node.presign is not None:
            tensors[f"presign.{index}"] = hwc(node.presign)
    write_safetensors(path, tensors)


def compare_with_pytorch(program: Path, model: Path, nodes: List[Node], quiet: bool = False) -> dict:
    """The report of ``verify_model --against``. Raises VerificationError when it cannot run; ``report["passed"]`` tells
    whether all promises hold and ``report["messages"]`` what the program said."""
    with tempfile.TemporaryDirectory(prefix="bimtdp-") as folder:
        recording, report_path = Path(folder) / "recording.safetensors", Path(folder) / "report.json"
        write_recording(recording, nodes)
        command = [str(program), str(model), "--against", str(recording), "--report", str(report_path)]
        done = subprocess.run(command + (["--quiet"] if quiet else []), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE if quiet else None, text=True)
        if done.returncode not in (0, 1) or not report_path.exists():
            raise VerificationError(f"verify_model failed (status {done.returncode}): {(done.stderr or '').strip()}")
        report = json.loads(report_path.read_text())
    report["passed"] = done.returncode == 0
    report["messages"] = ((done.stdout or "") + (done.stderr or "")).strip()
    return report


def replay_self_test(program: Path, model: Path, isa: Optional[str] = None) -> str:
    """Runs ``verify_model MODEL``, on one tier if ``isa`` names it; returns its message or raises."""
    environment = {**os.environ, **({"BIMTDP_ISA": isa} if isa else {})}
    done = subprocess.run([str(program), str(model)], capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise VerificationError(f"the written file does not verify: {done.stderr.strip()}")
    return done.stdout.strip()
