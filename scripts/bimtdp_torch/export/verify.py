# SPDX-License-Identifier: Apache-2.0
"""Compares a converted model with PyTorch: builds examples/verify_model.cpp, feeds it what PyTorch recorded."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Dict, List, Optional

import numpy as np

from ..programs import ProgramError, build_program
from .errors import VerificationError
from .ir import Node, hwc
from .model_file import write_safetensors


def build_verify_model(quiet: bool = False) -> Path:
    """Path of the compiled program. BIMTDP_VERIFY_MODEL names one that is built already."""
    try:
        return build_program("verify_model", quiet)
    except ProgramError as error:
        raise VerificationError(
            f"{error} (convert with --no-verify leaves the check out and marks the file as unchecked)"
        ) from error


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
        done = subprocess.run(
            command + (["--quiet"] if quiet else []), stdout=subprocess.PIPE, stderr=subprocess.PIPE if quiet else None, text=True
        )
        if done.returncode not in (0, 1) or not report_path.exists():
            raise VerificationError(f"verify_model failed (status {done.returncode}): {(done.stderr or '').strip()}")
        report = json.loads(report_path.read_text())
    report["passed"] = done.returncode == 0
    report["messages"] = ((done.stdout or "") + (done.stderr or "")).strip()
    return report


def replay_self_test(program: Path, model: Path, tier: Optional[str] = None) -> str:
    """Runs ``verify_model MODEL``, on one tier if ``tier`` names it; returns its message or raises."""
    environment = {**os.environ, **({"BIMTDP_ISA": tier} if tier else {})}
    done = subprocess.run([str(program), str(model)], capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise VerificationError(f"the written file does not verify: {done.stderr.strip()}")
    return done.stdout.strip()
