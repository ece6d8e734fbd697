# SPDX-License-Identifier: Apache-2.0
"""Float32 arithmetic that has to come out to the last bit: fused multiply-add, folded batch normalisation, packed signs."""

from __future__ import annotations

from typing import Tuple

import numpy as np
from torch import Tensor, nn

from .errors import ConversionError


def fma(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """x*y + z in float32 with a single rounding.

    In float64 the product is exact; the sum is rounded to odd, so that the final rounding to float32 sees which side
    of a tie the exact sum lies on (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums").
    """
    product = x.astype(np.float64) * y.astype(np.float64)
    addend = z.astype(np.float64)
    total = product + addend
    back = total - product
    error = (product - (total - back)) + (addend - back)  # exact: two-sum
    bits = total.view(np.int64)
    away = np.where((error > 0) == (total > 0), 1, -1)
    odd = np.where((error != 0) & (bits & 1 == 0), bits + away, bits)
    return odd.view(np.float64).astype(np.float32)


def to_numpy(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().cpu().numpy())


def fold_batch_norm(norm: nn.BatchNorm2d, where: str) -> Tuple[np.ndarray, np.ndarray]:
    """(a, b) with y = fma(x, a, b): a = gamma*(1/sqrt(var + eps)), b = fma(-mean, a, beta), all float32.

    This is what PyTorch's CPU kernel computes in evaluation mode, bit for bit.
    """
    if norm.running_mean is None or norm.running_var is None:
        raise ConversionError(f"{where}: batch normalisation without running statistics depends on the batch")
    mean, var = (to_numpy(t).astype(np.float32) for t in (norm.running_mean, norm.running_var))
    gamma = np.ones_like(mean) if norm.weight is None else to_numpy(norm.weight).astype(np.float32)
    beta = np.zeros_like(mean) if norm.bias is None else to_numpy(norm.bias).astype(np.float32)
    for name, values in (("running_mean", mean), ("running_var", var), ("weight", gamma), ("bias", beta)):
        if not np.isfinite(values).all():
            raise ConversionError(f"{where}: {name} holds NaN or infinity")
    if (var < 0).any():
        raise ConversionError(f"{where}: running_var is negative in channel {int(np.argmax(var < 0))}")
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        scale = gamma * (np.float32(1) / np.sqrt(var + np.float32(norm.eps)))
        shift = fma(-mean, scale, beta)
    if not (np.isfinite(scale).all() and np.isfinite(shift).all()):
        raise ConversionError(f"{where}: batch normalisation overflows (running_var + eps is too small)")
    return scale, shift


def pack_signs(weight: np.ndarray) -> np.ndarray:
    """(out, in, kh, kw) of +-1 -> U8 [out, kh, kw, ceil(in/8)]; bit i of byte b is channel 8*b + i, 1 means +1.

    The reader fills rows up to 64-bit words; in the file 18 channels take 3 bytes instead of 8.
    """
    return np.ascontiguousarray(np.packbits((weight >= 0).transpose(0, 2, 3, 1), axis=-1, bitorder="little"))
