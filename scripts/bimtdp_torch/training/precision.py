# SPDX-License-Identifier: Apache-2.0
"""Where bf16 pays, and autocast for whichever device."""

from __future__ import annotations

from pathlib import Path

import torch


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bf16 matrices natively (else bf16 only costs)."""
    probe = getattr(torch.backends.cpu, "get_cpu_capability", lambda: "")()
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "AVX512" in probe and ("avx512_bf16" in flags or "amx_bf16" in flags)


def use_bf16(amp: str, device: torch.device) -> bool:
    """Whether to compute in bf16; ``amp``: auto, bf16 or off."""
    if amp != "auto":
        return amp == "bf16"
    return torch.cuda.is_bf16_supported() if device.type == "cuda" else cpu_has_bf16()


def autocast(device: torch.device, bf16: bool) -> torch.autocast:
    """bf16 autocast, or none."""
    return torch.autocast(device.type, torch.bfloat16, enabled=bf16)
