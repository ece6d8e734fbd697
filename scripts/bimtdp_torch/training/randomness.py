# SPDX-License-Identifier: Apache-2.0
"""Seeds: at the start for everything, at each step for what is random inside the network."""

from __future__ import annotations

import random

import numpy as np
import torch


def seed_everything(seed: int, device: torch.device) -> None:
    """Seeds Python, NumPy and PyTorch; on a GPU asks cuDNN for algorithms that repeat themselves.

    (Some of PyTorch's GPU kernels add in any order all the same: bit-equal runs are promised on the CPU alone.)
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    if device.type == "cuda":
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False


def seed_step(seed: int, step: int, stream: int) -> None:
    """For dropout and the bottleneck's noise; ``stream`` numbers the pieces of a batch over all processes."""
    torch.manual_seed(seed * 1_000_003 + step + stream * 7_368_787)
