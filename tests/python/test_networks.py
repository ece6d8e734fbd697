# SPDX-License-Identifier: Apache-2.0
"""Networks: keys and sizes of the public ones, shapes, what is binary in which network, what training gets to see."""

import pytest
import torch
from network_tools import tensors, tiny, training_loss
from torch import nn

from bimtdp_torch.networks.build import build_network
from bimtdp_torch.networks.layers import BinaryConv2d
from bimtdp_torch.networks.options import DATASETS
from bimtdp_torch.sources import load_checkpoint


def network(name, backbone, dataset="nyud4", **options):
    return build_network({"name": name, "backbone": backbone, "dataset": dataset, **options})


@pytest.mark.parametrize(
    "dataset,entries,parameters",
    [("nyud2", 1316, 8578179), ("nyud2_aux", 1616, 14838121), ("nyud4", 1682, 17960945), ("pascal5", 1889, 24494171)],
)
def test_mti_net_has_the_public_size(dataset, entries, parameters):
    model = network("mti_net", "hrnet_w18", dataset)
    assert len(model.state_dict()) == entries
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_mti_net_has_the_public_keys():
    state = network("mti_net", "hrnet_w18").state_dict()
    shapes = {
        "backbone.transition1.1.0.0.weight": (36, 256, 3, 3),
        "backbone.transition3.3.0.1.running_var": (144,),
        "backbone.stage3.2.fuse_layers.0.2.0.weight": (18, 72, 1, 1),
        "backbone.stage4.1.fuse_layers.3.0.2.0.weight": (144, 18, 3, 3),
        "scale_2.refinement.edge.0.downsample.0.weight": (72, 216, 1, 1),
        "scale_0.decoders.semseg.bias": (40,),
        "fpm_scale_3.non_linear.2.weight": (576, 144, 1, 1),
        "fpm_scale_1.se.depth.squeeze.2.weight": (36, 2),
        "fpm_scale_2.dimensionality_reduction.conv1.weight": (72, 288, 3, 3),
        "distillation_scale_1.self_attention.semseg.normals.attention.0.weight": (36, 36, 3, 3),
        "heads.normals.last_layer.3.weight": (3, 270, 1, 1),
    }
    assert {key: tuple(state[key].shape) for key in shapes} == shapes


def test_baselines_have_the_public_keys_and_size():
    single = network("single_task", "hrnet_w18", task="semseg")
    assert sum(p.numel() for p in single.parameters()) == 3945270
    assert {k.split(".")[0] for k in single.state_dict()} == {"backbone", "decoder"}
    assert single.state_dict()["decoder.last_layer.3.weight"].shape == (40, 270, 1, 1)
    shared = network("multi_task", "hrnet_w18", "pascal5").state_dict()
    assert {k.split(".")[0] for k in shared} == {"backbone", "decoders"}
    assert shared["decoders.human_parts.last_layer.3.weight"].shape == (7, 270, 1, 1)


WIDTHS = [16, 18, 20, 24]
VARIANTS = [  # together every option of the network section
    dict(name="single_task", task="depth"),
    dict(name="single_task", task="semseg", binary=True),
    dict(name="single_task", task="depth", backbone="resnet_tiny"),
    dict(name="single_task", task="depth", backbone="resnet_tiny", binary=True, binarize_1x1=True, dilated=False),
    dict(name="multi_task", dataset="pascal5"),
    dict(name="multi_task", binary=True, preset="reactnet"),
    dict(name="multi_task", backbone="efficientnet_lite0", head="deeplab"),
    dict(name="mti_net", dataset="nyud2_aux"),
    dict(name="mti_net", distillation_modules=2),
    dict(name="mti_net", backbone="efficientnet_lite0", widths=[16, 24, 32, 48]),
    dict(name="mti_net", backbone="resnet50_tiny", widths=WIDTHS),
    dict(name="bi_mtdp"),
    dict(name="bi_mtdp", dataset="pascal_small", mask_binary=True, preset="reactnet"),
    dict(name="bi_mtdp", preset="irnet", binarize_1x1=True, conv2_binary=False, stem_width=40),
    dict(name="bi_mtdp", backbone="resnet_tiny", widths=WIDTHS, head_binary=False),
    dict(name="bi_mtdp_f"),
    dict(name="bi_mtdp_f", preset="bireal", vib={"mu": "binary"}, distillation_modules=5),
    dict(name="bi_mtdp_f", vib={"mu": "binary_input"}, dataset="nyud2_aux", distillation_modules=2),
    dict(name="bi_mtdp_c"),
    dict(name="bi_mtdp_c", c_scope="mmd+fpm", attention={"outer_sign": False}),
    dict(name="bi_mtdp_c", c_scope="decoder", segmentation_classes=39, style={"scale": "xnor"}, vib={}),
]


