# SPDX-License-Identifier: Apache-2.0
"""The self-test photo of a model file and its normalisation, bit for bit as the C++ library makes them."""

from __future__ import annotations

from typing import Sequence

import numpy as np
import torch
from torch import Tensor

_MASK = (1 << 64) - 1


def splitmix64(seed: int, count: int) -> np.ndarray:
    """The first ``count`` numbers of the splitmix64 sequence."""
    numbers, state = [], seed & _MASK
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        numbers.append(z ^ (z >> 31))
    return np.array(numbers, dtype="<u8")


def self_test_photo(height: int, width: int, seed: int) -> np.ndarray:
    """(height, width, 3) uint8: coarse noise, every coarse pixel a block of 8 x 8 (nearer to photos than pixel noise)."""
    rows, columns = (height + 7) // 8, (width + 7) // 8
    count = rows * columns * 3
    coarse = splitmix64(seed, (count + 7) // 8).view(np.uint8)[:count].reshape(rows, columns, 3)
    return np.ascontiguousarray(np.repeat(np.repeat(coarse, 8, 0), 8, 1)[:height, :width])


def normalise_photo(photo: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(1, 3, H, W) float32: float((v/255 - mean) / std), computed in double."""
    table = (np.arange(256, dtype=np.float64)[None] / 255.0 - np.array(mean)[:, None]) / np.array(std)[:, None]
    table = table.astype(np.float32)
    return torch.from_numpy(np.stack([table[c][photo[..., c]] for c in range(3)])[None])
