# SPDX-License-Identifier: Apache-2.0
"""Sign estimators, binary convolution and the small layers, against their definitions."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bimtdp_torch.networks import estimators, fused, layers
from bimtdp_torch.networks.pointwise import speed_up_pointwise


def test_sign_has_two_states():
    x = torch.tensor([-1.0, -0.0, 0.0, 1e-30, -1e-30])
    assert estimators.sign_bireal(x).tolist() == [-1, 1, 1, 1, -1]


@pytest.mark.parametrize("estimator", estimators.ESTIMATORS)
def test_sign_gradients(estimator):
    x = torch.linspace(-1.5, 1.5, 31, requires_grad=True)
    sign = estimators.Sign(estimator)
    sign.ede = (1.0, 2.0)
    (sign(x) * 3).sum().backward()
    expected = {"bireal": (2 - 2 * x.abs()).clamp(min=0), "clip": (x.abs() < 1).float(), "ede": 2 * (1 - torch.tanh(2 * x) ** 2)}[
        estimator
    ]
    torch.testing.assert_close(x.grad, 3 * expected.detach())


def test_rsign_gradient_of_threshold():
    layer = estimators.RSign(3)
    layer.bias.data = torch.tensor([0.2, -0.1, 0.0])
    x = torch.randn(2, 3, 4, 5, requires_grad=True)
    weight = torch.randn(2, 3, 4, 5)
    (layer(x) * weight).sum().backward()
    shifted = x.detach() + layer.bias.detach().view(1, 3, 1, 1)
    expected = weight * (2 - 2 * shifted.abs()).clamp(min=0)
    torch.testing.assert_close(x.grad, expected)
    torch.testing.assert_close(layer.bias.grad, expected.sum((0, 2, 3)))


@pytest.mark.parametrize("stride,dilation,groups", [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 6)])
def test_binary_conv_is_conv_of_signs_with_zero_padding(stride, dilation, groups):
    conv = layers.BinaryConv2d(6, 6, 3, stride, dilation, dilation, groups).eval()
    x = estimators.sign_bireal(torch.randn(2, 6, 9, 7))
    weight = torch.where(conv.weight >= 0, 1.0, -1.0)
    alpha = conv.weight.abs().mean((1, 2, 3)).view(1, -1, 1, 1)
    dot = F.conv2d(x, weight, None, stride, dilation, dilation, groups)
    assert torch.equal(dot, dot.round())
    assert torch.equal(conv(x), dot * alpha)
    torch.testing.assert_close(conv.train()(x), dot * alpha)


def test_binary_conv_without_scale_or_signs():
    conv = layers.BinaryConv2d(4, 5, 1, scaled=False)
    assert conv.weight_scale() is None
    assert set(conv.binary_weight().unique().tolist()) == {-1.0, 1.0}
    conv.binarize = False  # first step of two-step training
    x = torch.randn(1, 4, 3, 3)
    torch.testing.assert_close(conv(x), F.conv2d(x, conv.weight))


def test_irnets_weights_and_scale():
    """Standardised filters, and mean|w| rounded to a power of two (in the exponent)."""
    conv = layers.BinaryConv2d(4, 64, 3, standardise=True, power_of_two=True).eval()
    conv.weight.data.mul_(torch.logspace(-2, 2, 64).view(-1, 1, 1, 1)).add_(torch.randn(64, 1, 1, 1))
    flat = conv.weight.detach().flatten(1)
    standard = (flat - flat.mean(1, keepdim=True)) / flat.std(1, keepdim=True)
    expected = 2.0 ** torch.log2(standard.abs().mean(1)).round()
    assert torch.equal(conv.weight_scale(), expected) and set(expected.tolist()) <= {0.5, 1.0}
    assert torch.equal(conv.binary_weight().flatten(1), torch.where(standard >= 0, 1.0, -1.0))
    plain = layers.BinaryConv2d(4, 64, 3, power_of_two=True)
    plain.weight.data.mul_(torch.logspace(-2, 2, 64).view(-1, 1, 1, 1))
    scale, mean = plain.weight_scale(), plain.weight.detach().abs().mean((1, 2, 3))
    assert (torch.frexp(scale).mantissa == 0.5).all() and len(scale.unique()) > 8
    assert ((scale / mean).log2().abs() <= 0.5001).all()


def test_two_step_training_switches_every_layer():
    model = torch.nn.Sequential(layers.BinaryConv2d(3, 4, 1), torch.nn.Sequential(layers.BinaryConv2d(4, 5, 1)))
    x = estimators.sign_bireal(torch.randn(1, 3, 2, 2))
    layers.set_weight_binarization(model, False)
    real = F.conv2d(F.conv2d(x, model[0].weight), model[1][0].weight)
    torch.testing.assert_close(model(x), real)
    layers.set_weight_binarization(model, True)
    assert not torch.allclose(model(x), real)


def test_grouped_softmax_runs_over_neighbouring_channels():
    x = torch.randn(2, 6, 3, 3)
    y = layers.GroupedSoftmax(2)(x)
    torch.testing.assert_close(y[:, 2:4], x[:, 2:4].softmax(1))
    torch.testing.assert_close(y[:, 0], torch.sigmoid(x[:, 0] - x[:, 1]))


def test_ede_schedule():
    layer = estimators.Sign("ede")
    estimators.set_ede_progress(layer, 0.0)
    assert layer.ede == pytest.approx((1000.0, 1e-3))
    estimators.set_ede_progress(layer, 1.0)
    assert layer.ede == pytest.approx((1.0, 10.0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fused_kernels_equal_plain_pytorch(dtype, monkeypatch):
    monkeypatch.setattr(fused, "_ops", fused.ops())  # other tests are to run with what they began with
    if not fused.enable():
        pytest.skip("no C++ compiler")
    operators = fused.ops()
    monkeypatch.setattr(fused, "_ops", None)
    x = torch.randn(3, 18, 7, 5).to(dtype).contiguous(memory_format=torch.channels_last)
    grad, bias = torch.randn_like(x), torch.randn(18) * 0.3
    shifted = x.float() + bias.view(1, -1, 1, 1)
    assert torch.equal(operators.rsign_forward(x, bias).float(), estimators.sign_bireal(shifted))
    gx, gb = operators.rsign_backward(grad, x, bias)
    expected = grad.float() * (2 - 2 * shifted.abs()).clamp(min=0)
    tolerance = dict(rtol=1e-2, atol=1e-2) if dtype == torch.bfloat16 else {}
    torch.testing.assert_close(gx.float(), expected, **tolerance)
    torch.testing.assert_close(gb, expected.sum((0, 2, 3)), rtol=1e-4, atol=1e-4)
    leaf, slope = x.float().requires_grad_(), bias.clone().requires_grad_()
    y = F.prelu(leaf, slope)
    y.backward(grad.float())
    torch.testing.assert_close(operators.prelu_forward(x, bias).float(), y.detach(), **tolerance)
    gx, gs = operators.prelu_backward(grad, x, bias)
    torch.testing.assert_close(gx.float(), leaf.grad, **tolerance)
    torch.testing.assert_close(gs, slope.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size,target", [((3, 4), (6, 8)), ((3, 4), (24, 32)), ((6, 8), (6, 8))])
def test_fused_resize_backward(size, target, monkeypatch):
    monkeypatch.setattr(fused, "_ops", fused.ops())
    if not fused.enable():
        pytest.skip("no C++ compiler")
    x = torch.randn(2, 5, *size, requires_grad=True)
    grad = torch.randn(2, 5, *target).contiguous(memory_format=torch.channels_last)
    F.interpolate(x, size=target, mode="bilinear", align_corners=False).backward(grad)
    torch.testing.assert_close(fused.ops().resize_backward(grad, *size), x.grad)


@pytest.mark.parametrize("shape,outputs", [((3, 6, 8, 5), 9), ((3, 6, 8, 5), 2), ((2, 6, 3, 5), 9), ((20, 6, 8, 5), 9)])
def test_pointwise_convolutions_by_rows(shape, outputs):
    """Rows as images where that pays (the first shape), else PyTorch's own way; gradients, layout and keys, too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        plain = nn.Conv2d(shape[1], outputs, 1)
        quick = nn.Sequential(copy.deepcopy(plain), nn.Conv2d(outputs, 3, 3))
        speed_up_pointwise(quick)
        assert type(quick[0]) is not nn.Conv2d and type(quick[1]) is nn.Conv2d
        x = torch.randn(shape).contiguous(memory_format=torch.channels_last)
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        grad = torch.randn(shape[0], outputs, *shape[2:])
        y = quick[0](a)
        assert y.is_contiguous(memory_format=torch.channels_last)
        y.backward(grad)
        expected = plain(b)
        expected.backward(grad)
        for got, want in (
            (y, expected),
            (a.grad, b.grad),
            (quick[0].weight.grad, plain.weight.grad),
            (quick[0].bias.grad, plain.bias.grad),
        ):
            torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)
    finally:
        torch.set_num_threads(threads)
