# SPDX-License-Identifier: Apache-2.0
"""Optional fused training kernels (csrc/fused.cpp), compiled once with the system's C++ compiler.

``ops()`` gives the operators, or None where they were not asked for or cannot be built; layers.py then uses plain
PyTorch, with the same results up to rounding. They halve the time of a training step of an all-binary network.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import warnings
from pathlib import Path

import torch

_SOURCE = Path(__file__).with_name("csrc") / "fused.cpp"
_ops = None


def ops():
    """The loaded operators or None."""
    return _ops


def _flags() -> list:
    from torch.utils.cpp_extension import include_paths

    library = Path(torch.__file__).parent / "lib"
    return (
        [
            "-std=c++20",
            "-O3",
            "-march=native",
            "-fno-math-errno",
            "-fno-trapping-math",
            "-fPIC",
            "-shared",
            "-DNDEBUG",
            f"-D_GLIBCXX_USE_CXX11_ABI={int(torch._C._GLIBCXX_USE_CXX11_ABI)}",
        ]
        + [f"-I{path}" for path in include_paths()]
        + [f"-L{library}", "-ltorch_cpu", "-lc10", f"-Wl,-rpath,{library}"]
    )


def enable() -> bool:
    """Builds (about half a minute, cached in ~/.cache/bimtdp) and loads the kernels; False where that fails."""
    global _ops
    if _ops is not None:
        return True
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if compiler is None:
        return False
    try:
        flags = _flags()
        key = hashlib.sha256(_SOURCE.read_bytes() + repr((torch.__version__, compiler, flags)).encode()).hexdigest()[:16]
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "bimtdp"
        library = cache / f"fused-{key}.so"
        if not library.exists():
            cache.mkdir(parents=True, exist_ok=True)
            temporary = library.with_suffix(f".{os.getpid()}.tmp")
            subprocess.run([compiler, str(_SOURCE), *flags, "-o", str(temporary)], check=True, capture_output=True, text=True)
            os.replace(temporary, library)
        torch.ops.load_library(str(library))
    except (OSError, subprocess.CalledProcessError) as error:
        warnings.warn(f"fused kernels not built, plain PyTorch is used: {getattr(error, 'stderr', error)}", stacklevel=2)
        return False
    _ops = torch.ops.bimtdp_fused
    return True
