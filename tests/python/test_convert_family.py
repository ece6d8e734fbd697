# SPDX-License-Identifier: Apache-2.0
"""Every network of the family, every backbone and every option that changes what is computed, at a small size: a moment
of training, conversion, and the C++ library's result against PyTorch's, node by node and running freely.

The conversion compares and raises where they differ; what is asserted here is that the cases contain what they are for.
"""

import re

import pytest
import torch
from convert_tools import randomise, read_metadata
from network_tools import tiny, train_briefly

from bimtdp_torch.export import ConversionError, Options, Source, convert
from bimtdp_torch.export.pipeline import Conversion
from bimtdp_torch.export.verify import build_verify_model
from bimtdp_torch.networks.layers import set_weight_binarization
from bimtdp_torch.networks.options import DATASETS
from bimtdp_torch.sources import load_source

WIDTHS = [16, 18, 20, 24]


def trained(**options):
    torch.manual_seed(0)
    return train_briefly(randomise(tiny(**options)), 1)


def checked_nodes(tmp_path, size=(32, 32), **options):
    """Nodes of the graph of a network that was trained for a moment and agrees with the library."""
    network = trained(**options)
    conversion = Conversion(Source(network, options["name"], 32), tmp_path / "m", Options(quiet=True, self_test_size=size))
    report, _ = conversion.verified(build_verify_model(quiet=True))
    assert sum(n["alone"]["flips"] for n in report["nodes"]) <= 2
    assert {o["task"] for o in report["outputs"]} == set(network.tasks)
    assert not any("scale_0.decoders" in n.name for n in conversion.nodes), "training-only decoders are dropped"
    return conversion.nodes


def count(nodes, op):
    return sum(node.op == op for node in nodes)


@pytest.mark.parametrize(
    "options",
    [
        dict(name="single_task", task="depth"),
        dict(name="single_task", task="semseg", binary=True),
        dict(name="multi_task", dataset="pascal_small"),
        dict(name="mti_net"),
        dict(name="bi_mtdp_c"),
        dict(name="bi_mtdp"),
        dict(name="bi_mtdp_f"),
        dict(name="bi_mtdp_c", c_scope="decoder"),
    ],
    ids=lambda o: "-".join(map(str, o.values())),
)
def test_every_network_from_its_checkpoint(tmp_path, options):
    """As convert.py does it, self-test included."""
    config = {"name": "run", "network": {"backbone": "hrnet_tiny", "dataset": "nyud2", **options}}
    network = trained(**options)
    torch.save({"config": config, "model": network.state_dict()}, tmp_path / "final.pt")
    result = convert(load_source(tmp_path / "final.pt"), tmp_path / "m", Options(quiet=True, self_test_size=(32, 64)))
    assert result.largest() < 1e-5 and result.flips() <= 2 and "tensors identical" in result.message
    text = read_metadata(tmp_path / "m")
    assert [o["task"] for o in text["outputs"]] == list(network.tasks) and text["self_test"]["digests"]


@pytest.mark.parametrize(
    "preset,kind,activations", [("irnet", "binary", {"hardtanh", "prelu"}), ("reactnet", "binary_input", {"rprelu", "prelu"})]
)
def test_presets_and_bottlenecks(tmp_path, preset, kind, activations):
    """mu is one convolution a scale that reads bits; the branch of logvar is dead. The head's activation is a PReLU."""
    nodes = checked_nodes(tmp_path, name="bi_mtdp_f", preset=preset, vib={"mu": kind})
    binary = [n for n in nodes if n.op == "binary_conv2d"]
    assert {n.fields["activation"]["kind"] for n in binary if n.has("activation")} == activations
    assert any(n.has("alpha") for n in binary) == (preset == "irnet")
    own = [n for n in nodes if n.name.startswith("bottleneck.")]
    assert not any("logvar" in n.name for n in own) and count(own, "binarize") == 4
    assert count(own, "binary_conv2d" if kind == "binary" else "conv2d") == 4


