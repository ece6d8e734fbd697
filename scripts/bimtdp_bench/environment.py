# SPDX-License-Identifier: Apache-2.0
"""What a run was measured on: CPU, kernel, compiler, versions of the peers."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Dict

_PACKAGES = ("onnxruntime", "openvino", "ncnn", "torch", "numpy")


def _cpuinfo(key: str) -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def cpu_flags() -> set:
    return set(_cpuinfo("flags").split())


def cpu_slug() -> str:
    """File name of this CPU's results."""
    parts = [_cpuinfo("model name") or platform.machine(), _cpuinfo("cpu family"), _cpuinfo("model")]
    name = re.sub(r"\((r|tm)\)", "", " ".join(filter(None, parts)).lower())
    return re.sub(r"[^a-z0-9]+", "-", name).strip("-")


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def versions() -> Dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    onednn = _output("dpkg-query", "-W", "-f", "${Version}", "libdnnl-dev")
    return {**found, **({"oneDNN": onednn} if onednn else {})}


def describe(repository: Path) -> Dict[str, object]:
    flags = cpu_flags()
    return {
        "cpu": _cpuinfo("model name") or platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "instructions": sorted(f for f in flags if f.startswith(("avx", "amx", "asimd", "sve"))),
        "kernel": platform.release(),
        "compiler": _output(os.environ.get("CXX", "c++"), "--version").splitlines()[0:1],
        "commit": _output("git", "-C", str(repository), "rev-parse", "--short", "HEAD"),
        "versions": versions(),
    }
