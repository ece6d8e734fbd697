# SPDX-License-Identifier: Apache-2.0
"""A float checkpoint of MTI-Net starts every variant; what was used, left fresh and did not fit is told."""

import pytest
import torch
from network_tools import tiny

from bimtdp_torch.checkpoints import find_state_dict, read_checkpoint
from bimtdp_torch.networks.resnet import ResNet
from bimtdp_torch.training.initialisation import initialise_from

PAIRWISE = {"gate_source": "source", "message_weights": "pairwise"}


@pytest.fixture(scope="module")
def public(tmp_path_factory):
    """As the public training code saves it: names with "module.", inside a dict."""
    torch.manual_seed(3)
    state = {
        f"module.{key}": torch.randn_like(value) if value.is_floating_point() else value
        for key, value in tiny("mti_net").state_dict().items()
    }
    path = tmp_path_factory.mktemp("public") / "checkpoint.pth.tar"
    torch.save({"optimizer": {"state": {}}, "model": state, "epoch": 9}, path)
    return find_state_dict(read_checkpoint(path), path)


@pytest.mark.parametrize(
    "options,fresh,ignored",
    [
        (dict(name="mti_net"), (), ()),
        (dict(name="bi_mtdp", preset="bireal"), ("distillation_", "refinement", "fpm_", "activation"), ("self_attention", "heads")),
        (
            dict(name="bi_mtdp", preset="bireal", attention=PAIRWISE),
            ("distillation_", "refinement", "fpm_", "activation"),
            ("heads",),
        ),
        (dict(name="bi_mtdp_f", attention=PAIRWISE), ("bottleneck", "binarize", "activation", "distillation_"), ("heads",)),
        (dict(name="bi_mtdp_c", attention=PAIRWISE), ("distillation_",), ()),
        (dict(name="multi_task"), (), ("scale_",)),
        (dict(name="single_task", task="depth"), (), ("scale_", "heads.semseg")),
    ],
    ids=lambda o: "-".join(map(str, o.values())) if isinstance(o, dict) else "",
)
def test_every_variant_takes_what_it_shares(public, options, fresh, ignored):
    network = tiny(**options)
    result = initialise_from(network, public)
    state = network.state_dict()
    assert all(torch.equal(state[own], public[source]) for own, source in result.used.items())
    assert not result.misfits and set(result.used) | set(result.fresh) == set(state)
    assert all(any(part in key for part in fresh) for key in result.fresh)
    assert all(any(part in key for part in ignored) for key in result.ignored)
    assert [key for key in state if key.startswith("backbone.") and key in public] == [
        key for key in result.used if key.startswith("backbone.")
    ]
    assert str(result).startswith(f"{len(result.used)} tensors used")
    assert f"{len(result.ignored)} of the checkpoint" in str(result)


def test_messages_and_gates_of_pairs_have_other_names(public):
    network = tiny("bi_mtdp_c", attention=PAIRWISE)
    result = initialise_from(network, public)
    attention = network.distillation_scale_2
    for ours, theirs in ((attention.gates, "attention.0"), (attention.messages, "conv")):
        expected = public[f"distillation_scale_2.self_attention.semseg.depth.{theirs}.weight"]
        assert torch.equal(ours["semseg_from_depth"][0].weight, expected)
    assert (
        result.notes()["distillation_scale_2.gates.semseg_from_depth.0.weight"]
        == "loaded from distillation_scale_2.self_attention.semseg.depth.attention.0.weight"
    )


def test_heads_and_masks_have_other_names(public):
    single, strict = tiny("single_task", task="depth"), tiny("bi_mtdp", mask_binary=True)
    initialise_from(single, public)
    assert torch.equal(single.decoder.last_layer["3"].weight, public["heads.depth.last_layer.3.weight"])
    initialise_from(strict, public)
    mask = strict.fpm_scale_1.non_linear[2][1]
    assert torch.equal(mask.weight, public["fpm_scale_1.non_linear.2.weight"])


def test_what_does_not_fit_is_told(public):
    network = tiny("mti_net", segmentation_classes=39)
    before = network.heads["semseg"].last_layer["3"].weight.clone()
    result = initialise_from(network, public)
    assert set(result.misfits) == {f"heads.semseg.last_layer.3.{p}" for p in ("weight", "bias")} | {
        f"scale_{s}.decoders.semseg.{p}" for s in range(4) for p in ("weight", "bias")
    }
    assert result.misfits["scale_0.decoders.semseg.bias"] == (40,) and not result.fresh and not result.ignored
    assert torch.equal(before, network.heads["semseg"].last_layer["3"].weight)
    assert result.notes()["scale_0.decoders.semseg.bias"] == "other shape: (40,)"


def test_a_misfit_under_another_name_is_not_ignored(public):
    result = initialise_from(tiny("multi_task", segmentation_classes=39), public)
    assert result.misfits["decoders.semseg.last_layer.3.weight"][0] == 40
    assert not any(key.startswith("heads.semseg.last_layer.3") for key in result.ignored)


def test_bare_backbones_fit():
    state = ResNet("resnet18").state_dict()
    state["fc.weight"] = torch.zeros(1000, 512)
    network = tiny("multi_task", backbone="resnet18", binary=True, preset="bireal")
    result = initialise_from(network, state)
    assert len(result.used) == len(state) - 1 and result.ignored == ["fc.weight"]
    assert torch.equal(network.backbone.layer3[0].conv1.weight, state["layer3.0.conv1.weight"])
