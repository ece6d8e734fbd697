# SPDX-License-Identifier: Apache-2.0
"""Where bf16 pays, and autocast for whichever device."""

from __future__ import annotations

from pathlib import Path

import torch


def bf16_pays(cpuinfo: str) -> bool:
    """Whether a CPU (the text of Linux' /proc/cpuinfo) trains faster in bf16: with AMX, or with AMD's AVX512-BF16.

    Intel's AVX512-BF16 multiplies no faster than its fp32 and has to convert as well: measured, a fifth slower.
    """
    return "amx_bf16" in cpuinfo or ("avx512_bf16" in cpuinfo and "AuthenticAMD" in cpuinfo)


def _cpu_bf16_pays() -> bool:
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    capability = getattr(torch.backends.cpu, "get_cpu_capability", lambda: "")()
    return "AVX512" in capability and bf16_pays(cpuinfo)


def use_bf16(amp: str, device: torch.device) -> bool:
    """Whether to compute in bf16; ``amp``: auto, bf16 or off."""
    if amp != "auto":
        return amp == "bf16"
    return torch.cuda.is_bf16_supported() if device.type == "cuda" else _cpu_bf16_pays()


def autocast(device: torch.device, bf16: bool) -> torch.autocast:
    """bf16 autocast, or none."""
    return torch.autocast(device.type, torch.bfloat16, enabled=bf16)