def check_shapes(model, outputs, size):
    stride = model.backbone.strides[-1 if hasattr(getattr(model, "decoder", None), "2") else 0]
    if isinstance(getattr(model, "decoders", None), nn.ModuleDict) and hasattr(model.decoders["semseg"], "2"):
        stride = model.backbone.strides[-1]
    assert all(
        tuple(m.shape) == (2, model.tasks[t], size[0] // stride, size[1] // stride) for t, m in outputs["maps"].items()
    ) and set(outputs["maps"]) == set(model.tasks)
    assert [m.shape[1:] for m in outputs["backbone"]] == [
        (c, size[0] // s, size[1] // s) for c, s in zip(model.backbone.channels, model.backbone.strides)
    ]
    assert len(outputs["initial"]) == (4 if model.auxiliary else 0) and set(outputs["hidden"]) == set(model.tasks)
    for scale, maps in enumerate(outputs["initial"]):
        assert {t: m.shape[1] for t, m in maps.items()} == model.auxiliary
        shape = outputs["backbone"][scale].shape
        assert all(outputs["features"][scale][t].shape == shape for t in model.auxiliary)
        assert all(outputs["distilled"][scale][t].shape == shape for t in model.tasks)
    assert ("vib" in outputs) == (model.bottleneck is not None)


@pytest.mark.parametrize("options", VARIANTS, ids=lambda o: "-".join(str(v) for v in o.values()))
def test_training_outputs_and_gradients(options):
    torch.manual_seed(1)
    model = tiny(**options)
    x = torch.randn(2, 3, 32, 64)
    outputs = model.training_outputs(x)
    check_shapes(model, outputs, (32, 64))
    training_loss(outputs).backward()
    # The gates' hidden layer has one unit at these widths, whose ReLU may be closed.
    without = [n for n, p in model.named_parameters() if p.grad is None or not (p.grad.any() or ".se." in n)]
    assert not without, "every parameter takes part"
    model.eval()
    with torch.no_grad():
        maps, full = model.training_outputs(x)["maps"], model(x)
    assert {t: tuple(m.shape) for t, m in full.items()} == {t: (2, c, 32, 64) for t, c in model.tasks.items()}
    for task in maps:
        torch.testing.assert_close(model.resize(maps[task], x), full[task], rtol=0, atol=0)


@pytest.mark.parametrize(
    "options",
    [
        dict(name="mti_net"),
        dict(name="mti_net", backbone="resnet_tiny", widths=WIDTHS),
        dict(name="multi_task", backbone="efficientnet_lite0"),
    ],
    ids=str,
)
def test_maps_before_their_relu(options):
    model, x = tiny(**options).eval(), torch.randn(1, 3, 32, 64)
    with torch.no_grad():
        after, before = model.training_outputs(x), model.training_outputs(x, pre_relu=True)
    for key in ("backbone", "features", "hidden"):
        for signed, rectified in zip(tensors(before.get(key, [])), tensors(after.get(key, []))):
            assert (signed < 0).any() and torch.equal(signed.relu(), rectified)
    assert all(
        torch.equal(a, b)
        for key in ("maps", "initial", "distilled")
        for a, b in zip(tensors(before.get(key, [])), tensors(after.get(key, [])))
    )


def test_binary_networks_and_their_teacher_have_the_same_tensors():
    """What feature distillation pairs: the student's maps before signs, as many and as large as the teacher's."""
    teacher, student = tiny("mti_net").eval(), tiny("bi_mtdp_f").eval()
    x = torch.randn(1, 3, 32, 64)
    theirs, ours = teacher.training_outputs(x, pre_relu=True), student.training_outputs(x, pre_relu=True)
    for key in ("backbone", "features", "distilled", "hidden"):
        pairs = list(zip(tensors(theirs[key]), tensors(ours[key])))
        assert pairs and all(a.shape == b.shape for a, b in pairs)
        assert all(b.unique().numel() > 2 for _, b in pairs), "real-valued"


def test_extra_distillation_modules_follow_one_another():
    model = tiny("bi_mtdp", dataset="nyud2_aux", distillation_modules=3).eval()
    features = {t: torch.randn(1, 18, 4, 6) for t in model.auxiliary}
    sums = []
    result = model.distill(features, 1, sums)
    first, second, third = (getattr(model, f"distillation_scale_1{suffix}") for suffix in ("", "_2", "_3"))
    expected = third({**features, **second({**features, **first(features)})})
    assert set(result) == {"semseg", "depth"} and all(torch.equal(result[t], expected[t]) for t in result)
    assert all(torch.equal(torch.where(sums[0][t] >= 0, 1.0, -1.0), result[t]) for t in result)
    assert all(torch.equal(model.distill(features, 1)[t], result[t]) for t in result)


def float_convolutions(model, part):
    return [n for n, m in model.named_modules() if n.startswith(part) and isinstance(m, nn.Conv2d) and "decoders" not in n]


def test_all_binary_network_keeps_only_first_last_and_1x1_in_float():
    model = network("bi_mtdp", "hrnet_w18")
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
            assert name == "backbone.conv1"
    assert not [n for n in float_convolutions(model, "heads") if not n.endswith("last_layer.3")]
    strict = network("bi_mtdp", "hrnet_w18", mask_binary=True)
    assert not list(float_convolutions(strict, "fpm_scale_3.non_linear"))


def test_binarize_1x1_leaves_first_and_last_layers():
    model = tiny("bi_mtdp_f", binarize_1x1=True, vib={"mu": "binary"})
    last = [n for n in float_convolutions(model, "") if not n.endswith(("last_layer.3", "logvar"))]
    assert last == ["backbone.conv1"]
    model = tiny("single_task", backbone="resnet50_tiny", task="depth", binary=True, binarize_1x1=True)
    assert float_convolutions(model, "") == ["backbone.conv1", "decoder.0.convs.4.1", "decoder.4"]


@pytest.mark.parametrize("scope", ["mmd", "mmd+fpm", "decoder"])
def test_scopes_of_bi_mtdp_c(scope):
    model = network("bi_mtdp_c", "efficientnet_lite0", c_scope=scope)
    binary = {name.split(".")[0].rsplit("_", 1)[0] for name, m in model.named_modules() if isinstance(m, BinaryConv2d)}
    assert (
        binary
        == {
            "mmd": {"distillation_scale"},
            "mmd+fpm": {"distillation_scale", "fpm_scale"},
            "decoder": {"distillation_scale", "fpm_scale", "scale"},
        }[scope]
    )


def test_no_relu_in_front_of_a_sign():
    for options in ({}, {"backbone": "resnet_tiny", "widths": WIDTHS}, {"backbone": "resnet50_tiny", "widths": WIDTHS}):
        model = tiny("bi_mtdp", **options)
        assert not [n for n, m in model.named_modules() if isinstance(m, nn.ReLU) and ".se." not in n]


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_task_set_has_every_network(dataset):
    tasks = list(DATASETS[dataset][0])
    for options in (
        dict(name="single_task", task=tasks[-1], binary=True),
        dict(name="multi_task"),
        dict(name="mti_net"),
        dict(name="bi_mtdp_f"),
        dict(name="bi_mtdp_c", c_scope="decoder"),
    ):
        model = tiny(**options, dataset=dataset).eval()
        with torch.no_grad():
            maps = model(torch.zeros(1, 3, 32, 32))
        assert {t: m.shape[1] for t, m in maps.items()} == model.tasks
        assert list(maps) == (tasks[-1:] if options["name"] == "single_task" else tasks)


def test_styles_reach_every_binary_part():
    model = tiny("bi_mtdp", preset="irnet")
    layers = [m for m in model.modules() if isinstance(m, BinaryConv2d)]
    assert all(m.standardise and m.weight_sign.estimator == "ede" for m in layers)
    scaled = [m for n, m in model.named_modules() if isinstance(m, BinaryConv2d) and "distillation" not in n]
    assert scaled and all(m.scaled and m.power_of_two for m in scaled)
    assert {m.estimator for m in model.modules() if hasattr(m, "ede")} == {"ede"}


def test_checkpoint_round_trip(tmp_path):
    config = {"network": dict(name="bi_mtdp_c", backbone="efficientnet_lite0", dataset="nyud2")}
    model = build_network(config["network"]).eval()
    torch.save({"config": config, "model": model.state_dict()}, tmp_path / "c.pt")
    loaded_config, loaded, _ = load_checkpoint(tmp_path / "c.pt")
    x = torch.randn(1, 3, 32, 32)
    assert loaded_config == config
    assert torch.equal(loaded(x)["depth"], model(x)["depth"])


def test_other_files_are_no_checkpoints(tmp_path):
    (tmp_path / "junk.pt").write_bytes(b"no checkpoint")
    torch.save(torch.zeros(2), tmp_path / "tensor.pt")
    config = {"network": dict(name="mti_net", backbone="hrnet_w18", dataset="nyud2")}
    torch.save({"config": config, "model": {"a": torch.zeros(2)}}, tmp_path / "other.pt")
    for name, message in (("junk", "no checkpoint"), ("tensor", "carries no configuration"), ("other", "does not fit the network")):
        with pytest.raises(ValueError, match=rf"{name}\.pt: .*{message}"):
            load_checkpoint(tmp_path / f"{name}.pt")
    with pytest.raises(FileNotFoundError, match="none.pt"):
        load_checkpoint(tmp_path / "none.pt")


def test_size_of_the_input_is_checked():
    with pytest.raises(ValueError, match="40x64 pixels: height and width must be multiples of 32"):
        tiny("mti_net").training_outputs(torch.zeros(2, 3, 40, 64))


@pytest.mark.parametrize(
    "options,message",
    [
        (dict(name="mti"), "network.name must be one of"),
        (dict(backbone="resnet"), "backbone"),
        (dict(dataset="nyud5"), "dataset"),
        (dict(name="single_task"), "network.task"),
        (dict(c_scop="mmd"), "unknown option 'c_scop'"),
        (dict(name="bi_mtdp", backbone="efficientnet_lite1"), "no binary form"),
        (dict(name="bi_mtdp", style={"gradient": "ste"}), "unknown choice 'gradient'"),
        (dict(name="bi_mtdp", style={"estimator": "ste"}), "estimator must be one of"),
        (dict(name="bi_mtdp", style={"scale": "two"}), "scale must be one of"),
        (dict(name="bi_mtdp_c", attention={"gate": "source"}), "network.attention: unknown option 'gate'"),
        (dict(backbone="resnet18", dilated=True), "cannot be dilated"),
        (dict(widths=[1, 2, 3, 4]), "widths has no effect on mti_net with the backbone hrnet_tiny"),
        (dict(backbone="resnet18", widths=[8, 8]), "four widths"),
        (dict(name="bi_mtdp_f", vib={"sigma": 1}), "vib"),
        (dict(name="bi_mtdp_f", vib={"mu": "real"}), "vib.mu"),
        (dict(name="bi_mtdp_c", c_scope="all"), "c_scope"),
        (dict(name="multi_task", head="fcn"), "head must be"),
        (dict(distillation_modules=0), "distillation_modules"),
        (dict(binary=True), "network.binary has no effect on mti_net"),
        (dict(stem_width="96"), "stem_width must be a whole number"),
        (dict(name="multi_task", preset="irnet"), "network.preset has no effect on multi_task"),
        (dict(name="multi_task", distillation_modules=7), "distillation_modules has no effect"),
        (dict(conv2_binary=False), "conv2_binary has no effect"),
        (dict(name="bi_mtdp", c_scope="mmd"), "c_scope has no effect"),
        (dict(name="bi_mtdp", backbone="resnet18", stem_width=96), "stem_width has no effect"),
        (dict(name="bi_mtdp_c", mask_binary=True), "mask_binary has no effect on bi_mtdp_c with c_scope mmd"),
        (dict(name="bi_mtdp_f", vib=False), "network.vib must be a mapping"),
        (dict(dropout=True), "dropout must be a number"),
        (dict(name="bi_mtdp_c", attention={"input_binarizer": "sign"}), "always \\+1; take bn_sign or rsign"),
        (dict(dataset=None), "network.dataset must be text"),
        (dict(name="bi_mtdp", preset="none"), "preset must be one of"),
    ],
    ids=str,
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        tiny(**{"name": "mti_net", **options})


def test_a_network_without_backbone_is_refused():
    with pytest.raises(ValueError, match="network.backbone is missing"):
        build_network({"name": "mti_net", "dataset": "nyud2"})
