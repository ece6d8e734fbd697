# SPDX-License-Identifier: Apache-2.0
"""Layers of binary networks: sign estimators, binary convolution, binarizers, and small traceable leaves.

Forward, every sign is ``+1 if x >= 0 else -1``: two states, so sign(0) = +1 (torch.sign would give 0).
Backward, three estimators stand in for the derivative, which is zero almost everywhere:

* ``bireal``: 2 - 2|x| inside [-1, 1] (Bi-Real net's piecewise polynomial), the default for activations;
* ``clip``:   1 inside [-1, 1] (straight-through), the default for weights;
* ``ede``:    k t (1 - tanh^2(t x)) with a schedule (IR-Net), see :func:`set_ede_progress`.
"""

from __future__ import annotations

from typing import Tuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import fused

Pair = Union[int, Tuple[int, int]]
ESTIMATORS = ("bireal", "clip", "ede")


def _cpu_autocast() -> bool:
    try:
        return torch.is_autocast_enabled("cpu")
    except TypeError:  # before torch 2.4
        return torch.is_autocast_cpu_enabled()


def _sign(x: Tensor) -> Tensor:
    one = torch.ones((), dtype=x.dtype, device=x.device)
    return torch.where(x >= 0, one, -one)


class _SignBiReal(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return _sign(x)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return torch.rsub(x.abs(), 2, alpha=2).clamp_min_(0).mul_(grad)


class _SignClip(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return _sign(x)

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


class _FusedPReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return fused.ops().prelu_forward(x, slope)

    @staticmethod
    def backward(ctx, grad: Tensor):
        return fused.ops().prelu_backward(grad, *ctx.saved_tensors)


class _FusedWeightSign(torch.autograd.Function):
    """Signs of latent weights in the type that the convolution computes in, with the clipped gradient."""

    @staticmethod
    def forward(ctx, weight: Tensor, bf16: bool) -> Tensor:
        ctx.save_for_backward(weight)
        return fused.ops().weight_sign_forward(weight, bf16)

    @staticmethod
    def backward(ctx, grad: Tensor):
        (weight,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(grad.to(weight.dtype), weight, -1.0, 1.0), None


class _FusedResize(torch.autograd.Function):
    """Bilinear resize; PyTorch's own backward is slow for channels-last bf16."""

    @staticmethod
    def forward(ctx, x: Tensor, height: int, width: int) -> Tensor:
        ctx.size = x.shape[-2:]
        return F.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)

    @staticmethod
    def backward(ctx, grad: Tensor):
        return fused.ops().resize_backward(grad, *ctx.size), None, None


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


class PReLU(nn.PReLU):
    """nn.PReLU with one slope per channel that keeps the type of its input under bf16 autocast."""

    def __init__(self, channels: int, init: float = 0.25):
        super().__init__(channels, init)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and fused.ops() is not None:
            return _FusedPReLU.apply(x, self.weight)
        return F.prelu(x, self.weight.to(x.dtype))


class RPReLU(nn.Module):
    """ReActNet's activation PReLU_c(x + shift_in_c) + shift_out_c.

    Behind a batch normalisation and in front of an RSign both shifts can be absorbed by the neighbours, so
    our own networks use PReLU; this layer is for networks that were trained with it.
    """

    def __init__(self, channels: int, init: float = 0.25):
        super().__init__()
        self.shift_in = nn.Parameter(torch.zeros(channels))
        self.prelu = PReLU(channels, init)
        self.shift_out = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        x = self.prelu(x + self.shift_in.to(x.dtype).view(1, -1, 1, 1))
        return x + self.shift_out.to(x.dtype).view(1, -1, 1, 1)


def make_activation(kind: str, channels: int) -> nn.Module:
    """Activation after a residual add of a binary block: ``none``, ``hardtanh``, ``prelu`` or ``rprelu``.

    There is no ReLU to choose: a sign behind a ReLU would be constant.
    """
    if kind == "none":
        return nn.Identity()
    if kind == "hardtanh":
        return nn.Hardtanh()
    if kind == "prelu":
        return PReLU(channels)
    if kind == "rprelu":
        return RPReLU(channels)
    raise ValueError(f"activation must be none, hardtanh, prelu or rprelu, got {kind!r}")


def _pair(value: Pair) -> Tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


class BinaryConv2d(nn.Module):
    """Convolution with weights sign(W), for inputs that are already +-1; zero padding adds nothing.

    ``scaled``: multiply output channel o by alpha_o = mean|W_o| (XNOR-Net) *after* the integer convolution.
    Behind a batch normalisation alpha has no effect, so blocks that end in one leave it off.
    ``standardise``: subtract each filter's mean and divide by its standard deviation first (IR-Net).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Pair, stride: Pair = 1, padding: Pair = 0,
                 dilation: Pair = 1, groups: int = 1, scaled: bool = True, standardise: bool = False,
                 estimator: str = "clip"):
        super().__init__()
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = _pair(kernel_size), _pair(stride)
        self.padding, self.dilation = _pair(padding), _pair(dilation)
        self.scaled, self.standardise = scaled, standardise
        self.binarize = True  # False: real weights, the first step of two-step training
        self.weight_sign = Sign(estimator)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, *self.kernel_size))
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")

    def _latent(self) -> Tensor:
        if not self.standardise:
            return self.weight
        centred = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return centred / centred.flatten(1).std(1).view(-1, 1, 1, 1)

    def binary_weight(self) -> Tensor:
        """(out, in / groups, kh, kw) tensor of +-1."""
        return self.weight_sign(self._latent())

    def weight_scale(self) -> Tensor | None:
        """(out,) factors applied after the integer convolution, or None. No gradient flows through them."""
        return self._latent().detach().abs().mean((1, 2, 3)) if self.scaled else None

    def forward(self, x: Tensor) -> Tensor:
        if not self.binarize:
            weight = self._latent()
        elif self.training and fused.ops() is not None and self.weight_sign.estimator == "clip":
            weight = _FusedWeightSign.apply(self._latent(), _cpu_autocast())
        else:
            weight = self.binary_weight()
        scale = self.weight_scale() if self.binarize else None
        if scale is not None and self.training:  # the same up to rounding, without a pass over the output
            weight = weight * scale.view(-1, 1, 1, 1)
        y = F.conv2d(x, weight, None, self.stride, self.padding, self.dilation, self.groups)
        if scale is not None and not self.training:
            y = y * scale.view(1, -1, 1, 1).to(y.dtype)
        return y

    def extra_repr(self) -> str:
        return (f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
                f"padding={self.padding}, dilation={self.dilation}, groups={self.groups}, scaled={self.scaled}")


class DepthwiseConv2d(nn.Conv2d):
    """nn.Conv2d that computes in float32 under bf16 autocast: PyTorch's bf16 depthwise backward is 5 times slower."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float32 or not self.training:
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float()).to(x.dtype)


class Resize(nn.Module):
    """Bilinear (align_corners=False) or nearest resize to the size of a second tensor or by a fixed factor."""

    def __init__(self, mode: str = "bilinear", scale_factor: int | None = None):
        super().__init__()
        self.mode, self.scale_factor = mode, scale_factor

    def forward(self, x: Tensor, like: Tensor | None = None) -> Tensor:
        align = False if self.mode == "bilinear" else None
        if self.training and self.mode == "bilinear" and fused.ops() is not None:
            height, width = like.shape[-2:] if self.scale_factor is None else (
                x.shape[-2] * self.scale_factor, x.shape[-1] * self.scale_factor)
            return _FusedResize.apply(x, height, width)
        if self.scale_factor is not None:
            return F.interpolate(x, scale_factor=float(self.scale_factor), mode=self.mode, align_corners=align)
        return F.interpolate(x, size=like.shape[-2:], mode=self.mode, align_corners=align)

    def extra_repr(self) -> str:
        return f"{self.mode}, scale_factor={self.scale_factor}"


class Pad(nn.Module):
    """Constant zero padding (left, right, top, bottom), for TensorFlow's asymmetric "same"."""

    def __init__(self, left: int, right: int, top: int, bottom: int):
        super().__init__()
        self.padding = (left, right, top, bottom)

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.padding)

    def extra_repr(self) -> str:
        return str(self.padding)


