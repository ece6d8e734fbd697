# SPDX-License-Identifier: Apache-2.0
"""Sign estimators and the binarizers made of them.

Forward, every sign is ``+1 if x >= 0 else -1``: two states, so sign(0) = +1 (torch.sign would give 0).
Backward, three estimators stand in for the derivative, which is zero almost everywhere:

* ``bireal``: 2 - 2|x| inside [-1, 1] (Bi-Real net's piecewise polynomial), the default for activations;
* ``clip``:   1 inside [-1, 1] (straight-through, STE), the default for weights;
* ``ede``:    k t (1 - tanh^2(t x)) with a schedule (IR-Net), see :func:`set_ede_progress`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from . import fused

ESTIMATORS = ("bireal", "clip", "ede")


def _sign(x: Tensor) -> Tensor:
    one = torch.ones((), dtype=x.dtype, device=x.device)
    return torch.where(x >= 0, one, -one)


class _SavedSign(torch.autograd.Function):
    """The sign; an estimator adds the backward pass, which finds x saved."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return _sign(x)


class _SignBiReal(_SavedSign):
    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return torch.rsub(x.abs(), 2, alpha=2).clamp_min_(0).mul_(grad)


class _SignClip(_SavedSign):
    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(grad, x, -1.0, 1.0)


class _SignEde(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, k: float, t: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.k, ctx.t = k, t
        return _sign(x)

    @staticmethod
    def backward(ctx, grad: Tensor):
        (x,) = ctx.saved_tensors
        return grad * (ctx.k * ctx.t * (1 - torch.tanh(ctx.t * x).square())), None, None


class _RSignBiReal(torch.autograd.Function):
    """sign(x + b_c) in one node: saves one full-size tensor and one pass against add followed by sign."""

    @staticmethod
    def forward(ctx, x: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, bias)
        if fused.ops() is not None:
            return fused.ops().rsign_forward(x, bias)
        return _sign(x + bias.to(x.dtype).view(1, -1, 1, 1))

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, bias = ctx.saved_tensors
        if fused.ops() is not None:
            return fused.ops().rsign_backward(grad, x, bias)
        shifted = x + bias.to(x.dtype).view(1, -1, 1, 1)
        grad = torch.rsub(shifted.abs(), 2, alpha=2).clamp_min_(0).mul_(grad)
        return grad, grad.sum((0, 2, 3), dtype=bias.dtype)


def sign_bireal(x: Tensor) -> Tensor:
    """Sign with Bi-Real net's gradient 2 - 2|x| on [-1, 1]."""
    return _SignBiReal.apply(x)


def sign_clip(x: Tensor) -> Tensor:
    """Sign with the clipped straight-through gradient 1[|x| < 1]."""
    return _SignClip.apply(x)


def sign_ede(x: Tensor, k: float, t: float) -> Tensor:
    """Sign with IR-Net's gradient k t (1 - tanh^2(t x))."""
    return _SignEde.apply(x, k, t)


class Sign(nn.Module):
    """Binarizer: +1 where x >= 0, else -1, elementwise on any shape."""

    def __init__(self, estimator: str = "bireal"):
        super().__init__()
        if estimator not in ESTIMATORS:
            raise ValueError(f"sign estimator must be one of {ESTIMATORS}, got {estimator!r}")
        self.estimator = estimator
        self.ede = (10.0, 0.1)  # (k, t) of IR-Net at the start of training

    def forward(self, x: Tensor) -> Tensor:
        if self.estimator == "bireal":
            if self.training and fused.ops() is not None:
                return _RSignBiReal.apply(x, torch.zeros(x.shape[1]))
            return sign_bireal(x)
        if self.estimator == "clip":
            return sign_clip(x)
        return sign_ede(x, *self.ede)

    def extra_repr(self) -> str:
        return self.estimator


class RSign(Sign):
    """ReActNet's binarizer with a learned threshold per channel: sign(x + bias_c), x (B, C, H, W)."""

    def __init__(self, channels: int, estimator: str = "bireal"):
        super().__init__(estimator)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        if self.estimator == "bireal":
            return _RSignBiReal.apply(x, self.bias)
        return super().forward(x + self.bias.to(x.dtype).view(1, -1, 1, 1))


def bn_sign(channels: int, estimator: str = "bireal") -> nn.Sequential:
    """Batch normalisation followed by a sign; needed wherever the input ends in a ReLU or is not centred."""
    return nn.Sequential(nn.BatchNorm2d(channels), Sign(estimator))


def make_binarizer(kind: str, channels: int, estimator: str = "bireal") -> nn.Module:
    """``bn_sign``, ``rsign`` or ``sign`` for (B, channels, H, W) tensors."""
    if kind == "bn_sign":
        return bn_sign(channels, estimator)
    if kind == "rsign":
        return RSign(channels, estimator)
    if kind == "sign":
        return Sign(estimator)
    raise ValueError(f"binarizer must be bn_sign, rsign or sign, got {kind!r}")


def set_ede_progress(model: nn.Module, progress: float, t_min: float = 1e-3, t_max: float = 10.0) -> None:
    """Sets IR-Net's schedule in every sign of ``model``; ``progress`` runs from 0 to 1 over the training."""
    t = t_min * (t_max / t_min) ** progress
    k = max(1.0 / t, 1.0)
    for module in model.modules():
        if isinstance(module, Sign):
            module.ede = (k, t)
