# SPDX-License-Identifier: Apache-2.0
"""Where PyTorch runs: the options --device and --threads, which the scripts share, and the CPU's memory."""

from __future__ import annotations

import argparse
import ctypes
import sys

import torch

# Parameters of glibc's mallopt (malloc.h) and their largest value.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _LARGEST = -1, -4, 2**31 - 1


def add_thread_option(parser: argparse.ArgumentParser) -> None:
    """--threads, for what runs on the CPU only."""
    parser.add_argument("--threads", type=int, help="of PyTorch (a resumed training needs the same number)")


def add_machine_options(parser: argparse.ArgumentParser) -> None:
    """--device and --threads."""
    parser.add_argument("--device", default="auto", help="of PyTorch: auto (CUDA where there is one), cpu or cuda")
    add_thread_option(parser)


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"--device {name}: PyTorch knows no such device") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"--device {name}: this PyTorch sees no CUDA device")
    return device


def use_threads(arguments: argparse.Namespace) -> None:
    """Sets the number of threads."""
    if arguments.threads:
        torch.set_num_threads(arguments.threads)


def keep_memory() -> None:
    """Freed memory stays with the process (glibc). Otherwise every large map of every step is returned to the system and
    comes back page by page, which takes a tenth to a fifth of a training's time."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _LARGEST)


def use_machine(arguments: argparse.Namespace) -> torch.device:
    """Sets the number of threads; returns the device. ValueError: it is not there."""
    use_threads(arguments)
    device = _device(arguments.device)
    if device.type == "cpu":
        keep_memory()
    else:
        torch.backends.cudnn.allow_tf32 = False  # float32 is what it says; for less there is bf16
    return device