class GroupedSoftmax(nn.Module):
    """Softmax over each run of ``group`` consecutive channels of (B, C, H, W); C is a multiple of ``group``.

    MTI-Net's feature propagation reshapes this way, so the softmax does not compare the same channel of the tasks.
    """

    def __init__(self, group: int):
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (-1, self.group)).softmax(2).flatten(1, 2)

    def extra_repr(self) -> str:
        return f"group={self.group}"


class SqueezeExcite(nn.Module):
    """Channel gate: spatial mean -> linear -> ReLU -> linear -> sigmoid -> scale. Keys as in MTI-Net."""

    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        hidden = channels // reduction
        self.squeeze = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        gate = self.squeeze(x.mean((2, 3)))
        return x * gate.unsqueeze(2).unsqueeze(3)


def set_ede_progress(model: nn.Module, progress: float, t_min: float = 1e-3, t_max: float = 10.0) -> None:
    """Sets IR-Net's schedule in every sign of ``model``; ``progress`` runs from 0 to 1 over the training."""
    t = t_min * (t_max / t_min) ** progress
    k = max(1.0 / t, 1.0)
    for module in model.modules():
        if isinstance(module, Sign):
            module.ede = (k, t)


def set_weight_binarization(model: nn.Module, on: bool) -> None:
    """Two-step training: ``on=False`` keeps the activations binary and the weights real (first step)."""
    for module in model.modules():
        if isinstance(module, BinaryConv2d):
            module.binarize = on
