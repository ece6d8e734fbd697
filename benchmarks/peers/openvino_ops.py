# SPDX-License-Identifier: Apache-2.0
"""Binary layers out of OpenVINO's operations.

What its CPU plugin wants, found by comparing with PyTorch: bits are a FakeQuantize of two levels, 0 and 1 (any others
give NaN where both thresholds are equal, without a message); input channels are a multiple of 8 (else the result is
wrong, without a message); no groups, a horizontal padding of at most 4; `x > threshold`, not `>=`.
"""

from __future__ import annotations

from typing import Optional, Sequence

import numpy as np
import openvino as ov
import openvino.opset11 as ops

CHANNEL_STEP = 8


def per_channel(values: np.ndarray) -> ov.Node:
    return ops.constant(np.asarray(values, np.float32).reshape(1, -1, 1, 1))


def _thresholds(channels: int, scale: Optional[np.ndarray], shift: Optional[np.ndarray]):
    """x * scale + shift >= 0 as x >= threshold where ``rising``, else x <= threshold."""
    a = np.ones(channels) if scale is None else scale.astype(np.float64)
    b = np.zeros(channels) if shift is None else shift.astype(np.float64)
    constant = a == 0  # the sign of b alone
    threshold = np.where(constant, np.where(b >= 0, -np.inf, np.inf), -b / np.where(constant, 1.0, a))
    return np.clip(threshold, -3e38, 3e38).astype(np.float32), constant | (a > 0)


def packed_sign(x, channels: int, scale: Optional[np.ndarray] = None, shift: Optional[np.ndarray] = None) -> ov.Node:
    """Bits of x * scale + shift >= 0, for binary_conv alone."""
    threshold, rising = _thresholds(channels, scale, shift)
    # x >= t is x > (the float before t), x <= t is not x > t. Subnormal floats count as zero here.
    before = np.nextafter(threshold, np.float32(-np.inf))
    before[np.abs(before) < np.finfo(np.float32).tiny] = -np.finfo(np.float32).tiny
    t = per_channel(np.where(rising, before, threshold))
    return ops.fake_quantize(x, t, t, per_channel(~rising), per_channel(rising), 2)


def float_sign(x, channels: int, scale: Optional[np.ndarray] = None, shift: Optional[np.ndarray] = None, low: float = -1.0,
               high: float = 1.0) -> ov.Node:
    """``high`` where x * scale + shift >= 0, else ``low``, as floats."""
    threshold, rising = _thresholds(channels, scale, shift)
    if rising.all():
        return ops.select(ops.greater_equal(x, per_channel(threshold)), np.float32(high), np.float32(low))
    return ops.select(ops.greater_equal(affine(x, np.where(rising, 1, -1)), per_channel(np.where(rising, threshold, -threshold))),
                      np.float32(high), np.float32(low))


def binary_conv(bits, weight: np.ndarray, padding: Sequence[int], stride: Sequence[int] = (1, 1),
                dilation: Sequence[int] = (1, 1)) -> ov.Node:
    """Dot products with zero padding. weight: bool [out][kernel][kernel][in]; padding: top, bottom, left, right."""
    assert weight.shape[3] % CHANNEL_STEP == 0
    oihw = weight.transpose(0, 3, 1, 2)
    packed = np.packbits(oihw.reshape(-1), bitorder="little")
    tensor = ov.Tensor(packed, ov.Shape(list(oihw.shape)), ov.Type.u1)
    constant = ov.op.Constant(tensor, shared_memory=False)
    top, bottom, left, right = padding
    return ops.binary_convolution(bits, constant, list(stride), [top, left], [bottom, right], list(dilation),
                                  "xnor-popcount", 0.0)


def affine(x, *factors_then_bias: Optional[np.ndarray]) -> ov.Node:
    """x times each of the factors plus the bias (the last); None leaves one out."""
    *factors, bias = factors_then_bias
    for factor in factors:
        x = x if factor is None else ops.multiply(x, per_channel(factor))
    return x if bias is None else ops.add(x, per_channel(bias))


def activate(x, kind: str, slope: Optional[np.ndarray] = None, shift_in: Optional[np.ndarray] = None,
             shift_out: Optional[np.ndarray] = None) -> ov.Node:
    """Activation of a model file; the parameters have one value a channel."""
    if kind in ("prelu", "rprelu"):
        return affine(ops.prelu(affine(x, shift_in), ops.constant(slope.astype(np.float32))), shift_out)
    plain = {"none": lambda: x, "relu": lambda: ops.relu(x), "sigmoid": lambda: ops.sigmoid(x),
             "relu6": lambda: ops.clamp(x, 0.0, 6.0), "hardtanh": lambda: ops.clamp(x, -1.0, 1.0)}
    return plain[kind]()
