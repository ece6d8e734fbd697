# SPDX-License-Identifier: Apache-2.0
"""Binary convolution, activations of binary blocks, and small traceable leaves. The signs are in estimators.py."""

from __future__ import annotations

from typing import Tuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import fused
from .estimators import Sign
from .pointwise import is_pointwise, pointwise_conv2d

Pair = Union[int, Tuple[int, int]]


def _cpu_autocast() -> bool:
    try:
        return torch.is_autocast_enabled("cpu")
    except TypeError:  # before torch 2.4
        return torch.is_autocast_cpu_enabled()


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


class PReLU(nn.PReLU):
    """nn.PReLU with one slope per channel that keeps the type of its input under bf16 autocast."""

    def __init__(self, channels: int, init: float = 0.25):
        super().__init__(channels, init)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and fused.ops() is not None:
            return _FusedPReLU.apply(x, self.weight)
        return F.prelu(x, self.weight.to(x.dtype))


class RPReLU(nn.Module):
    """ReActNet's PReLU_c(x + shift_in_c) + shift_out_c. Between a batch normalisation and an RSign both shifts are
    redundant, so the preset ``bimtdp`` has PReLU."""

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
    ``power_of_two``: round alpha to the nearest power of two (IR-Net's shift).
    ``standardise``: subtract each filter's mean and divide by its standard deviation first (IR-Net).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        scaled: bool = True,
        standardise: bool = False,
        estimator: str = "clip",
        power_of_two: bool = False,
    ):
        super().__init__()
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = _pair(kernel_size), _pair(stride)
        self.padding, self.dilation = _pair(padding), _pair(dilation)
        self.scaled, self.standardise, self.power_of_two = scaled, standardise, power_of_two
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
        if not self.scaled:
            return None
        mean = self._latent().detach().abs().mean((1, 2, 3))
        return torch.exp2(torch.round(torch.log2(mean))) if self.power_of_two else mean

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
        if is_pointwise(self):
            y = pointwise_conv2d(x, weight)
        else:
            y = F.conv2d(x, weight, None, self.stride, self.padding, self.dilation, self.groups)
        if scale is not None and not self.training:
            y = y * scale.view(1, -1, 1, 1).to(y.dtype)
        return y

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, groups={self.groups}, scaled={self.scaled}"
        )


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
            height, width = (
                like.shape[-2:] if self.scale_factor is None else (x.shape[-2] * self.scale_factor, x.shape[-1] * self.scale_factor)
            )
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


def set_weight_binarization(model: nn.Module, on: bool) -> None:
    """Two-step training: ``on=False`` keeps the activations binary and the weights real (first step)."""
    for module in model.modules():
        if isinstance(module, BinaryConv2d):
            module.binarize = on
