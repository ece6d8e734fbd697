# SPDX-License-Identifier: Apache-2.0
"""Compiles the example programs that the Python side calls (verify_model, predict_maps ..).

A program is compiled once per state of its sources (about a minute) and kept in the user's cache folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Optional

REPOSITORY = Path(__file__).resolve().parents[2]
_PACKAGES = "libxsimd-dev nlohmann-json3-dev libxxhash-dev"
_FLAGS = ["-std=c++20", "-O2", "-pthread"]


class ProgramError(Exception):
    """A program cannot be built; the message says what is missing."""


def include_folder() -> Path:
    """Where the library's headers are: BIMTDP_INCLUDE_DIR, this checkout, or an installation."""
    candidates = [os.environ.get("BIMTDP_INCLUDE_DIR"), REPOSITORY / "include", "/usr/local/include", "/usr/include"]
    for candidate in candidates:
        if candidate and (Path(candidate) / "bimtdp" / "bimtdp.hpp").is_file():
            return Path(candidate)
    raise ProgramError("the headers of bimtdp were not found: set BIMTDP_INCLUDE_DIR")


def find_compiler() -> str:
    """CXX, or the first usual compiler."""
    for name in (os.environ.get("CXX"), "c++", "g++", "clang++"):
        if name and shutil.which(name):
            return shutil.which(name)
    raise ProgramError("no C++ compiler was found (Debian, Ubuntu: apt install g++); set CXX")


def _cache_folder() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bimtdp"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def built_program(name: str) -> Optional[Path]:
    """One that is built already: the file that BIMTDP_NAME (as BIMTDP_VERIFY_MODEL) names, or examples/NAME in the folder
    of a CMake build that BIMTDP_BUILD_DIR names."""
    variable = f"BIMTDP_{name.upper()}"
    ready = os.environ.get(variable)
    if ready:
        if not Path(ready).is_file():
            raise ProgramError(f"{variable} names no file (got '{ready}')")
        return Path(ready)
    folder = os.environ.get("BIMTDP_BUILD_DIR")
    program = Path(folder) / "examples" / name if folder else None
    return program if program and program.is_file() else None


def build_program(name: str, quiet: bool = False) -> Path:
    """Path of the compiled ``examples/NAME.cpp``."""
    ready = built_program(name)
    if ready is not None:
        return ready
    source, include, compiler = REPOSITORY / "examples" / f"{name}.cpp", include_folder(), find_compiler()
    key = hashlib.sha256(repr((compiler, _FLAGS, os.stat(compiler).st_mtime)).encode())
    for path in sorted([*include.glob("bimtdp/**/*.hpp"), *include.glob("bimtdp/**/*.inl")]) + [source]:
        key.update(str(path.name).encode() + path.read_bytes())
    program = _cache_folder() / f"{name}-{key.hexdigest()[:16]}"
    if not program.exists():
        if not quiet:
            print(f"building {name} (once, about a minute)", file=sys.stderr, flush=True)
        _compile(compiler, include, source, program)
    return program


def _compile(compiler: str, include: Path, source: Path, program: Path) -> None:
    temporary = Path(f"{program}.{os.getpid()}.tmp")
    done = subprocess.run([compiler, *_FLAGS, f"-I{include}", str(source), "-o", str(temporary)], capture_output=True, text=True)
    if done.returncode == 0:
        os.replace(temporary, program)
        return
    errors = [line for line in done.stderr.splitlines() if "error" in line][:5] or done.stderr.splitlines()[:5]
    raise ProgramError(
        f"{source.name} does not compile with {compiler} (it needs C++20 and the packages {_PACKAGES}):\n  " + "\n  ".join(errors)
    )
