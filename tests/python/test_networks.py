# SPDX-License-Identifier: Apache-2.0
"""Networks: keys and sizes of the public MTI-Net checkpoints, shapes, and what is binary in which network."""

import pytest
import torch
from torch import nn

from bimtdp_torch.config import build_network, load_checkpoint
from bimtdp_torch.efficientnet_lite import EfficientNetLite0
from bimtdp_torch.layers import BinaryConv2d


def network(name, backbone, dataset="nyud4", **options):
    return build_network({"name": name, "backbone": backbone, "dataset": dataset, **options})


@pytest.mark.parametrize("dataset,entries,parameters", [("nyud2", 1316, 8578179), ("nyud2_aux", 1616, 14838121),
                                                        ("nyud4", 1682, 17960945), ("pascal5", 1889, 24494171)])
def test_mti_net_has_the_public_size(dataset, entries, parameters):
    model = network("mti_net", "hrnet_w18", dataset)
    assert len(model.state_dict()) == entries
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_mti_net_has_the_public_keys():
    state = network("mti_net", "hrnet_w18").state_dict()
    shapes = {
        "backbone.transition1.1.0.0.weight": (36, 256, 3, 3), "backbone.transition3.3.0.1.running_var": (144,),
        "backbone.stage3.2.fuse_layers.0.2.0.weight": (18, 72, 1, 1),
        "backbone.stage4.1.fuse_layers.3.0.2.0.weight": (144, 18, 3, 3),
        "scale_2.refinement.edge.0.downsample.0.weight": (72, 216, 1, 1), "scale_0.decoders.semseg.bias": (40,),
        "fpm_scale_3.non_linear.2.weight": (576, 144, 1, 1), "fpm_scale_1.se.depth.squeeze.2.weight": (36, 2),
        "fpm_scale_2.dimensionality_reduction.conv1.weight": (72, 288, 3, 3),
        "distillation_scale_1.self_attention.semseg.normals.attention.0.weight": (36, 36, 3, 3),
        "heads.normals.last_layer.3.weight": (3, 270, 1, 1),
    }
    assert {key: tuple(state[key].shape) for key in shapes} == shapes


CONFIGURATIONS = [
    dict(name="mti_net", backbone="hrnet_w18", dataset="nyud2_aux"),
    dict(name="mti_net", backbone="efficientnet_lite0"),
    dict(name="bi_mtdp", backbone="hrnet_w18"),
    dict(name="bi_mtdp", backbone="hrnet_w18", dataset="pascal_small", mask_binary=True, preset="reactnet"),
    dict(name="bi_mtdp", backbone="hrnet_w18", dataset="nyud2", preset="irnet"),
    dict(name="bi_mtdp_c", backbone="efficientnet_lite0", c_scope="decoder"),
    dict(name="bi_mtdp_c", backbone="hrnet_w18", c_scope="mmd", dataset="nyud2"),
]


@pytest.mark.parametrize("options", CONFIGURATIONS, ids=lambda o: "-".join(str(v) for v in o.values()))
def test_forward_shapes_and_training_outputs(options):
    model = network(**options).eval()
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        maps = model(x)
        outputs = model.training_outputs(x)
    assert {t: tuple(m.shape) for t, m in maps.items()} == {t: (1, c, 64, 96) for t, c in model.tasks.items()}
    assert all(m.shape[2:] == (16, 24) for m in outputs["maps"].values())
    assert [next(iter(m.values())).shape[-1] for m in outputs["initial"]] == [24, 12, 6, 3]


def float_convolutions(model, part):
    return [n for n, m in model.named_modules()
            if n.startswith(part) and isinstance(m, nn.Conv2d) and "decoders" not in n]


def test_all_binary_network_keeps_only_first_last_and_1x1_in_float():
    model = network("bi_mtdp", "hrnet_w18")
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
            assert name == "backbone.conv1"
    assert not [n for n in float_convolutions(model, "heads") if not n.endswith("last_layer.3")]
    strict = network("bi_mtdp", "hrnet_w18", mask_binary=True)
    assert not [n for n in float_convolutions(strict, "fpm_scale_3.non_linear")]


@pytest.mark.parametrize("scope", ["mmd", "mmd+fpm", "decoder"])
def test_scopes_of_bi_mtdp_c(scope):
    model = network("bi_mtdp_c", "efficientnet_lite0", c_scope=scope)
    binary = {name.split(".")[0].rsplit("_", 1)[0] for name, m in model.named_modules() if isinstance(m, BinaryConv2d)}
    assert binary == {"mmd": {"distillation_scale"}, "mmd+fpm": {"distillation_scale", "fpm_scale"},
                      "decoder": {"distillation_scale", "fpm_scale", "scale"}}[scope]


def test_no_relu_in_front_of_a_sign_in_the_binary_backbone():
    model = network("bi_mtdp", "hrnet_w18")
    assert not [n for n, m in model.backbone.named_modules() if isinstance(m, nn.ReLU)]


def test_efficientnet_lite_strides():
    maps = EfficientNetLite0().eval()(torch.zeros(1, 3, 64, 96))
    assert [tuple(m.shape[1:]) for m in maps] == [(18, 16, 24), (36, 8, 12), (72, 4, 6), (144, 2, 3)]


def test_checkpoint_round_trip(tmp_path):
    config = {"network": dict(name="bi_mtdp_c", backbone="efficientnet_lite0", dataset="nyud2")}
    model = build_network(config["network"]).eval()
    torch.save({"config": config, "model": model.state_dict()}, tmp_path / "c.pt")
    loaded_config, loaded = load_checkpoint(str(tmp_path / "c.pt"))
    x = torch.randn(1, 3, 32, 32)
    assert loaded_config == config
    assert torch.equal(loaded(x)["depth"], model(x)["depth"])


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="network name"):
        network("mti", "hrnet_w18")
    with pytest.raises(ValueError, match="backbone"):
        network("mti_net", "resnet")
