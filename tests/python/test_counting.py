# SPDX-License-Identifier: Apache-2.0
"""Parameters and operations against the published code's figures (counted in its PyTorch networks) and by hand."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bimtdp_torch.networks.build import build_network
from bimtdp_torch.networks.layers import BinaryConv2d
from bimtdp_torch.results.counting import count, count_operations


def build(**section):
    with torch.device("meta"):  # shapes suffice
        return build_network({"backbone": "hrnet_w18", **section})


@pytest.mark.parametrize(
    "dataset,parameters,with_decoders,inference",
    [("nyud4", 17_960_945, 28.386e9, 28.357e9), ("pascal5", 24_494_171, 35.519e9, 35.498e9)],
)
def test_mti_net_w18(dataset, parameters, with_decoders, inference):
    network = build(name="mti_net", dataset=dataset)
    floats, bops = count_operations(network, (480, 640), lambda n, x: n.training_outputs(x))
    assert floats == pytest.approx(with_decoders, rel=2e-5) and bops == 0
    counts = count(network)
    assert counts.parameters == parameters and counts.macs == pytest.approx(inference, rel=2e-5)
    assert network.training  # as it was


def test_single_task_w18():
    counts = count(build(name="single_task", task="semseg", dataset="nyud2"))
    assert counts.parameters == 3_945_270 and counts.macs == pytest.approx(11.367e9, rel=2e-5)


def test_binary_layers_are_counted_apart():
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), BinaryConv2d(8, 4, 3, padding=1, groups=2), nn.Conv2d(4, 2, 1)
    )
    counts = count(network, (16, 24))
    assert counts == (216 + 144 + 10, 144, 96 * (8 * 27 + 2 * 4), 96 * 4 * 36)
    assert counts.operations == counts.macs + counts.bops / 64


def test_the_sum_is_that_of_pytorchs_counter():
    network = build(name="bi_mtdp", dataset="nyud2").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, 64, 96, device="meta"))
    assert sum(count_operations(network, (64, 96))) == counter.get_total_flops() // 2