@pytest.mark.parametrize(
    "options,binarizers",
    [
        (dict(name="bi_mtdp", preset="bireal", distillation_modules=2, attention={"identity": "real"}), 0),
        (dict(name="bi_mtdp_c", c_scope="mmd+fpm", distillation_modules=2, attention={"outer_sign": False}), 2),
        (
            dict(
                name="bi_mtdp_c",
                dataset="nyud2_aux",
                distillation_modules=5,
                attention={"gate_source": "source", "message_weights": "pairwise"},
            ),
            2,
        ),
    ],
    ids=lambda o: str(o),
)
def test_extra_distillation_modules(tmp_path, options, binarizers):
    """Behind an outer sign the targets are binary, and auxiliary tasks alone have binarizers in the second module."""
    nodes = checked_nodes(tmp_path, **options)
    assert count(nodes, "binary_attention") == 4 * options["distillation_modules"]
    second = [n for n in nodes if n.op == "binarize" and re.match(r"distillation_scale_\d_2\.", n.name)]
    assert len(second) == 4 * binarizers
    if "c_scope" in options:
        assert count(nodes, "binary_conv2d") == 3 * 3 * 2, "three blocks of two convolutions at three scales"


def test_everything_binary_but_first_and_last_layers(tmp_path):
    """``binarize_1x1`` with a style put together by hand."""
    nodes = checked_nodes(
        tmp_path,
        name="bi_mtdp",
        binarize_1x1=True,
        attention={"message_batch_norm": False},
        style={"scale": "xnor", "binarizer": "bn_sign", "activation": "rprelu", "weight_estimator": "ede"},
    )
    floats = [n.name for n in nodes if n.op == "conv2d"]
    assert floats == ["backbone.conv1", "heads.semseg.last_layer.3", "heads.depth.last_layer.3"]


@pytest.mark.parametrize(
    "options",
    [
        dict(name="mti_net", dataset="nyud2_aux", distillation_modules=2, vib={}),
        dict(name="multi_task", dataset="pascal5", binary=True, binarize_1x1=True),
        dict(name="bi_mtdp", dataset="nyud4", mask_binary=True, conv2_binary=False, head_binary=False, stem_width=40),
    ],
    ids=lambda o: "-".join(map(str, o.values())),
)
def test_task_sets(tmp_path, options):
    nodes = checked_nodes(tmp_path, **options)
    assert ("binary_conv2d" in {n.op for n in nodes}) == (options["name"] != "mti_net")
    assert count(nodes, "resize") >= len(DATASETS[options["dataset"]][0])


@pytest.mark.parametrize("binary", [False, True], ids=["float", "binary"])
def test_dilated_resnet_with_deeplab_head(tmp_path, binary):
    """Dilation 36 on a map of 8x12 pixels: all taps but the middle one are outside."""
    nodes = checked_nodes(tmp_path, (64, 96), name="single_task", task="depth", backbone="resnet_tiny", binary=binary)
    convs = [n for n in nodes if n.op == ("binary_conv2d" if binary else "conv2d")]
    assert sorted({n.fields["dilation"][0] for n in convs}) == [1, 2, 4, 12, 24, 36]
    assert nodes[1].op == "conv2d" and nodes[1].fields["kernel"] == [7, 7] and nodes[1].fields["stride"] == [2, 2]
    assert {"max_pool2d", "adaptive_avg_pool2d", "resize"} <= {n.op for n in nodes}


@pytest.mark.parametrize(
    "options",
    [
        dict(name="bi_mtdp", backbone="resnet50_tiny", widths=WIDTHS),
        dict(name="bi_mtdp", backbone="resnet_tiny", widths=WIDTHS, binarize_1x1=True),
        dict(name="bi_mtdp_c", backbone="efficientnet_lite1", widths=WIDTHS),
        dict(name="multi_task", backbone="efficientnet_lite2"),
    ],
    ids=lambda o: f"{o['name']}-{o['backbone']}",
)
def test_other_backbones(tmp_path, options):
    nodes = checked_nodes(tmp_path, **options)
    assert count(nodes, "avg_pool2d") == (0 if options["name"] != "bi_mtdp" else 3 if "binarize_1x1" in options else 6)


def test_the_first_step_of_two_step_training_is_refused(tmp_path):
    network = tiny("bi_mtdp").eval()
    set_weight_binarization(network, False)
    with pytest.raises(ConversionError, match="first step of two-step training"):
        convert(Source(network, "half", 32), tmp_path / "m", Options(quiet=True, self_test_size=(32, 32)))
